"""The sizes that shape chunks, and the measurements that chose them."""

from __future__ import annotations

# A definition longer than this is split. About 400 tokens: what one vector still describes well. Plain BM25
# over these chunks, best chunk of a file, `repos` set, nDCG@10: .674; with 1,000 .673, with 2,200 .672.
MAX_CHARS = 1_500
# Neighbours in one scope are joined while they stay below this: a getter alone says too little. Measured as
# above: 0 (nothing joined) .681 with 1.4 times the chunks; 1,200 .666 with .7 times.
MERGE_CHARS = 700
# A definition longer than this joins no neighbour: it is an answer of its own. Measured as above: 150 .670
# with 1.16 times the chunks, 700 .674 with .92 times.
JOINED_CHARS = 300
# A class header shorter than this is joined to its first member where the two stay below MERGE_CHARS.
HEADER_CHARS = 200
# Statements shorter than this (an import, `return M`) join a neighbour of any size: alone they say nothing.
SLIVER_CHARS = 120
# Longest signature kept; a longer one is cut (C++ templates, generated constructors).
SIGNATURE_CHARS = 200
# Deepest nesting of containers and of statements that is followed; below, lines are counted instead.
MAX_DEPTH = 60
# Most statements and definitions that a file is cut into at first: a megabyte of code has up to 30,000. What
# has more is no code (a file of `1` on every line), takes 1 kB for each, and is cut into lines.
MAX_LEAVES = 50_000
# Names taken from one statement: a table of thousands of constants defines nothing worth looking up.
MAX_NAMES = 60
