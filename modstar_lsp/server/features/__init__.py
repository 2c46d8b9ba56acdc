"""What a client with no code of ours gets: each file turns answers into one feature of the protocol."""
