"""`python -m bench.public`: what anybody can measure, tried with a package that lies on the disk."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bench.public import main

STALL = '''class Stall:
    def weigh(self, crate, scale):
        """Put a crate on the scale and take its own weight off."""
        scale.tare(crate.empty_weight)
        reading = scale.read(crate)
        if reading < 0:
            raise ValueError(crate)
        return reading

    def close(self, till, street):
        """Count the money and go home before the rain."""
        total = sum(coin.worth for coin in till)
        street.leave(self, total)
        return total
'''
QUESTION = "where does the fruit's container get subtracted when it lies on the balance?"


def package(folder: Path, name: str, **row: Any) -> dict[str, Any]:
    """A wheel of the stall, and the line of a manifest that pins it."""
    file = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}/stall.py", STALL)
        archive.writestr(
            f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    pinned = {
        "name": name,
        "package": f"pypi:{file}",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "repository": f"farm/{name}",
        "licence": "MIT",
        "languages": ["python"],
        "root": name,
    }
    return {**pinned, **row}


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    """A manifest of one package that is held out and one that is not, and a question about the first."""
    rows = [package(tmp_path, "market_stall", held_out=True), package(tmp_path, "other_stall")]
    (tmp_path / "packages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = {"id": "q1", "text": QUESTION, "category": "how", "language": "English", "lang": "python"}
    answer = {"package": "market_stall", "path": "stall.py", "lines": [2, 8], "name": "Stall.weigh"}
    asked |= answer | {"also": [], "split": "held_out"}
    (tmp_path / "questions.jsonl").write_text(json.dumps(asked) + "\n")
    return tmp_path


def run(farm: Path, *more: str) -> int:
    pinned = ["--manifest", farm / "packages.jsonl", "--questions", farm / "questions.jsonl"]
    return main([*map(str, [*pinned, "--out", farm / "out"]), *more])


def results(farm: Path) -> Any:
    (file,) = (farm / "out" / "results").glob("*-public-*.json")
    return json.loads(file.read_text("utf-8"))["results"]


def test_questions_and_docstrings_are_asked_with_and_without_a_model(
    farm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(farm) == 0
    found = results(farm)
    assert {of_set: list(rows) for of_set, rows in found.items()} == {
        "questions": ["without a model", "exit 0"],
        "docstrings": ["without a model", "exit 0"],
    }
    assert [len(values) for values in found["docstrings"].values()] == [2, 2]
    # Of two functions each is among the first ten.
    assert all(value > 0 for value in found["questions"]["exit 0"] + found["docstrings"]["exit 0"])
    said = capsys.readouterr().out
    assert "questions: 1 asked" in said and "docstrings: 2 asked" in said
    assert "other_stall" not in said


def test_a_second_run_uses_what_was_fetched(farm: Path) -> None:
    assert run(farm) == 0
    for wheel in farm.glob("*.whl"):
        wheel.unlink()
    before = results(farm)
    assert run(farm) == 0
    assert results(farm) == before


def test_a_package_that_cannot_be_had_is_told_and_the_others_are_measured(
    farm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    next(farm.glob("other_stall*.whl")).unlink()
    assert run(farm, "--only", "market_stall", "other_stall") == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "other_stall" in said.err
    assert "packages: market_stall" in said.out


def test_questions_that_may_have_been_trained_on_are_told(
    farm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(farm, "--only", "other_stall") == 0
    assert "trained on: other_stall" in capsys.readouterr().out
    assert list(results(farm)) == ["docstrings"]


@pytest.mark.parametrize(
    ("more", "told"),
    [(["--only", "nobody"], "no package nobody"), (["--exits", "77"], "no exit 77")],
)
def test_what_is_not_there_is_told_in_one_line(
    farm: Path, capsys: pytest.CaptureFixture[str], more: list[str], told: str
) -> None:
    assert run(farm, *more) == 2
    said = capsys.readouterr()
    assert told in said.err and said.err.count("\n") == 1 and not said.out


def test_it_needs_what_the_runtime_needs_and_no_more() -> None:
    heavy = "torch", "transformers", "optimum", "onnx", "accelerate", "zstandard"
    blocked = f"import sys; sys.modules.update(dict.fromkeys({heavy!r})); import bench.public"
    subprocess.run([sys.executable, "-c", blocked], check=True, cwd=Path(__file__).parents[2])
