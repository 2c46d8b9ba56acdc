"""Trees that attack who reads them: an honest file beside them has to be found, and nothing to hang."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

from bench.torture.material import HUNG_SECONDS, Counts, Rounds, write
from modstar_lsp.chunking.grammars import GRAMMARS
from modstar_lsp.files.languages import EXTENSIONS

_GLOB_PARTS = ("*", "**", "**/", "?", "a", "[a-z]", "[!b]", "[", "]", "\\", "/", "!", "{a,b}", "é", " ")
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"), ("<", ">"))
_OPENERS = ('"""', "/*", "<!--", "`", "'", "(*", "--[[", "#|", "<<EOF\n", "{-", '@"', 'R"(', "=begin\n")
_ODD_TEXT = ("\0", "\u202e", "\u200b", "\U000e0041", "\x1b]52;c;aGk=\x07", "\ufeff", "\r", "\x0c", "\u2028")
_NAMES = (
    "a:12:3.py", "new\nline.py", "tab\t.py", "\u202egnp.py", "zero\u200bwidth.py", "x" * 250 + ".py",
    "-rf.py", "--help.py", "a b.py", "$HOME.py", "`id`.py", "'quoted\".py", "*.py", "[a].py", "a\\b.py",
    "\x1b[31mred.py", "CON.py", "é.py", "e\u0301.py", "..py", "...", "#.py", "%s%n.py", "\u2028.py",
)  # fmt: skip


def _suffix(chance: Random) -> str:
    return chance.choice(sorted(suffix for suffix, language in EXTENSIONS.items() if language in GRAMMARS))


def _stars(root: Path, chance: Random) -> None:
    write(root / ".gitignore", "*a" * chance.randrange(8, 40) + "b\n")
    write(root / ("a" * 200 + ".py"), "x = 1\n")


def _globs(root: Path, chance: Random) -> None:
    rules = ("".join(chance.choices(_GLOB_PARTS, k=chance.randrange(1, 60))) for _ in range(200))
    write(root / chance.choice((".gitignore", ".modstarignore")), "\n".join(rules) + "\n!honest.py\n")
    for _ in range(20):
        write(root / "".join(chance.choices("abé", k=60)) / ("a" * 100 + ".py"), "x = 1\n")


def _rules(root: Path, chance: Random) -> None:
    many = chance.randrange(10_000, 40_000)
    write(root / ".gitignore", "".join(f"dir{n}/*.x{n}\n" for n in range(many)))


def _nesting(root: Path, chance: Random) -> None:
    opening, closing = chance.choice(_BRACKETS)
    deep = chance.randrange(5_000, 100_000)
    write(root / f"deep.{_suffix(chance)}", opening * deep + closing * chance.choice((0, deep)))


def _lines(root: Path, chance: Random) -> None:
    line = chance.choice(
        ("let x =\n", "if x:\n", "x = [\n", "class A\n", "- a:\n", "def f\n", "a ? b :\n", "\n")
    )
    write(root / f"lines.{_suffix(chance)}", line * chance.randrange(5_000, 60_000))


def _one_line(root: Path, chance: Random) -> None:
    part = chance.choice(("a=1;", "a+", "a.b.", "f(", "x,", "!", "&&a", "<a>", "a:b,", "\\", "é"))
    write(root / f"line.{_suffix(chance)}", part * (chance.randrange(10_000, 900_000) // len(part.encode())))


def _unclosed(root: Path, chance: Random) -> None:
    write(root / f"open.{_suffix(chance)}", chance.choice(_OPENERS) + "x " * chance.randrange(1_000, 200_000))


def _definitions(root: Path, chance: Random) -> None:
    write(root / "many.js", "function f(){" * chance.randrange(1_000, 5_000) + "}" * 3_000)
    write(root / "many.py", "".join(f"{' ' * n}class A{n}:\n" for n in range(chance.randrange(90, 600))))


def _noise(root: Path, chance: Random) -> None:
    (root / f"noise.{_suffix(chance)}").write_bytes(chance.randbytes(chance.randrange(1, 500_000)))
    letters = "".join(chance.choices("(){}[];:,.<>=!&|\"'`\n ab01", k=chance.randrange(1, 100_000)))
    write(root / f"letters.{_suffix(chance)}", letters)


def _halves(root: Path, chance: Random) -> None:
    half = chance.choice(
        (b"\xed\xa0\x80", b"\xff\xfe", b"\xef\xbb\xbf", b"\x80", b"\xf4\x90\x80\x80", b"\x00d")
    )
    (root / f"half.{_suffix(chance)}").write_bytes((b"x = '" + half + b"'\n") * chance.randrange(1, 1_000))


def _marks(root: Path, chance: Random) -> None:
    marks = "".join(chance.choices(_ODD_TEXT, k=8))
    write(root / f"marks.{_suffix(chance)}", f"# {marks}\n" * chance.randrange(1, 2_000))


def _unspaced(root: Path, chance: Random) -> None:
    text = "".join(chance.choices("重试失败のをกขคабвαβ", k=20))
    write(root / f"words.{_suffix(chance)}", f"# {text * chance.randrange(100, 10_000)}\n")


def _words(root: Path, chance: Random) -> None:
    joined = chance.choice(("_", "1", "A", "aB", "-", "."))
    write(root / "words.py", "x = " + f"a{joined}" * chance.randrange(1_000, 200_000) + "a\n")


def _empty(root: Path, chance: Random) -> None:
    for number in range(chance.randrange(100, 3_000)):
        write(root / f"empty/{number}.py", "")


def _folders(root: Path, chance: Random) -> None:
    write(root / Path(*["d"] * chance.randrange(50, 400)) / "deep.py", "x = 1\n")


def _pipes(root: Path, chance: Random) -> None:
    if hasattr(os, "mkfifo"):
        for name in chance.sample((".gitignore", ".modstarignore", "pipe.py", ".git", "README.md"), 3):
            os.mkfifo(root / name)


def _git(root: Path, chance: Random) -> None:
    (root / ".git/info").mkdir(parents=True)
    for name in chance.sample(("info/exclude", "commondir", "index", "config", "HEAD", "gitdir"), 3):
        place = root / ".git" / name
        kind = chance.randrange(3)
        if kind == 0 and hasattr(os, "mkfifo"):
            os.mkfifo(place)
        elif kind == 1:
            place.symlink_to("/dev/zero")
        else:
            place.write_bytes(chance.randbytes(5_000))


def _links(root: Path, chance: Random) -> None:
    (root / "round").symlink_to(root)
    for name in chance.sample(("zero.py", ".modstarignore", ".gitignore", "zero.ipynb"), 2):
        (root / name).symlink_to(chance.choice(("/dev/zero", "/dev/stdin", "/dev/random", "nowhere", name)))


def _names(root: Path, chance: Random) -> None:
    for name in chance.sample(_NAMES, 8):
        write(root / name, "def odd():\n    return 1\n")
    (root / os.fsdecode(b"caf\xe9.py")).write_text("x = 1\n")


def _notebook(root: Path, chance: Random) -> None:
    cells: list[object] = [
        {"source": 7},
        None,
        {"cell_type": []},
        "cell",
        {"cell_type": "code", "source": [1]},
    ]
    whole: list[object] = [[], 7, {}, {"cells": 7}, {"cells": chance.choices(cells, k=9)}]
    whole += [{"cells": [{"cell_type": "code", "source": ["(" * 20_000]}], "metadata": {"kernelspec": 3}}]
    write(root / "odd.ipynb", json.dumps(chance.choice(whole)))
    write(root / "cut.ipynb", '{"cells": [' * chance.randrange(1, 50_000))


def _markup(root: Path, chance: Random) -> None:
    suffix = chance.choice(
        ("vue", "svelte", "astro", "html", "erb", "jsp", "razor", "md", "rst", "tex", "org")
    )
    part = chance.choice(
        ("<script>", "<template>", "---\n", "```py\n", "# a\n", "<%", "@{", "\\section{", "* a\n")
    )
    write(root / f"page.{suffix}", part * chance.randrange(1_000, 50_000))


def _data(root: Path, chance: Random) -> None:
    suffix, text = chance.choice(
        (("json", "["), ("json", '{"a":'), ("yaml", "a: &a [*a]\n"), ("toml", "[a.b]\n"))
    )
    write(root / f"deep.{suffix}", text * chance.randrange(1_000, 100_000))


#: Each makes a tree hostile in its own way, differently each time.
HOSTILE: dict[str, Callable[[Path, Random], object]] = {
    "stars": _stars, "globs": _globs, "rules": _rules, "nesting": _nesting, "lines": _lines,
    "one line": _one_line, "unclosed": _unclosed, "definitions": _definitions, "noise": _noise,
    "halves": _halves, "marks": _marks, "unspaced": _unspaced, "words": _words, "empty": _empty,
    "folders": _folders, "pipes": _pipes, "git": _git, "links": _links, "names": _names,
    "notebook": _notebook, "markup": _markup, "data": _data,
}  # fmt: skip


def hostile(base: Path, chance: Random, rounds: Rounds, counts: Counts) -> None:
    """Give hostile trees to the programs, one of each kind and then again."""
    number = 0
    while rounds:
        name = list(HOSTILE)[number % len(HOSTILE)]
        root = base / f"tree{number}"
        write(root / "honest.py", "def honest_answer(question):\n    return question\n")
        counts.tried[name] += 1
        try:
            HOSTILE[name](root, chance)
        except OSError:
            counts.outcomes["only a part of it can be made here"] += 1
        _ask(root, base / "indexes", f"{name}, tree {number}", counts)
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(base / "indexes", ignore_errors=True)
        number += 1


def _ask(root: Path, indexes: Path, what: str, counts: Counts) -> None:
    where = ["--index-dir", str(indexes)]
    for arguments in (["index", str(root)], ["search", "honest_answer", str(root)]):
        command = [sys.executable, "-m", "modstar_lsp", *arguments, *where]
        try:
            done = subprocess.run(command, capture_output=True, timeout=HUNG_SECONDS)
        except subprocess.TimeoutExpired:
            counts.fault("hung", f"{arguments[0]} on {what}")
            return
        told = done.stderr.decode("utf-8", "replace")
        if b"Traceback" in done.stderr:
            counts.fault("traceback", f"{arguments[0]} on {what}: {told[-200:]}")
        if done.returncode:
            counts.fault("lost", f"{arguments[0]} on {what}: {told[-200:]}")
    if b"honest.py" in done.stdout:
        counts.outcomes["honest file found"] += 1
    else:
        counts.fault("lost", f"the honest file of {what}")
