"""Questions for functions: read from their files, asked of sources or of whole repositories."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.sets import Function, SetError, load_functions

QUERY = {
    "id": "q1",
    "repo": "shop",
    "text": "where are prices rounded?",
    "category": "how",
    "answers": [{"path": "cart.py", "name": "total", "start": 10, "end": 20}],
}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    (tmp_path / "sets" / "plain").mkdir(parents=True)
    (tmp_path / "sets" / "plain" / "queries.jsonl").write_text(json.dumps(QUERY) + "\n")
    roots = [{"name": "shop", "benchmark_root": "src/shop"}]
    (tmp_path / "sets" / "plain" / "repos.json").write_text(json.dumps(roots))
    (tmp_path / "trees" / "plain" / "shop" / "src" / "shop").mkdir(parents=True)
    return tmp_path


def test_the_sources_are_searched_or_all_of_the_repository(made: Path) -> None:
    sources = load_functions(made / "sets", "plain", made / "trees")
    assert sources.trees["shop"] == made / "trees/plain/shop/src/shop"
    assert sources.queries[0].answers == (Function("cart.py", 10, 20),)
    whole = load_functions(made / "sets", "plain", made / "trees", whole=True)
    assert whole.trees["shop"] == made / "trees/plain/shop"
    assert whole.queries[0].answers == (Function("src/shop/cart.py", 10, 20),)


def test_a_set_without_trees_says_where_they_go(made: Path) -> None:
    with pytest.raises(SetError, match="lay them out as TREES/plain/<repository>"):
        load_functions(made / "sets", "plain", made / "nowhere")


@pytest.mark.parametrize(
    ("start", "end", "hit"),
    [(10, 20, True), (1, 15, True), (12, 14, True), (18, 40, False), (21, 30, False), (1, 100, True)],
)
def test_a_hit_shows_a_function_when_half_of_the_shorter_is_shared(start: int, end: int, hit: bool) -> None:
    assert Function("cart.py", 10, 20).is_hit("cart.py", start, end) is hit
    assert not Function("cart.py", 10, 20).is_hit("other.py", start, end)
