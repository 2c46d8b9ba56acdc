"""What somebody sees who looks on while an index is made."""

from __future__ import annotations

import os
import re

import pytest

from modstar_lsp.cli.progress import ProgressBar
from modstar_lsp.index import Progress
from tests.cli.conftest import Shell, write_files
from tests.cli.terminals import on_terminal, screen_after

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")

# A machine that is quick enough for the bar to be skipped shows it here all the same.
SHOW_AT_ONCE = """
from modstar_lsp.cli import progress
from modstar_lsp.index.writing import refresh
progress.DELAY = progress.INTERVAL = progress.PREVIEW_INTERVAL = refresh._FIRST_COMMIT_SECONDS = 0
"""


@pytest.fixture
def large(shell: Shell) -> Shell:
    """A shop with some thousand functions."""
    body = "\n".join(f"def step_{n}(value):\n    return value * {n}\n" for n in range(200))
    write_files(shell.cwd, {f"src/big{n}.py": body for n in range(60)})
    return shell


def test_the_first_answers_are_shown_while_the_index_grows_and_then_the_final_ones(large: Shell) -> None:
    seen = on_terminal(large, "query", "step_7", "--color", "never", program=SHOW_AT_ONCE)
    assert seen.status == 0
    assert re.search(r"the best of \d+% so far:\n  src/big\d+\.py:\d+  step_7", seen.screen)
    final = large.query("step_7")
    assert screen_after(seen.screen).strip() == final.out.strip(), "the first ones are taken away"


def test_the_first_answers_are_never_written_to_a_pipe(large: Shell) -> None:
    answer = large.query("step_7", program=SHOW_AT_ONCE)
    assert answer.err == "" and "so far" not in answer.out


@pytest.mark.parametrize("module", ["index", "query"])
def test_an_interrupt_clears_the_bar_and_says_what_is_kept(large: Shell, module: str) -> None:
    words = ["step_7"] if module == "query" else []
    seen = on_terminal(large, module, *words, program=SHOW_AT_ONCE, interrupt_at="Indexing")
    assert seen.status == 130
    told = screen_after(seen.screen).strip()
    assert re.fullmatch(
        rf"modstar-{module}: interrupted: \d+ of 67 files are indexed and kept; "
        r"the same command goes on from there",
        told,
    )


def test_the_bar_tells_the_rest_and_is_not_full_before_the_end(large: Shell) -> None:
    seen = on_terminal(large, "index", program=SHOW_AT_ONCE)
    shares = [int(share) for share in re.findall(r"(\d+)%", seen.screen)]
    assert shares == sorted(shares) and 0 < max(shares) < 100
    assert "67/67" in seen.screen


def test_the_rest_is_told_by_what_was_done_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    bar = ProgressBar()
    for share, seconds, told in [
        (0.05, 5.0, ""),
        (0.2, 0.5, ""),
        (0.2, 10.0, "about 40 s left"),
        (0.5, 4.2, "about 4 s left"),
        (0.1, 60.0, "about 9 min left"),
        (0.92, 30.0, "about 3 s left"),
    ]:
        line = bar._line(Progress("index", 10, 100, "a.py", share), seconds)
        assert (told in line) if told else ("left" not in line)


def test_the_rest_holds_the_graph_that_will_follow() -> None:
    bar = ProgressBar(graph_follows=lambda chunks: chunks > 20_000)
    for chunks, told in [(20_000, "about 10 s left"), (20_001, "about 15 s left")]:
        assert told in bar._line(Progress("index", 10, 100, "a.py", 0.5, chunks), 10.0)
