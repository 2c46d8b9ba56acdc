"""Code of many repositories in an engine that others run, asked by this project's own ranking.

Candidates come from the engine: the nearest vectors, the best by words, whatever defines a name, all within
what the asker may see. The last few hundred are ranked here, by the rules that rank a local index.

The engines are optional (`pip install '.[scale]'`) and imported when a store is opened.
"""
