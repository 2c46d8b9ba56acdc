"""The last stage: the best candidates are read with the question, for as long as it may take."""

from __future__ import annotations

import numpy as np
import pytest

from modstar_lsp.encoder.readings import KeptReadings, Reading
from modstar_lsp.errors import QueryError
from modstar_lsp.search import Options, Results
from modstar_lsp.workspace import Workspace
from modstar_lsp.workspace.question import Question

QUESTION = "what happens when the network goes away in the middle of sending a file?"
# Seconds that are never used up: these questions are read in far less.
PLENTY = 600.0


def asked(shop: Workspace, text: str = QUESTION, budget: float = PLENTY, **options: float) -> Results:
    return shop.search(text, Options(budget=budget, min_score=0.0, **options))


def places(results: Results) -> list[tuple[str, int]]:
    return [(hit.path, hit.start_line) for hit in results.hits]


def test_no_budget_reads_nothing(shop: Workspace) -> None:
    results = asked(shop, budget=0)
    assert results.stage is None
    assert all("reading" not in hit.explanation for hit in results.hits)


def test_the_candidates_are_read_and_their_order_says_why(shop: Workspace) -> None:
    results = asked(shop)
    assert results.stage is not None and not results.stage.cut
    assert results.stage.read == results.stage.wanted > 1
    assert set(places(results)) == set(places(asked(shop, budget=0)))
    assert any(hit.explanation.get("reading") for hit in results.hits)
    totals = [sum(hit.explanation.values()) for hit in results.hits]
    assert totals[0] == max(totals)


def test_the_same_question_gets_the_same_answer_from_what_was_kept(shop: Workspace) -> None:
    first, again = asked(shop), asked(shop)
    assert places(first) == places(again)
    assert [hit.score for hit in first.hits] == [hit.score for hit in again.hits]


def test_too_little_time_is_said_and_leaves_the_first_answer(shop: Workspace) -> None:
    shop.encoder.reranker().kept = KeptReadings()  # type: ignore[union-attr]
    results = asked(shop, budget=1e-9)
    assert results.stage is not None and results.stage.cut and not results.stage.read
    assert places(results) == places(asked(shop, budget=0))


def test_cancelling_leaves_the_first_answer(shop: Workspace) -> None:
    shop.encoder.reranker().kept = KeptReadings()  # type: ignore[union-attr]
    options = Options(budget=PLENTY, min_score=0.0)
    results = shop.ask(Question(QUESTION), options, cancelled=lambda: True)
    assert results.stage is not None and results.stage.cut
    assert places(results) == places(asked(shop, budget=0))


def test_a_name_says_itself_and_nothing_is_read(shop: Workspace) -> None:
    assert asked(shop, "parse_json").stage is None


def test_a_file_that_is_gone_is_not_read(shop: Workspace) -> None:
    (shop.root / "app/transfer/uploads.py").unlink()
    results = shop.ask(Question(QUESTION), Options(budget=PLENTY, min_score=0.0), as_indexed=True)
    assert results.stage is not None and results.stage.read < results.stage.wanted and not results.stage.cut
    assert all(not hit.explanation.get("reading") for hit in results.hits if hit.path.endswith("uploads.py"))


@pytest.mark.parametrize(
    "text", ["a " * 5_000, "?! a", "\ud800 file", "datei senden ohne netz", "中文 文件 上传"]
)
def test_any_question_is_answered(shop: Workspace, text: str) -> None:
    asked(shop, text)


def test_a_budget_below_zero_is_refused(shop: Workspace) -> None:
    with pytest.raises(QueryError, match="budget is -1 seconds"):
        asked(shop, budget=-1)


def test_what_is_kept_is_bounded_and_the_newest_stays() -> None:
    def reading(size: int) -> Reading:
        rows = np.zeros((size, 8), np.float32)
        return Reading(rows, rows[:, 0], rows[0])

    kept = KeptReadings(most_bytes=10_000)
    for number in range(50):
        kept.put(bytes([number]), reading(100))
    assert not kept.get(bytes([0])) and kept.get(bytes([49]))
    kept.put(b"large", reading(10_000))
    assert kept.get(b"large") and not kept.get(bytes([49]))
