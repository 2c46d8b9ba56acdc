"""The database file, the locks beside it, and the folder that both are in."""
