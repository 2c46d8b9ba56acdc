"""A pasted text, such as a whole issue, is about what its first line says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modstar_lsp.encoder import Encoder, open_bundle
from modstar_lsp.search import Options
from modstar_lsp.search.query import PASTED_WORDS, headline
from modstar_lsp.search.search import gather
from modstar_lsp.workspace import Workspace

TITLE = "an upload that fails is not tried again"
BODY = "\n".join(["I bought a new keyboard and drank tea while the weather report was on."] * 6)

FILES = {
    "upload.py": "def retry_upload(file):\n    while not upload(file):\n        wait_and_try_again(file)\n",
    "weather.py": "def weather_report(tea, keyboard):\n    return keyboard.type(tea, 'weather report')\n",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "project"
    root.mkdir()
    for name, text in FILES.items():
        (root / name).write_text(text)
    space = Workspace.open(root, index_dir=tmp_path / "index", encoder=Encoder(open_bundle()))
    space.refresh()
    return space


def cosines(workspace: Workspace, text: str) -> dict[str, float]:
    """The cosine of each file's chunk to a question."""
    with workspace.snapshot() as snapshot:
        _, found = gather(snapshot, workspace.encoder, text, Options())
    return {chunk.path: float(cosine) for chunk, cosine in zip(found.chunks, found.dense, strict=True)}


def test_what_the_headline_asks_for_is_nearer_than_what_is_told_beside_it(workspace: Workspace) -> None:
    headed = cosines(workspace, f"{TITLE}\n\n{BODY}")
    buried = cosines(workspace, f"{BODY}\n\n{TITLE}")
    assert headed["upload.py"] > buried["upload.py"] + 0.05
    assert headed["weather.py"] < buried["weather.py"]


def test_a_question_on_one_line_is_asked_as_it_is(workspace: Workspace) -> None:
    one_line = f"{TITLE} {BODY}".replace("\n", " ")
    vector = workspace.encoder.encode([one_line], 0, "query")[0]
    with workspace.snapshot() as snapshot:
        query, found = gather(snapshot, workspace.encoder, one_line, Options())
        np.testing.assert_array_equal(found.dense, snapshot.cosines(vector, found.rows))
    assert query.text == one_line


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{TITLE}\n{BODY}", TITLE),
        (f"\n  {TITLE}  \r\n{BODY}", TITLE),
        (TITLE, ""),  # nothing below it
        (f"{TITLE}\nIt worked last week.", ""),  # too short for a pasted text
        ("word " * (PASTED_WORDS + 1), ""),  # one line
        (f"Hello\n{BODY}", ""),  # says too little
        (f"Traceback (most recent call last):\n{BODY}", ""),  # introduces what follows
    ],
)
def test_only_a_long_text_of_several_lines_has_a_headline(text: str, found: str) -> None:
    assert headline(text) == found
