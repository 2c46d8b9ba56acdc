"""What a copy of the resident does before it waits: it asks the folder that was asked last, and forgets all.

A copy (fork) shares each page of memory with the resident until one of them writes there, and pays for the
first write: 2,900 times in a question to a tree of 251 files, a third of its time. One that has asked before
does so 450 times. Nothing else is left of it: no index and no file stays open, nothing that was read is kept,
and the index is opened for reading only. So the next command finds what any process would.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

from modstar_lsp.cli.output import Layout, human, shown_path
from modstar_lsp.cli.terminal import PLAIN
from modstar_lsp.encoder import Encoder
from modstar_lsp.search import Options
from modstar_lsp.workspace import Workspace
from modstar_lsp.workspace.question import Question

# Its words are in any code: postings are read, candidates ranked and hits shown.
_WARM_UP_QUESTION = "where do we open the file and read it"
_WARM_UP_LINES = 4
# Of an index that is asked beforehand: 20,000 chunks, of 600 bytes each in restic and rustls, which the first
# question of a process compares one by one in any case.
_MOST_BYTES = 12_000_000


class WarmUp(NamedTuple):
    """What to ask: a folder, and the folder of all indexes."""

    root: str
    index_dir: str

    @classmethod
    def of(cls, workspace: Workspace) -> WarmUp:
        """Before the next question to `workspace`."""
        return cls(os.fspath(workspace.root), os.fspath(workspace.index_folder.parent.absolute()))

    @classmethod
    def read(cls, data: bytes) -> WarmUp:
        """From `data`, as `bytes(self)` gave it."""
        return cls(*(os.fsdecode(part) for part in data.split(b"\0")))

    def __bytes__(self) -> bytes:
        return b"\0".join(map(os.fsencode, self))

    def run(self, encoder: Encoder) -> None:
        """Ask, unless that takes long or much memory. Raises ModstarError and OSError."""
        index_dir = Path(self.index_dir)
        with Workspace.open(self.root, index_dir=index_dir, encoder=encoder, write=False) as workspace:
            if workspace.index_bytes() > _MOST_BYTES:
                return
            workspace.pending()  # as a refresh looks for what changed
            question = Question.of_text(_WARM_UP_QUESTION)
            words = question.words()
            layout = Layout.fit(sys.stdout, PLAIN, words, _WARM_UP_LINES, False)
            for hit in workspace.ask(question, Options(min_score=0.0)).hits:
                human(shown_path(workspace.root, hit.path), workspace.describe(hit, words), layout)
