"""The sets that the field publishes figures on, read as their authors lay them out.

None of them is part of this repository, and nothing is fetched. `python -m bench.published` asks them.
"""
