"""Files that changed since they were indexed: what is told of a place is what stands there now."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from lsp_process import Client, Message

QUESTION = "parse_json"
ABOVE = "# A line that was not there.\n" * 30


@pytest.fixture
def paused(client: Client) -> Client:
    """A server that has indexed the project and takes in nothing more."""
    client.command("modstar.pause")
    client.until(lambda status: status["folders"][0]["coverage"]["state"] == "paused")
    return client


def found(client: Client, path: str, question: str = QUESTION, **filters: object) -> list[Message]:
    answer = client.search(question, minScore=0, **filters)
    return [hit for hit in answer["hits"] if hit["path"] == path]


def named_line(hit: Message, text: str) -> str:
    """What of `text` a client marks as the name of what was found."""
    start, end = (hit["selectionRange"][end] for end in ("start", "end"))
    assert start["line"] == end["line"]
    return text.split("\n")[start["line"]][start["character"] : end["character"]]


def test_a_definition_that_moved_is_where_it_stands(paused: Client, project: Path) -> None:
    file = project / "app/json_io.py"
    assert found(paused, "app/json_io.py")[0]["symbol"] == "parse_json"
    file.write_text(ABOVE + file.read_text())
    (hit,) = (hit for hit in found(paused, "app/json_io.py") if hit["symbol"] == "parse_json")
    assert named_line(hit, file.read_text()) == "parse_json"
    assert "return json.loads(text)" in hit["snippet"]["text"] and not hit["unsaved"]


def test_a_file_in_place_of_another_is_not_told_of_by_the_other_s_names(
    paused: Client, project: Path
) -> None:
    file = project / "app/json_io.py"
    before = file.stat()
    assert found(paused, "app/json_io.py")[0]["symbol"] == "parse_json"
    other = "def wash_dishes(sink):\n    return [dish.rinse() for dish in sink]\n"
    (project / "other").write_text(other.ljust(before.st_size))
    shutil.move(project / "other", file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # as `cp -p` and `rsync -t` have it
    answer = str(paused.search(QUESTION, minScore=0))
    assert "json_io.py" not in answer or "wash_dishes" in answer
    assert "'symbol': 'parse_json'" not in answer


def test_a_deleted_file_and_one_that_became_a_link_are_not_found(
    paused: Client, project: Path, tmp_path: Path
) -> None:
    assert found(paused, "app/json_io.py") and found(paused, "app/transfer.py", "resume_upload")
    (project / "app/json_io.py").unlink()
    (project / "app/transfer.py").rename(tmp_path / "elsewhere.py")
    (project / "app/transfer.py").symlink_to(tmp_path / "elsewhere.py")
    assert not found(paused, "app/json_io.py") and not found(paused, "app/transfer.py", "resume_upload")


def test_a_document_counts_as_the_editor_has_it_whatever_the_file_became(
    paused: Client, project: Path
) -> None:
    file = project / "app/json_io.py"
    text = file.read_text()
    typed = "\n\n" + text
    uri = paused.open(file)
    paused.notify(
        "textDocument/didChange",
        {"textDocument": {"uri": uri, "version": 2}, "contentChanges": [{"text": typed}]},
    )
    file.write_text(ABOVE + text)
    hit = found(paused, "app/json_io.py")[0]
    assert hit["unsaved"] and named_line(hit, typed) == "parse_json"
    paused.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    hit = found(paused, "app/json_io.py")[0]
    assert not hit["unsaved"] and named_line(hit, ABOVE + text) == "parse_json"


def test_a_document_without_edits_counts_as_the_editor_shows_it(paused: Client, project: Path) -> None:
    file = project / "app/json_io.py"
    text = file.read_text()
    paused.open(file)
    file.write_text(ABOVE + text)
    assert named_line(found(paused, "app/json_io.py")[0], text) == "parse_json"
