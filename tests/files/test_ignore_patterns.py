"""Ignore patterns mean what they mean to git."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modstar_lsp.files.ignore import Patterns

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def ignored(lines: list[str], path: str) -> bool:
    """The verdict on a file as the walk comes to it: folders above first."""
    patterns = Patterns(lines)
    parts = path.split("/")
    for depth in range(1, len(parts) + 1):
        verdict = patterns.verdict("/".join(parts[:depth]), parts[depth - 1], depth < len(parts))
        if verdict is True:
            return True
    return False


@pytest.mark.parametrize(
    ("lines", "hits", "misses"),
    [
        (["*.log"], ["a.log", "x/y.log"], ["a.logs", "log"]),
        (["/a"], ["a", "a/b"], ["x/a"]),
        (["a/b"], ["a/b", "a/b/c"], ["x/a/b", "a/c"]),
        (["build/"], ["build/x", "a/build/x"], ["build"]),
        (["**/x"], ["x", "a/b/x"], ["xx"]),
        (["a/**"], ["a/b", "a/b/c"], ["a", "b/a"]),
        (["a/**/z"], ["a/z", "a/b/z", "a/b/c/z"], ["z", "a/zz"]),
        (["*.a", "!keep.a"], ["x.a"], ["keep.a"]),
        (["dir/", "!dir/keep"], ["dir/keep"], []),
        (["dir/*", "!dir/keep"], ["dir/x"], ["dir/keep"]),
        (["# comment", "", "   ", "\\#x", "\\!y"], ["#x", "!y"], ["# comment", "x"]),
        (["trailing ", "kept\\ "], ["trailing", "kept "], ["trailing ", "kept"]),
        (["[ab]?.c", "[!x-z]q"], ["ab.c", "aq"], ["cb.c", "xq"]),
        (["[[:digit:]].t", "[a"], ["3.t"], ["x.t", "[a"]),
        (["foo*bar"], ["foobar", "foo.x.bar"], ["foo/bar"]),
        (["a\\*b"], ["a*b"], ["axb"]),
        (["café"], ["café"], ["cafe"]),
    ],
)
def test_pattern_examples(lines: list[str], hits: list[str], misses: list[str]) -> None:
    assert [path for path in hits if not ignored(lines, path)] == []
    assert [path for path in misses if ignored(lines, path)] == []


PATHS = ["a", "b.c", "a.c", "ab/a", "ab/b.c", "ab/cd/a.c", "cd/ab/b", "cd/x.y.c", "-x", "ab/[a]"]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


@needs_git
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(
        st.lists(st.sampled_from([*"abc./*?!-", "**", "**/", "/**", "[a-c]", "[!a]", "\\", "ab", "cd", " "]))
        .map("".join)
        .filter(lambda line: not line.startswith("#")),
        min_size=1,
        max_size=4,
    )
)
def test_the_answers_are_those_of_git(repository: Path, lines: list[str]) -> None:
    (repository / ".gitignore").write_text("\n".join(lines) + "\n", encoding="utf-8")
    asked = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin", "-z"],
        cwd=repository,
        input="\0".join(PATHS).encode(),
        capture_output=True,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull},
    )
    theirs = {path for path in asked.stdout.decode().split("\0") if path}
    assert {path for path in PATHS if ignored(lines, path)} == theirs
