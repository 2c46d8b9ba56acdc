"""Ignore patterns mean what they mean to git."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planting import Plant

from modstar_lsp.files import walk
from modstar_lsp.files.ignore import MAX_IGNORE_BYTES, Patterns
from modstar_lsp.files.wildmatch import Glob

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def ignored(lines: list[str], path: str, folded: bool = False) -> bool:
    """The verdict on a file as the walk comes to it: folders above first."""
    patterns = Patterns(lines, folded)
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
        (["/*.py", "a/*.c"], ["x.py", "a/x.c"], ["a/x.py", "a/b/x.c"]),
        (["foo*bar"], ["foobar", "foo.x.bar"], ["foo/bar"]),
        (["a\\*b"], ["a*b"], ["axb"]),
        (["café"], ["café"], ["cafe"]),
    ],
)
def test_pattern_examples(lines: list[str], hits: list[str], misses: list[str]) -> None:
    assert [path for path in hits if not ignored(lines, path)] == []
    assert [path for path in misses if ignored(lines, path)] == []


PATHS = ["a", "b.c", "a.c", "ab/a", "ab/b.c", "ab/cd/a.c", "cd/ab/b", "cd/x.y.c", "-x", "ab/[a]"]
PATHS += ["A", "B.c", "ab/CD/a.C", "Ab/b.C", "[A]", "K"]


PIECES = (
    *(
        "a b c . / * ? ! - ** *** **/ /** /**/ ab cd \\ \\* \\? [ ] []a] [!]] [a-c] [!a] [^b-] [z-a] [--c] "
    ).split(),
    *("A B AB [A-C] [A] [!A] [Z-a] [[:upper:]] [[:lower:]] [![:upper:]] K k \u212a \\A").split(),
    *("[a- [[:alpha:]] [![:digit:]x] [[:nope:]] [[:a] [[] [a/b] [\\]a] [a-\\c]").split(),
    " ",
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


@needs_git
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(
        st.lists(st.sampled_from(PIECES), max_size=8)
        .map("".join)
        .filter(lambda line: not line.startswith("#")),
        min_size=1,
        max_size=12,
    ),
    folded=st.booleans(),
)
def test_the_answers_are_those_of_git(repository: Path, lines: list[str], folded: bool) -> None:
    found = {path for path in PATHS if ignored(lines, path, folded)}
    assert found == ignored_by_git(repository, lines, PATHS, folded)


# Each name and path as a rule may spell it, with what no rule says beside it.
PLAIN = [
    f"{mark}{slash}{text}{end}"
    for text in ("a", "A", "b.c", "ab", "aB", "ab/a", "ab/cd", "cd/ab/b", "#x", "!x", "x y", "x", "", "#")
    for mark in ("", "!", "!!", "\\")
    for slash in ("", "/", "//", "**/")
    for end in ("", "/", "//", " ", "\\ ", "/ ", "\r", " \r")
]
PLAIN_PATHS = [
    *PATHS,
    *("#x", "!x", "ab/#x", "ab/!x", "#x/a", "!x/a", "x", "x ", "x y", "ab/x ", "x\r", " ", "#"),
]


@needs_git
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.randoms(use_true_random=False),
    picked=st.lists(st.sampled_from(PLAIN), min_size=1, max_size=40),
    wild=st.lists(st.sampled_from(["a*", "!*.c", "ab/**", "!**/b", "*", "!?", "[ab]/", "!*/"]), max_size=2),
    folded=st.booleans(),
)
def test_many_plain_rules_are_those_of_git(
    repository: Path, seed: random.Random, picked: list[str], wild: list[str], folded: bool
) -> None:
    """Rules without wildcards, of which a generated file has thousands: the last that speaks counts."""
    lines = [*picked, *wild, *(f"{'!' * (n % 3 == 0)}made_{n}.c{'/' * (n % 2)}" for n in range(200))]
    seed.shuffle(lines)
    found = {path for path in PLAIN_PATHS if ignored(lines, path, folded)}
    assert found == ignored_by_git(repository, lines, PLAIN_PATHS, folded)


def ignored_by_git(repository: Path, lines: list[str], paths: list[str], folded: bool) -> set[str]:
    (repository / ".gitignore").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    asked = subprocess.run(
        [
            "git",
            "-c",
            f"core.ignorecase={str(folded).lower()}",
            "check-ignore",
            "--no-index",
            "--stdin",
            "-z",
        ],
        cwd=repository,
        input="\0".join(paths).encode(),
        capture_output=True,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull},
    )
    return {path for path in asked.stdout.decode().split("\0") if path}


A200 = "a" * 200
HOSTILE = {
    "stars": ["*a*a*a*a*a*a*a*a*a*a*b"],
    "four stars": ["*a*a*a*a"],
    "a chain of stars": ["*".join("a" * 100) + "b"],
    "classes": ["[a-z]*" * 60 + "[0-9]"],
    "negated classes": ["*[!b]" * 80 + "b"],
    "question marks": ["*" + "?" * 150 + "*" + "?" * 40 + "b*"],
    "double stars": ["**/" * 60 + "*a*a*a*b"],
    "double stars apart": ["/**/a*" * 40 + "/b"],
    "stars and double stars": ["**/*a*a*/**/*a*a*/**/*a*a*b"],
    "a long bracket": ["*[" + "a-b" * 1000 + "]" * 2 + "*b"],
    "an open bracket": ["*[" + "[:alpha:]" * 400],
    "backslashes": ["*" + "\\a*" * 300 + "b"],
    "longer than any path": ["a*" * 300_000 + "b"],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_pattern_takes_longer_than_its_text(name: str) -> None:
    """Each of these keeps a backtracking matcher busy for longer than the machine lasts."""
    script = (
        "import json, sys\n"
        "from modstar_lsp.files.ignore import Patterns\n"
        "lines, paths = json.load(sys.stdin)\n"
        "patterns = Patterns(lines)\n"
        "print([patterns.verdict(path, path.rpartition('/')[2], False) for path in paths])\n"
    )
    paths = [A200, f"{A200}.py", "/".join([A200] * 15)]
    asked = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps([HOSTILE[name], paths]),
        capture_output=True,
        text=True,
        timeout=60,  # a guard against hanging: it takes milliseconds
    )
    expected = [True, None, True] if name == "four stars" else [None] * 3
    assert asked.stdout.strip() == str(expected), asked.stderr


@given(
    pattern=st.text("ab*?/[]!-\\", max_size=40).filter(lambda text: not text.startswith("\\")),
    text=st.text("ab/", max_size=60),
)
def test_each_character_is_one_step(pattern: str, text: str) -> None:
    """The matcher walks over its text once: no more looks at it than it has characters."""

    class Counted(str):
        looks = 0

        def __iter__(self) -> Iterator[str]:
            for char in str(self):
                type(self).looks += 1
                yield char

    try:
        glob = Glob(pattern)
    except ValueError:
        return
    Counted.looks = 0
    glob.matches(Counted(text))
    assert Counted.looks <= len(text)


def test_of_many_rules_few_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A generated ignore file of 60,000 rules costs a name no more than one of a handful."""
    lines = [f"name_{number}.py" for number in range(20_000)]
    lines += [f"/made/by/tool_{number}.py" for number in range(20_000)]
    lines += [f"build_{number}_*.tmp" for number in range(10_000)]
    lines += [f"/out/{number}/**/*.o" for number in range(10_000)]
    patterns = Patterns([*lines, "!name_7.py", "!build_77_kept*.tmp"])
    tried = 0
    matches = Glob.matches

    def counted(self: Glob, text: str) -> bool:
        nonlocal tried
        tried += 1
        return matches(self, text)

    monkeypatch.setattr(Glob, "matches", counted)
    expected = {
        "src/name_123.py": True,
        "name_7.py": False,
        "made/by/tool_19999.py": True,
        "made/by/tool_20000.py": None,
        "build_9999_x.tmp": True,
        "build_77_kept.tmp": False,
        "build_77_x.tmp": True,
        "out/4321/a/b/c.o": True,
        "out/4321/a/b/c.h": None,
        "src/module.py": None,
    }
    found = {path: patterns.verdict(path, path.rpartition("/")[2], False) for path in expected}
    assert found == expected
    assert tried < 200 * len(expected)  # of 20,000 with wildcards


def test_more_wildcards_than_anybody_writes_are_not_all_obeyed() -> None:
    patterns = Patterns([f"*{number}*x?" for number in range(100)] * 50 + ["*.log", "name.py"])
    assert patterns.verdict("a.log", "a.log", False)
    assert patterns.verdict("name.py", "name.py", False)
    assert patterns.verdict("7xy", "7xy", False)


def test_thousands_of_rules_hold_to_the_last_and_half_a_rule_says_nothing(plant: Plant) -> None:
    """What is longer than any ignore file is read to its last whole line: the next may begin with `src`."""
    rules = [f"/generated/by/some/tool/with/long/names/file_{number}.py" for number in range(40_000)]
    root = plant({".gitignore": "\n".join([*rules, "last.py"]), "last.py": "", "src/a.py": ""})
    assert [file.path for file in walk(root).files] == ["src/a.py"]
    start = "\n".join(rules)
    start += "\n" + "#" * (MAX_IGNORE_BYTES - len(start) - 5) + "\nsrc"
    (root / ".gitignore").write_text(start + "/b.py\n", encoding="utf-8", newline="")
    assert [file.path for file in walk(root).files] == ["last.py", "src/a.py"]


@pytest.mark.parametrize("setting", ["ignorecase = true", "ignoreCase", "IgnoreCase=Yes # made on a Mac"])
def test_capitals_count_as_small_letters_where_git_was_told_so(plant: Plant, setting: str) -> None:
    """As `git init` tells it on macOS and Windows, whose disks do not tell them apart."""
    files = {".gitignore": "Private.PY\n/Out/*.C\nÉ.py\n", "private.py": "", "out/a.c": "", "é.py": ""}
    root = plant({**files, ".git/HEAD": "ref: refs/heads/main\n", ".git/config": f"[core]\n\t{setting}\n"})
    assert [file.path for file in walk(root).files] == ["é.py"]  # git folds ASCII alone
    (root / ".git/config").write_text('[core "x"]\n\tignorecase = true\n[core]\n\tignorecase = false\n')
    assert [file.path for file in walk(root).files] == ["out/a.c", "private.py", "é.py"]


@pytest.mark.parametrize("named", ["{}", '"{}"', '"{}" ; mine'])
def test_excludes_that_a_repository_names_are_obeyed(
    plant: Plant, no_user_settings: Path, named: str
) -> None:
    excludes = no_user_settings / "ex#cludes"
    excludes.write_text("private.py\n")
    if named == "{}":
        excludes = excludes.rename(no_user_settings / "excludes")
    config = f"[core] excludesFile = {named.format(excludes.as_posix())}\n"
    root = plant({".git/HEAD": "ref: refs/heads/main\n", ".git/config": config, "private.py": "", "b.py": ""})
    assert [file.path for file in walk(root).files] == ["b.py"]


def test_no_share_that_a_repository_names_is_read(plant: Plant, no_user_settings: Path) -> None:
    """On Windows `//host/share` would have the user logged in there; here it is a path like any other."""
    excludes = no_user_settings / "excludes"
    excludes.write_text("private.py\n")
    config = f"[core]\n\texcludesFile = /{excludes.as_posix()}\n"
    root = plant({".git/HEAD": "ref: refs/heads/main\n", ".git/config": config, "private.py": "", "b.py": ""})
    assert [file.path for file in walk(root).files] == ["b.py", "private.py"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", [".gitignore", ".modstarignore"])
def test_an_ignore_file_begins_with_a_byte_order_mark(plant: Plant, encoding: str, name: str) -> None:
    """As PowerShell writes it, in UTF-16 up to version 5."""
    root = plant({name: "private.py\n*.js\n".encode(encoding), "private.py": "", "a.js": "", "b.py": ""})
    assert [file.path for file in walk(root).files] == ["b.py"]


def test_a_configuration_of_git_begins_with_a_byte_order_mark(plant: Plant, no_user_settings: Path) -> None:
    excludes = no_user_settings / "excludes"
    excludes.write_text("private.py\n")
    (no_user_settings / ".gitconfig").write_bytes(
        b"\xef\xbb\xbf[core]\n\texcludesFile = " + os.fsencode(excludes) + b"\n"
    )
    root = plant({".git/HEAD": "ref: refs/heads/main\n", "private.py": "", "b.py": ""})
    assert [file.path for file in walk(root).files] == ["b.py"]
