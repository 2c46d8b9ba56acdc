"""How results are measured and written down: metrics, sets of questions, BM25 to compare with, records."""
