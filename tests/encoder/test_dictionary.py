"""Questions in other languages, asked of an English code base: turned into English word by word."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modstar_lsp.encoder.dictionary import FOLDER, in_english, spoken_language

QUESTIONS = Path(__file__).parents[2] / "train/data/questions/questions.jsonl"
LANGUAGES = sorted(file.stem for file in FOLDER.glob("*.tsv"))


@pytest.mark.parametrize(
    ("question", "language", "words"),
    [
        (
            "wie werden zwei Listen ohne Duplikate sortiert",
            "german",
            {"two", "lists", "deduplicate", "sorted"},
        ),
        ("Gib das Datumsformat zurück", "german", {"date", "format", "back"}),
        ("¿dónde se cierran las conexiones?", "spanish", {"closes", "connection"}),
        ("donde se leen los archivos", "spanish", {"read", "file"}),
        ("où est lu le fichier", "french", {"read", "file"}),
        ("解析 json 文件", "chinese", {"parse", "json", "file"}),
    ],
)
def test_a_question_is_read_in_english(question: str, language: str, words: set[str]) -> None:
    assert spoken_language(question) == language
    assert words <= set(re.findall(r"\w+", in_english(question).lower()))


@pytest.mark.parametrize(
    "question",
    [
        "parse json",
        "where do we retry failed uploads",
        "the date format in an error message",
        "simplify sin/cos with an argument",
        "parseJson",
        "la la land",
        "remove comment lines",
        "add a comment on the issue",
        "uber api client",
        "fur shader",
        "MIT license, die on a bad header",
        "load the de and en locale files",
        "es, en, de, fr: the list of locales",
        "DES key and the la cipher",
        "DER encoding and PEM",
        "van der Waals forces am",
        "Poincaré map en the unit circle",
        "del con from list",
        "xterm -e con la",
    ],
)
def test_english_and_names_stay_as_they_are(question: str) -> None:
    assert in_english(question) == question


def test_the_projects_english_questions_stay_as_they_are() -> None:
    asked = [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]
    english = [one["text"] for one in asked if one["language"] == "English"]
    assert len(english) > 5_000
    assert [text for text in english if in_english(text) != text] == []


def test_a_long_english_report_stays_as_it_is() -> None:
    report = "the parser fails on the list when the item is empty and no message is shown. " * 20
    assert in_english(f"{report} de la y si, it printed: Datei nicht gefunden, como") == (
        f"{report} de la y si, it printed: Datei nicht gefunden, como"
    )


@pytest.mark.parametrize("question", ["où", "que es", "un comment", "wie wo was", "的", "の"])
def test_a_question_is_never_turned_into_nothing(question: str) -> None:
    assert in_english(question).strip()


@pytest.mark.parametrize("language", ["german", "spanish", "french", "chinese", "japanese"])
@pytest.mark.parametrize(
    "hostile",
    ["a" * 100_000, "datum" * 20_000, "datei " * 17_000, "重试" * 50_000, "é" * 50_000, "a\u0301" * 50_000],
)
def test_a_question_of_100_kilobytes_is_turned_too(language: str, hostile: str) -> None:
    """As long as the test's time allows; words that grow into each other are no compounds."""
    sign = {
        "german": "wie wird nicht und oder",
        "spanish": "donde cuando entre esta hacer quiero",
        "french": "quel quelle chaque dans avec pour je",
        "chinese": "如何解析",
        "japanese": "どうやって読む",
    }[language]
    assert spoken_language(f"{sign} {hostile[:60]}") in (language, "chinese")
    assert in_english(f"{sign} {hostile}")


def test_names_in_a_question_stay_as_they_are() -> None:
    assert "parseJson" in in_english("wo wird parseJson nicht aufgerufen")
    assert "read_file" in in_english("dónde se usa read_file en la clase")
    assert "HTTPAdapter" in in_english("在哪里使用 HTTPAdapter")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_line_is_an_english_word_with_its_forms(language: str) -> None:
    seen = set()
    for number, line in enumerate((FOLDER / f"{language}.tsv").read_text("utf-8").splitlines(), 1):
        english, tab, forms = line.partition("\t")
        assert tab and english and english.isascii() and english not in seen, f"line {number}: {line[:60]}"
        assert all(form.strip() for form in forms.split(",")), f"line {number}: an empty form"
        seen.add(english)
    assert "-" in seen


_SIGNS = ("wie wird", "donde cuando", "quel quelle chaque", "解析", "どう", "")
_ODD = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.sampled_from(("der", "la", "Datei", "archivo", "x_y", "a1", "\u0301", "ß", "ｆ", "重", "¿")),
        max_size=30,
    ).map(" ".join),
)


@given(st.sampled_from(_SIGNS), _ODD)
def test_no_text_is_too_odd(sign: str, text: str) -> None:
    asked = f"{sign} {text}"
    assert bool(in_english(asked).strip()) == bool(asked.strip())
    assert in_english(asked) == in_english(asked)


@given(st.from_regex(r"[a-z]+_[a-z0-9]+|[a-z]+[A-Z][a-z]+", fullmatch=True))
def test_a_name_stays_in_any_question(name: str) -> None:
    assert name in in_english(f"wo wird {name} nicht aufgerufen").split()
