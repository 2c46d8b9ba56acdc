"""Questions in other languages, asked of an English code base: turned into English word by word."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modstar_lsp.encoder.dictionary import FOLDER, in_english, spoken_language

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
    ],
)
def test_english_and_names_stay_as_they_are(question: str) -> None:
    assert in_english(question) == question


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


@given(st.text(max_size=80))
def test_no_text_is_too_odd(text: str) -> None:
    assert isinstance(in_english(text), str)
