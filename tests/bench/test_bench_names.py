"""grep's promise is measured: names that one line defines, identifiers that one file holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.names import main

_FILES = {
    "shop/pool.py": '''\
def open_pool(size):
    """Open a pool of connections."""
    limit_of_pool = read_limit("POOL_LIMIT")
    return [connect(limit_of_pool) for _ in range(size)]


def close_pool(pool):
    """Close what open_pool opened."""
    pool.clear()
''',
    "shop/prices.go": """\
package shop

// TaxOf is the tax on a price.
func TaxOf(price int) int {
	return price * taxRate / 100
}
""",
    "shop/basket.ts": """\
export class Basket {
  addItem(item: string) { return this.itemsSoFar.push(item) }
}
""",
}
_TWICE = {"shop/again.py": "def close_pool(pool):\n    pool.close()\n"}


@pytest.fixture
def trees(tmp_path: Path) -> Path:
    for tree, files in {"one": _FILES, "two": {**_FILES, **_TWICE}}.items():
        for path, text in files.items():
            (tmp_path / "trees" / tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "trees" / tree / path).write_text(text)
    return tmp_path / "trees"


def test_names_are_asked_counted_and_recorded(
    trees: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--trees", str(trees), "--out", str(tmp_path / "out")]) == 0
    (written,) = (tmp_path / "out").glob("*-names-*.json")
    record = json.loads(written.read_text())
    results = record["results"]
    assert list(results) == list(record["inputs"]) == ["one", "two"]
    one, two = results["one"]["definitions"], results["two"]["definitions"]
    assert one["asked"] >= 5 and one["found"] == one["asked"] and one["refused"] == 0
    assert two["asked"] == one["asked"] - 1, "what two lines define has no right line"
    assert results["one"]["identifiers"]["asked"] >= 4
    assert results["one"]["identifiers"]["found"] == results["one"]["identifiers"]["asked"]
    assert "definitions" in capsys.readouterr().out
    assert str(tmp_path) not in written.read_text()


def test_a_sample_is_no_larger_than_asked_for_and_the_same_again(trees: Path, tmp_path: Path) -> None:
    counts = []
    for out in ("a", "b"):
        given = ["--trees", str(trees), "--names", "one", "--sample", "2", "--out", str(tmp_path / out)]
        assert main(given) == 0
        (written,) = (tmp_path / out).glob("*-names-*.json")
        counts.append(json.loads(written.read_text())["results"])
    assert counts[0] == counts[1]
    assert counts[0]["one"]["definitions"]["asked"] == 2


def test_trees_that_are_not_there_are_told(
    trees: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for given, told in (
        (["--trees", str(tmp_path / "nowhere")], "no such folder"),
        (["--trees", str(trees), "--names", "three"], "no such tree"),
        (["--trees", str(tmp_path / "empty")], "no trees"),
    ):
        assert main(given) == 2
        assert told in capsys.readouterr().err


def test_a_picture_in_a_notebook_names_nothing(trees: Path, tmp_path: Path) -> None:
    notebook = {
        "cells": [
            {
                "cell_type": "code",
                "metadata": {},
                "execution_count": 1,
                "source": ["draw_prices(first_basket)\n"],
                "outputs": [
                    {"output_type": "display_data", "data": {"image/png": "aB3x/qW9k+zR4t/"}, "metadata": {}}
                ],
            }
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    counts = []
    for written in ("before", "after"):
        assert main(["--trees", str(trees), "--names", "one", "--out", str(tmp_path / written)]) == 0
        (record,) = (tmp_path / written).glob("*-names-*.json")
        counts.append(json.loads(record.read_text())["results"]["one"]["identifiers"])
        (trees / "one" / "prices.ipynb").write_text(json.dumps(notebook, indent=1))
    before, after = counts
    assert after["asked"] == before["asked"] + 2, "draw_prices and first_basket, and nothing of the picture"
    assert after["found"] == after["asked"]
