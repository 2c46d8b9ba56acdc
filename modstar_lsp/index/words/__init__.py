"""Which words a chunk holds, and the postings that find a term without reading all the others."""
