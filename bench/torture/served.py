"""A language server over hours of edits, documents and questions: every one answered, in the same memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from bench.torture.material import Counts, Rounds, text_of
from bench.torture.messages import Talk
from bench.torture.soak import NOTED_SECONDS, SETTLED, edit, files_of

# Between two rounds, so that the server has something to watch and its child something to index.
_PAUSE_SECONDS = 0.2


def served(
    root: Path, base: Path, asked: list[str], chance: Random, rounds: Rounds, counts: Counts
) -> dict[str, int]:
    """Edits files and documents of `root` and asks modstar-lsp; the megabytes that it and its child hold."""
    client, begin = _Client(root, base / "served", counts), time.monotonic()
    held: dict[str, int] = {}
    files, number = len(files_of(root)), 0
    while rounds:
        number += 1
        counts.tried["rounds of edits and questions"] += 1
        edit(root, chance, files)
        client.type_in(chance.choice(files_of(root)), chance)
        client.result("modstar/search", {"query": chance.choice(asked), "minScore": 0})
        minutes = int((time.monotonic() - begin) // NOTED_SECONDS * NOTED_SECONDS // 60)
        label = f"after {minutes} minutes" if minutes else "after 20 edits"
        if label not in held and number >= SETTLED:
            held[label] = client.megabytes()
        if counts.faults:
            break
        time.sleep(_PAUSE_SECONDS)
    held[f"after {number} edits"] = client.megabytes()
    client.end()
    return held


class _Client:
    """What an editor says; what is not answered is a fault."""

    def __init__(self, root: Path, indexes: Path, counts: Counts) -> None:
        self._counts = counts
        self._number = 0
        command = [sys.executable, "-m", "modstar_lsp.server", "--index-dir", str(indexes)]
        self._talk = Talk(command, framed=True)
        folder = {"uri": root.as_uri(), "name": "soaked"}
        self.result("initialize", {"processId": None, "capabilities": {}, "workspaceFolders": [folder]})
        self._talk.say(method="initialized", params={})

    def result(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for something; {} where that is not answered, or answered with an error."""
        self._number += 1
        self._talk.say(id=self._number, method=method, params=params)
        if not self._talk.is_answered(self._number):
            self._counts.fault("unanswered", f"soaked server: {method}")
            return {}
        answer = self._talk.answers.pop(self._number)
        if "error" in answer:
            self._counts.fault("lost", f"soaked server: {method}: {answer['error']}"[:300])
        result = answer.get("result")
        return result if isinstance(result, dict) else {}

    def type_in(self, file: Path, chance: Random) -> None:
        """Open a file, change it without saving, ask, close it again."""
        document, text = {"uri": file.as_uri()}, text_of(chance, "py", chance.randrange(1_000))
        opened = {**document, "languageId": "python", "version": 1, "text": text}
        self._talk.say(method="textDocument/didOpen", params={"textDocument": opened})
        changes = [{"text": text + "\n\ndef typed_just_now():\n    return 1\n"}]
        changed = {"textDocument": {**document, "version": 2}, "contentChanges": changes}
        self._talk.say(method="textDocument/didChange", params=changed)
        hits = self.result("modstar/search", {"query": "typed_just_now", "minScore": 0}).get("hits", [])
        if not any(hit["uri"] == file.as_uri() for hit in hits):
            self._counts.fault("silently wrong", f"soaked server: not found in {file.name} as it is typed")
        self._talk.say(method="textDocument/didClose", params={"textDocument": document})

    def megabytes(self) -> int:
        """What the server and its child hold together."""
        return int(self.result("modstar/status", {}).get("memory", {}).get("rss", 0)) >> 20

    def end(self) -> None:
        """Have it end as an editor does."""
        self.result("shutdown", {})
        self._talk.say(method="exit")
        if not self._talk.end():
            self._counts.fault("hung", "soaked server: it does not end")
