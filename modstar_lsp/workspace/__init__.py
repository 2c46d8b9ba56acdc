"""The one object that a face holds, and what it is asked: whatever two faces would both write is here.

workspace.py    a folder with its index and its model: open, refresh, ask, describe
question.py     what is asked: a sentence or name, or code
second_look.py  files that changed under what was found: searched as they stand, by every face
grammar.py      the filters that a question may hold
scope.py        what somebody means who names a folder or file
several.py      answers of several folders as one list
description.py  a hit as every face tells of it: its lines as they stand now, the one to jump to, its kind
outline.py      the definitions in a file
"""

from modstar_lsp.workspace.workspace import Workspace, is_a_lot, project_root, useful_exit

__all__ = ["Workspace", "is_a_lot", "project_root", "useful_exit"]
