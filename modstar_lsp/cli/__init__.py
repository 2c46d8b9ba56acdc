"""The commands `modstar-index` and `modstar-query`: they parse, call the workspace and print."""

import gc

# Looking for cyclic garbage takes 13 ms of the imports and finds none: what they make stays. Indexing makes
# this many objects too, so its garbage is still collected. Here, since the commands' own imports come first.
_GARBAGE_THRESHOLD = 100_000

gc.set_threshold(_GARBAGE_THRESHOLD, 50, 100)
