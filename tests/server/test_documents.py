"""Open documents count as they stand, however they got there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modstar_lsp.search import Options, Results, search
from modstar_lsp.server.documents import Documents, UnsavedDocuments
from modstar_lsp.server.positions import ENCODINGS, Encoding, Lines, Span
from modstar_lsp.server.protocol import InvalidParams
from modstar_lsp.server.uris import from_path
from modstar_lsp.workspace import Workspace

EVERYTHING = Options(k=50, min_score=0.0)
QUESTIONS = ["parse a json document", "retry the upload", "parse_json", "Mailer.send"]

FILES = {
    "app/json_io.py": 'def parse_json(text):\n    """Parse JSON documents."""\n    return json.loads(text)\n',
    "app/upload.py": "def upload(path, attempts):\n    # again\n    return retry(post, path, attempts)\n",
    "app/mailer.py": "class Mailer:\n    def send(self, message):\n        self.smtp.sendmail(message)\n",
    "README.md": "# Shop\n\nParse JSON settings, upload files, send mail.\n",
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    root = tmp_path_factory.mktemp("work") / "shop ä 100%"
    for path, text in FILES.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    with Workspace.open(root, index_dir=tmp_path_factory.mktemp("indexes")) as opened:
        opened.refresh()
        yield opened


class Editor:
    """Documents that are open, and the answers that they lead to."""

    def __init__(self, workspace: Workspace, encoding: Encoding = "utf-16") -> None:
        self.workspace = workspace
        self.documents = Documents(encoding)
        self.laid_over = UnsavedDocuments(
            workspace.root,
            self.documents,
            workspace.encoder,
            lambda: 1_000_000,
            lambda path: "secret" not in path,
        )

    def uri(self, path: str) -> str:
        return from_path(self.workspace.root / path)

    def open(self, path: str, text: str) -> None:
        self.documents.open(self.uri(path), 1, text)

    def change(self, path: str, *edits: tuple[Span | None, str]) -> None:
        self.documents.change(self.uri(path), 2, edits)

    def ask(self, question: str) -> Results:
        with self.workspace.snapshot() as snapshot:
            view = self.laid_over.over(snapshot)
            return search(view, self.workspace.encoder, question, EVERYTHING)._replace(took=0.0)

    def unsaved(self, path: str) -> bool:
        document = self.laid_over.document(path)
        assert document is not None
        return document.is_unsaved()

    def found(self, question: str) -> set[str]:
        return {hit.path for hit in self.ask(question).hits}


@pytest.fixture
def editor(workspace: Workspace) -> Editor:
    return Editor(workspace)


def test_what_is_typed_is_found_and_what_is_deleted_is_not(editor: Editor) -> None:
    editor.open("app/json_io.py", FILES["app/json_io.py"])
    before = editor.ask("parse a json document")
    editor.change("app/json_io.py", (None, "def weigh_parcel(parcel):\n    return parcel.mass\n"))
    assert editor.ask("weigh a parcel").hits[0].path == "app/json_io.py"
    assert "parse_json" not in {hit.name for hit in editor.ask("parse a json document").hits}
    editor.documents.close(editor.uri("app/json_io.py"))
    assert editor.ask("parse a json document") == before


def test_a_file_that_was_never_saved_is_found(editor: Editor) -> None:
    editor.open("app/new.py", "")
    editor.change("app/new.py", (((0, 0), (0, 0)), "def weigh_parcel(parcel):\n    return parcel.mass\n"))
    assert "app/new.py" in editor.found("weigh a parcel")
    assert editor.unsaved("app/new.py")


def test_a_file_deleted_under_an_untouched_document_is_not_found(editor: Editor) -> None:
    file = editor.workspace.root / "app/gone.py"
    text = "def weigh_parcel(parcel):\n    return parcel.mass\n"
    file.write_text(text)
    editor.open("app/gone.py", text)
    assert "app/gone.py" in editor.found("weigh a parcel")
    assert not editor.unsaved("app/gone.py")
    file.unlink()
    assert "app/gone.py" not in editor.found("weigh a parcel")


def test_a_document_restored_with_unsaved_text_is_unsaved_from_the_start(editor: Editor) -> None:
    saved = FILES["app/json_io.py"]
    editor.open("app/json_io.py", saved + "# more\n")
    editor.open("app/upload.py", FILES["app/upload.py"].replace("\n", "\r\n"))
    editor.open("app/restored.py", "def weigh_parcel(parcel): ...\n")
    assert "app/restored.py" in editor.found("weigh a parcel")
    assert editor.unsaved("app/json_io.py")
    assert editor.unsaved("app/restored.py")
    assert not editor.unsaved("app/upload.py")
    editor.documents.saved(editor.uri("app/json_io.py"))
    assert not editor.unsaved("app/json_io.py")


def test_what_the_index_would_not_take_is_not_taken_from_the_editor(editor: Editor) -> None:
    for path in ("app/secret.py", "../outside.py"):
        editor.open(path, "")
        editor.change(path, (None, "def weigh_parcel(parcel):\n    return parcel.mass\n"))
    editor.documents.open("untitled:Untitled-1", 1, "def weigh_parcel(parcel): pass")
    editor.open("app/key.py", "")
    editor.change("app/key.py", (None, "-----BEGIN PRIVATE KEY-----\nweigh parcel\n"))
    assert not [hit for hit in editor.ask("weigh_parcel").hits if hit.name == "weigh_parcel"]
    assert editor.found("weigh_parcel") <= set(FILES)


def test_a_document_equal_to_the_file_changes_nothing(editor: Editor) -> None:
    before = [editor.ask(question) for question in QUESTIONS]
    for path, text in FILES.items():
        editor.open(path, text)
    with editor.workspace.snapshot() as snapshot:
        assert editor.laid_over.over(snapshot) is snapshot
    editor.change("app/upload.py", (((0, 0), (0, 0)), "x"), (((0, 0), (0, 1)), ""))
    assert [editor.ask(question) for question in QUESTIONS] == before


LETTERS = [
    "parse json ",
    "def send(x):\n",
    "\n",
    "\r\n",
    "\r",
    "retry",
    "    ",
    "\t",
    "😀",
    "é",
    "\u2028",
    "\x0c",
]
edited = st.lists(st.sampled_from(LETTERS), max_size=6).map("".join)
numbers = st.integers(0, 9)
spans = st.none() | st.tuples(st.tuples(numbers, numbers), st.tuples(numbers, numbers))
changes = st.lists(
    st.tuples(st.sampled_from(["app/json_io.py", "app/new.py"]), spans, edited, st.booleans()), max_size=12
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes, st.sampled_from(ENCODINGS))
def test_any_sequence_of_edits_answers_like_a_document_opened_afresh(
    workspace: Workspace, steps: list[tuple[str, Span | None, str, bool]], encoding: Encoding
) -> None:
    editor = Editor(workspace, encoding)
    texts = {"app/json_io.py": FILES["app/json_io.py"], "app/new.py": ""}
    for path, text in texts.items():
        editor.open(path, text)
    for path, span, text, asked in steps:
        lines = Lines(texts[path])
        start, end = (
            (0, len(texts[path])) if span is None else sorted(lines.offset(place, encoding) for place in span)
        )
        texts[path] = texts[path][:start] + text + texts[path][end:]
        editor.change(path, (span, text))
        if asked:  # between edits, so that what is kept from one question to the next is tried too
            editor.ask(QUESTIONS[0])
    fresh = Editor(workspace, encoding)
    for path, text in texts.items():
        fresh.open(path, "")
        fresh.change(path, (None, text))
        document = editor.documents.get(editor.uri(path))
        assert document is not None
        assert document.text == text
    assert [editor.ask(question) for question in QUESTIONS] == [fresh.ask(question) for question in QUESTIONS]


@pytest.mark.parametrize(
    "params",
    [
        None,
        [],
        {},
        {"textDocument": {"uri": 3}, "contentChanges": []},
        {"textDocument": {"uri": "file:///a"}, "contentChanges": [{}]},
        {"textDocument": {"uri": "file:///a"}, "contentChanges": [{"text": "a", "range": {"start": 1}}]},
        {
            "textDocument": {"uri": "file:///a"},
            "contentChanges": [
                {
                    "text": "a",
                    "range": {"start": {"line": "0", "character": 0}, "end": {"line": 0, "character": 0}},
                }
            ],
        },
    ],
)
def test_a_change_that_does_not_fit_is_refused_whole(params: Any) -> None:
    documents = Documents("utf-16")
    documents.open("file:///a", 1, "text")
    with pytest.raises(InvalidParams):
        documents.change_raw(params)
    document = documents.get("file:///a")
    assert document is not None
    assert document.text == "text"


def test_ten_thousand_edits_are_kept_apart_from_their_application() -> None:
    documents = Documents("utf-8")
    documents.open("file:///a", 1, "start\n" * 2000)
    for number in range(10_000):
        documents.change("file:///a", number, [(((1000, 0), (1000, 0)), "x")])
    document = documents.get("file:///a")
    assert document is not None
    assert document.text == "start\n" * 1000 + "x" * 10_000 + "start\n" * 1000
