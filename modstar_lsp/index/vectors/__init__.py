"""The vectors that chunks are found by: as numbers, in the database, and as a graph for many of them."""
