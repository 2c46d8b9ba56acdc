"""A set made of a history asks what its commits said for the files that they changed, before they did."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bench.asking import COMMITS
from bench.commits import SPREAD, main
from evaluation.sets import load_repos

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

# (what is said, the files changed), oldest first
HISTORY = [
    ("start", ["shop/cart.py", "shop/pay.py", "tests/test_cart.py", "README.md"]),
    ("retry a refused payment after a pause", ["shop/pay.py", "tests/test_cart.py"]),
    ("bump version to 2", ["shop/cart.py"]),
    ("explain how to install the shop", ["README.md"]),
    ("round prices in carts to whole cents", ["shop/cart.py"]),
]


def history(root: Path) -> Path:
    """A repository whose commits each add a line to some files."""

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)

    root.mkdir()
    git("init", "-q")
    for number, (said, paths) in enumerate(HISTORY):
        for path in paths:
            (root / path).parent.mkdir(exist_ok=True)
            with (root / path).open("a", encoding="utf-8") as stream:
                stream.write(f"line_{number} = {number}\n")
        git("add", ".")
        git("commit", "-q", "-m", said)
    return root


def test_subjects_ask_for_the_code_they_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.commits.SPREAD", 1)
    out = tmp_path / "out"
    assert main([f"shop={history(tmp_path / 'repository')}", "--out", str(out)]) == 0
    made = load_repos(out, COMMITS, out / "trees")
    asked = {query.text: set(query.targets) for query in made.queries}
    # Neither versions nor prose ask for code, and tests are not what is asked for.
    assert asked == {
        "round prices in carts to whole cents": {"shop/cart.py"},
        "retry a refused payment after a pause": {"shop/pay.py"},
    }
    assert not made.missing
    # As it was before the first of them: nothing that they wrote can answer.
    tree = made.trees["shop"]
    assert {path.read_text(encoding="utf-8") for path in tree.rglob("*.py")} == {"line_0 = 0\n"}


def test_neighbours_in_the_history_are_passed_over(tmp_path: Path) -> None:
    assert SPREAD > 1
    assert main([f"shop={history(tmp_path / 'repository')}", "--out", str(tmp_path / "out")]) == 0
    made = load_repos(tmp_path / "out", COMMITS, tmp_path / "out" / "trees")
    assert [query.text for query in made.queries] == ["round prices in carts to whole cents"]


def test_what_gives_no_question_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = history(tmp_path / "repository")
    out = ["--out", str(tmp_path / "out")]
    assert main([f"shop={repository}", *out]) == 0
    capsys.readouterr()
    assert main([f"shop={repository}", *out]) == 2
    assert "exists already" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main([f"other={tmp_path / 'empty'}", *out]) == 2
    said = capsys.readouterr().err
    assert said.startswith("bench.commits: ") and said.count("\n") == 1
    with pytest.raises(SystemExit):
        main([f"other={tmp_path / 'absent'}", *out])
    assert "folder that is there" in capsys.readouterr().err
