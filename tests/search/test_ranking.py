"""What stands above what, among candidates made for the purpose."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from modstar_lsp.index import StoredChunk
from modstar_lsp.search.query import analyse
from modstar_lsp.search.ranking import (
    NAME_WORTH,
    WEIGHTS,
    Candidates,
    Terms,
    definition,
    features,
    several_chunks,
    weighed,
)
from modstar_lsp.search.search import order


class Made(NamedTuple):
    """A candidate: its file, and how well its words and its meaning fit."""

    file: int
    lexical: float = 0.0
    coverage: float = 0.0
    dense: float = 0.0
    nearest_words: float = 0.0
    identifiers: float = 0.0
    symbols: tuple[str, ...] = ()


def candidates(question: str, made: list[Made]) -> Candidates:
    def column(name: str) -> np.ndarray:
        return np.array([getattr(one, name) for one in made], np.float32)

    chunks = [
        StoredChunk(f"part{one.file}.py", "python", 1, 9, "function", "", "", one.symbols) for one in made
    ]
    return Candidates(
        rows=np.arange(len(made), dtype=np.int32),
        files=np.array([one.file for one in made], np.int32),
        lexical=column("lexical"),
        coverage=column("coverage"),
        dense=column("dense"),
        nearest_words=column("nearest_words"),
        identifiers=column("identifiers"),
        chunks=chunks,
        terms=Terms(dict.fromkeys(analyse(question).terms, 1.0)),
    )


def test_one_exact_rare_word_stands_above_many_chunks_that_are_only_near_in_meaning() -> None:
    question = "frobnitz of old proxies"
    near = [Made(0, dense=0.4 + number / 1000) for number in range(30)]
    far = [Made(number, dense=0.1) for number in range(2, 60)]
    exact = Made(1, lexical=5.0, coverage=0.6, dense=0.3)
    found = candidates(question, [*near, exact, *far])
    assert order(found, analyse(question))[0] == len(near)


def test_a_file_with_more_that_fits_stands_above_one_with_less() -> None:
    question = "retry failed uploads"
    found = candidates(question, [Made(0, 3.0, 0.5), Made(1, 3.0, 0.5), Made(1, 2.0, 0.4)])
    assert order(found, analyse(question))[0] == 1


def test_each_further_chunk_of_a_file_adds_less() -> None:
    question = "retry failed uploads"
    sizes = {0: 1, 1: 2, 2: 4, 3: 8}
    found = candidates(question, [Made(file, 3.0, 0.5) for file, size in sizes.items() for _ in range(size)])
    one, two, four, eight = (
        several_chunks(found, analyse(question))[found.files == file][0] for file in sizes
    )
    assert one < two < four < eight
    assert two < 2 * one
    assert eight < 2 * four


def test_a_whole_file_counts_more_for_a_topic_than_for_one_place() -> None:
    """A few words name what a file is about, many ask for one function."""
    made = [Made(0, 3.2, 0.5), *(Made(1, 1.0, 0.5) for _ in range(6))]
    topic = "connection pool handling"
    place = "which code decides whether a pooled connection has been idle for too long to be handed out again"
    first = [
        made[order(candidates(question, made), analyse(question))[0]].file for question in (topic, place)
    ]
    assert first == [1, 0]


def test_a_file_of_functions_gains_half_of_what_each_of_them_does() -> None:
    question = "retry failed uploads"
    found = candidates(question, [Made(0, 3.0, 0.5), Made(0, 2.0, 0.5), Made(1, 3.0, 0.5), Made(1, 2.0, 0.5)])
    kinds = ["function", "function", "class", "class"]
    found = found._replace(
        chunks=[one._replace(kind=kind) for one, kind in zip(found.chunks, kinds, strict=True)]
    )
    columns = features(found, analyse(question), list(WEIGHTS))
    added = weighed(columns, found.files, list(WEIGHTS), WEIGHTS)[:, list(WEIGHTS).index("function")]
    assert added.tolist() == [0.5 * WEIGHTS["function"]] * 2 + [0.0] * 2
    # The best of a file that is none would be its best anyway: nothing is taken from the function beside it.
    mixed = found._replace(
        files=np.array([0, 1, 0, 1], np.int32), lexical=np.array([0.1, 2, 9, 3], np.float32)
    )
    rules = ["lexical", "function"]
    added = weighed(
        features(mixed, analyse(question), rules), mixed.files, rules, {"lexical": 2.0, "function": 1.0}
    )
    assert added[0, 1] == 1.0
    assert added[1, 1] == pytest.approx(0.5 + 1 / 9)


def test_a_name_counts_less_the_more_else_is_asked() -> None:
    def worth(question: str) -> float:
        found = candidates(question, [Made(0, symbols=("FromJson",))])
        return float(definition(found, analyse(question))[0])

    bare, short = worth("FromJson"), worth("FromJson instances")
    long = worth("derive instances of FromJson from a template at compile time")
    assert bare == NAME_WORTH
    assert bare > short > long > 0


def test_chosen_candidates_keep_all_that_is_known_of_them() -> None:
    found = candidates("retry failed uploads", [Made(place, 1.0 + place) for place in range(3)])
    columns = {
        name: np.arange(3, dtype=np.float32) + at
        for at, (name, value) in enumerate(found._asdict().items())
        if isinstance(value, np.ndarray) or value is None
    }
    full = found._replace(**columns)
    chosen = full.at(np.array([2, 0]))
    assert [chunk.path for chunk in chosen.chunks] == ["part2.py", "part0.py"]
    for name, values in columns.items():
        assert getattr(chosen, name).tolist() == values[[2, 0]].tolist(), name
