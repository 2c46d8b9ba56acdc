"""The grammar of questions: what bounds a question bounds it, and whatever else is words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modstar_lsp.encoder.words import split_words
from modstar_lsp.errors import QueryError
from modstar_lsp.files.languages import CONTENTS
from modstar_lsp.search import Options, Results
from modstar_lsp.search.filters import Filter, content_of
from modstar_lsp.workspace import Workspace
from modstar_lsp.workspace.grammar import ParsedQuestion, parse_question
from modstar_lsp.workspace.question import Question

FILES = {
    "src/api/upload.py": '''\
def send_picture(session):
    """Upload one picture."""
    raise IOError("connection  refused")
''',
    "src/api/retry.py": """\
def retry_upload(session):
    for attempt in range(5):
        session.send_picture()
""",
    "web/upload.ts": """\
export function uploadPicture(session: Session) {
  return session.put('/pictures');
}
""",
    "tests/test_upload.py": """\
def test_upload_of_a_picture(session):
    assert session.send_picture()
""",
    "docs/upload.md": "# Uploads\n\nA picture is uploaded once; a refused connection is tried again.\n",
    "settings.toml": "[upload]\npicture_folder = 'pictures'\nattempts = 5\n",
}
ALL = Options(k=50, min_score=0.0)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("questions")
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    opened = Workspace.open(root, index_dir=tmp_path_factory.mktemp("indexes"))
    opened.refresh()
    return opened


def ask(workspace: Workspace, text: str) -> Results:
    return workspace.ask(Question.of_text(text), ALL)


def paths(workspace: Workspace, text: str) -> set[str]:
    return {hit.path for hit in ask(workspace, text).hits}


@pytest.mark.parametrize(
    ("question", "left"),
    [
        ("upload lang:python", {"src/api/upload.py", "src/api/retry.py", "tests/test_upload.py"}),
        ("upload lang:py -in:tests", {"src/api/upload.py", "src/api/retry.py"}),
        ("upload lang:ts lang:md", {"web/upload.ts", "docs/upload.md"}),
        ("upload -lang:py -lang:ts", {"docs/upload.md", "settings.toml"}),
        ("in:docs upload", {"docs/upload.md"}),
        ("upload in:config in:tests", {"settings.toml", "tests/test_upload.py"}),
        ("upload in:code", {"src/api/upload.py", "src/api/retry.py", "web/upload.ts"}),
        ("upload path:src/api", {"src/api/upload.py", "src/api/retry.py"}),
        ("upload path:UPLOAD -path:test -path:docs", {"src/api/upload.py", "web/upload.ts"}),
        ("upload path:src/**/retry.*", {"src/api/retry.py"}),
        ('picture "connection refused"', {"src/api/upload.py"}),
        ('picture "Refused connection"', {"docs/upload.md"}),
        (
            "send picture -attempt -docs",
            {"src/api/upload.py", "web/upload.ts", "tests/test_upload.py", "settings.toml"},
        ),
        ('picture lang:py -"refused"', {"src/api/retry.py", "tests/test_upload.py"}),
        ("picture lang:py -send_picture", set()),
    ],
)
def test_what_bounds_a_question_bounds_it(workspace: Workspace, question: str, left: set[str]) -> None:
    assert paths(workspace, question) == left


@pytest.mark.parametrize(
    "question",
    [
        "std::vector<int> push",
        "path::join and lang::en",
        "parse_question-only files - not temporary ones",
        "what does -v do, and --verbose",
        "lang:klingon speakers",
        "in:space nobody hears",
        "path: in the configuration",
        "'single quotes' and `ticks`",
        'an unclosed "quotation',
        'touched, "quotations", like ("these")',
        "my-path:src",
        "path:[z range",
        "-parse_json",
        "lang:python in:code",
        'KeyError: "picture"\n  at "upload.py" -rethrown path:src',
        "x in:",
    ],
)
def test_what_cannot_be_read_is_words(question: str) -> None:
    assert parse_question(question) == ParsedQuestion(question, Filter())


def test_the_words_are_left_in_order() -> None:
    assert (
        parse_question('retry "failed uploads" quickly -slow lang:go').words == "retry failed uploads quickly"
    )


def test_quotation_marks_in_a_pasted_error_do_not_filter_to_nothing(workspace: Workspace) -> None:
    pasted = 'IOError: "connection was refused" while sending a picture'
    results = ask(workspace, pasted)
    assert results.hits
    assert results.note == 'no place holds "connection was refused": searched for the words instead'


@pytest.mark.parametrize(
    "question", ["upload in:docs lang:ts", "picture lang:ts -session", 'picture in:docs "put"', "a -path:."]
)
def test_filters_that_leave_nothing_say_so_in_one_line(workspace: Workspace, question: str) -> None:
    results = ask(workspace, question)
    assert results.note and "\n" not in results.note
    assert not results.hits or "instead" in results.note


@pytest.mark.parametrize("question", ["upload lang:go", "upload path:nowhere"])
def test_a_language_or_path_that_no_file_has_is_an_error_of_one_line(
    workspace: Workspace, question: str
) -> None:
    with pytest.raises(QueryError) as error:
        ask(workspace, question)
    assert "\n" not in str(error.value)


def test_a_phrase_is_looked_for_in_the_lines_as_they_stand_now(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def weigh():\n    return 'old words'\n")
    with Workspace.open(tmp_path, index_dir=tmp_path / "index") as fresh:
        fresh.refresh()
        (tmp_path / "a.py").write_text("def weigh():\n    return 'new words'\n")
        assert "searched for the words instead" in fresh.ask(Question.of_text('weigh "old words"'), ALL).note


PIECES = st.one_of(
    st.sampled_from(["upload", "picture", "session", "the", "x"]),
    st.sampled_from(['"connection refused"', '"a picture"', '-"refused"', "-attempt", "-send_picture"]),
    st.sampled_from(["lang:py", "-lang:ts", "lang:klingon", "in:code", "in:tests", "-in:docs", "in:here"]),
    st.sampled_from(["path:src", "-path:web", "path:*.py", "path:[", 'path:"a b"', "path:", "-", '"', "--x"]),
    st.text(alphabet=st.sampled_from('ab:"-_*[]!?/\\ \t(){}.,öß東'), max_size=12),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES, min_size=1, max_size=6).map(" ".join))
def test_every_question_is_answered_and_every_hit_is_as_asked(workspace: Workspace, question: str) -> None:
    reading = parse_question(question)
    assert set(split_words(reading.words)) <= set(split_words(question)), "no word is made up"
    if not any(reading.filter):
        assert reading.words == question, "without filters nothing is changed"
    try:
        results = ask(workspace, question)
    except QueryError as error:
        assert "\n" not in str(error)
        return
    wanted = reading.filter
    for hit in results.hits:
        text = " ".join(workspace.text(hit).lower().split())
        assert not wanted.languages or hit.language in wanted.languages
        assert hit.language not in wanted.not_languages
        assert not wanted.contents or content_of(hit.path, hit.language) in wanted.contents <= set(CONTENTS)
        if not results.note:
            assert all(" ".join(phrase.lower().split()) in text for phrase in wanted.phrases)
        assert not any(word in split_words(text) for word in wanted.without)


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    assert isinstance(parse_question(text).words, str)


@given(st.text(alphabet=st.characters(exclude_characters='":-')))
def test_a_question_of_words_alone_is_not_even_read(text: str) -> None:
    try:
        assert Question.of_text(text) == Question(text)
    except QueryError:
        assert not split_words(text)


@pytest.mark.parametrize(
    "question",
    [
        "где восстанавливается пароль",
        "비밀번호를 다시 설정하는 함수",
        "dove viene aperta la connessione della sessione",
        "gdzie jest czytany plik konfiguracji",
        "waar wordt het configuratiebestand gelezen",
        "kde se načítá konfigurační soubor",
        "yapılandırma dosyası nerede okunur",
        "tệp cấu hình được đọc ở đâu",
        "wo wird die Wiederholung nach einem Fehler gemacht",
        "où est la connexion fermée quand elle échoue",
        "dónde se cierra la conexión con el servidor",
        "任务失败后重试在哪里实现",
        "消費税込みの価格を計算する関数",
    ],
)
def test_a_question_in_another_language_is_told_from_an_english_one(question: str) -> None:
    assert not Question.of_text(question).may_be_english


@pytest.mark.parametrize(
    "question",
    [
        "where do we retry failed uploads",
        "parse_json",
        "das keyboard driver",
        "λ of the naïve café",
        "como",
        'la "la" land',
        "std::vector<int>",
        "Erdős and Gödel numbering",
        "until jest mocks are reset by hand",
    ],
)
def test_english_and_names_are_told_from_other_languages(question: str) -> None:
    assert Question.of_text(question).may_be_english


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_regex_meets_the_end_of_a_line_whatever_ends_it(tmp_path: Path, end: str) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "send.py").write_bytes(
        end.join(["def send_picture(session):", "    retry = 5", "    return session.put(retry)"]).encode()
    )
    with Workspace.open(tmp_path / "tree", index_dir=tmp_path / "indexes") as opened:
        opened.refresh()
        options = ALL._replace(filters=(Filter(regexes=("retry = 5$",)),))
        assert [hit.path for hit in opened.search("send", options).hits] == ["send.py"]
