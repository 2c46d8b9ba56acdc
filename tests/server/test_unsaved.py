"""Open documents count as they stand in the editor, from the first key on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lsp_process import Client, Message

PARCEL = (
    'def weigh_parcel(parcel):\n    """The mass of a parcel in grams."""\n    return parcel.mass * 1000\n'
)


def change(client: Client, uri: str, version: int, *edits: tuple[Any, str]) -> None:
    changes = [{"text": text} | ({"range": span} if span else {}) for span, text in edits]
    client.notify(
        "textDocument/didChange",
        {"textDocument": {"uri": uri, "version": version}, "contentChanges": changes},
    )


def span(line: int, character: int, end_line: int, end_character: int) -> Message:
    return {
        "start": {"line": line, "character": character},
        "end": {"line": end_line, "character": end_character},
    }


def by_symbol(client: Client, query: str, symbol: str) -> Message | None:
    hits = client.search(query, minScore=0)["hits"]
    return next((hit for hit in hits if hit["symbol"] == symbol), None)


def test_typed_code_is_found_where_it_stands_and_marked_unsaved(client: Client, project: Path) -> None:
    uri = client.open(project / "app/json_io.py")
    change(client, uri, 2, (span(3, 0, 3, 0), f"\n{PARCEL}\n"))
    hit = by_symbol(client, "weigh a parcel", "weigh_parcel")
    assert hit is not None
    assert (hit["uri"], hit["path"], hit["unsaved"]) == (uri, "app/json_io.py", True)
    assert hit["selectionRange"] == span(4, 4, 4, 16)
    assert "parcel.mass * 1000" in hit["snippet"]["text"]
    below = by_symbol(client, "parse a json document", "parse_json")
    assert below is not None
    assert below["selectionRange"]["start"]["line"] == 8
    assert (project / "app/json_io.py").read_text().count("weigh_parcel") == 0


def test_deleted_code_is_not_found(client: Client, project: Path) -> None:
    uri = client.open(project / "app/json_io.py")
    change(client, uri, 2, (span(0, 0, 6, 0), ""))
    assert by_symbol(client, "parse a json document", "parse_json") is None
    assert by_symbol(client, "load settings from a file", "load_settings") is not None


def test_a_closed_document_counts_as_it_was_saved(client: Client, project: Path) -> None:
    uri = client.open(project / "app/json_io.py")
    change(client, uri, 2, (None, PARCEL))
    assert by_symbol(client, "weigh a parcel", "weigh_parcel") is not None
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    assert by_symbol(client, "weigh a parcel", "weigh_parcel") is None
    hit = by_symbol(client, "parse a json document", "parse_json")
    assert hit is not None
    assert not hit["unsaved"]


def test_a_file_that_does_not_exist_yet_is_found(client: Client, project: Path) -> None:
    uri = client.open(project / "app/never saved.py", "")
    change(client, uri, 2, (span(0, 0, 0, 0), PARCEL))
    hit = by_symbol(client, "weigh a parcel", "weigh_parcel")
    assert hit is not None
    assert (hit["path"], hit["uri"]) == ("app/never saved.py", uri)


def test_secrets_and_ignored_files_are_not_found_in_the_editor_either(client: Client, project: Path) -> None:
    (project / ".gitignore").write_text("ignored/\n")
    (project / ".git").mkdir()
    for path in (".env", "ignored/parcel.py", "node_modules/parcel.py"):
        uri = client.open(project / path, "")
        change(client, uri, 2, (None, PARCEL))
    assert by_symbol(client, "weigh a parcel", "weigh_parcel") is None
    assert "weigh" not in str(client.search("weigh parcel grams", minScore=0))


def test_nothing_of_a_buffer_is_written(client: Client, project: Path, start: Callable[..., Client]) -> None:
    uri = client.open(project / "app/json_io.py")
    change(client, uri, 2, (None, PARCEL))
    assert by_symbol(client, "weigh a parcel", "weigh_parcel") is not None
    other = start()
    other.initialize(project)
    other.ready()
    assert by_symbol(other, "weigh a parcel", "weigh_parcel") is None


@pytest.mark.parametrize(("encoding", "width"), [("utf-8", 4), ("utf-16", 2), ("utf-32", 1)])
def test_positions_count_as_the_client_counts(
    project: Path, start: Callable[..., Client], encoding: str, width: int
) -> None:
    client = start()
    capabilities = {"general": {"positionEncodings": ["made-up", encoding]}}
    answer = client.initialize(project, capabilities=capabilities)
    assert answer["capabilities"]["positionEncoding"] == encoding
    client.ready()
    uri = client.open(
        project / "web/new.ts", "/* 😀😀 */ export function weigh(p) {\r\n\treturn p.mass;\r\n}\r\n"
    )
    before = len("/* ") + 2 * width + len(" */ export function weigh")
    change(client, uri, 2, (span(0, before, 0, before), "Parcel"))
    (hit,) = client.search("weighParcel", globs=["new.ts"], minScore=0)["hits"]
    assert hit["snippet"]["text"].startswith("/* 😀😀 */ export function weighParcel(p) {\n\treturn p.mass;")
    assert hit["selectionRange"] == span(0, before - len("weigh"), 0, before + len("Parcel"))
    assert hit["range"] == span(0, 0, 2, 1)


def test_ten_thousand_rapid_edits_leave_the_text_that_the_client_has(client: Client, project: Path) -> None:
    path = project / "app/transfer.py"
    uri = client.open(path)
    # As if typed: a whole function, key by key, and each key again taken back and typed anew.
    text = "".join(f"\n\ndef fold_sheet_{n}(sheet):\n    return sheet.crease({n})\n" for n in range(60))
    version, line, character = 1, 0, 0
    edits = 0
    for letter in text:
        at = span(line, character, line, character)
        after = (line + 1, 0) if letter == "\n" else (line, character + 1)
        for edit in ((at, letter), (span(line, character, *after), ""), (at, letter)):
            version += 1
            edits += 1
            change(client, uri, version, edit)
        line, character = after
    assert edits >= 9_000
    while edits < 10_000:
        edits += 2
        version += 2
        change(client, uri, version - 1, (span(0, 0, 0, 0), "#"))
        change(client, uri, version, (span(0, 0, 0, 1), ""))
    typed = by_symbol(client, "fold_sheet_59", "fold_sheet_59")
    assert typed is not None
    fresh = project / "app/fresh.py"
    client.open(fresh, "")
    change(client, fresh.as_uri(), 2, (None, text + path.read_text()))
    other = client.search("fold_sheet_59", minScore=0, globs=["app/fresh.py"])["hits"][0]
    for part in ("range", "selectionRange", "snippet"):
        assert typed[part] == other[part]
