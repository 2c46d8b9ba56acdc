"""`modstar`: one command, whose words do what the programs behind them do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from modstar_lsp import __version__
from modstar_lsp.__main__ import PROGRAMS
from modstar_lsp.completions import SHELLS


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / ".git").mkdir()
    for name in ("parcel", "letter"):
        (folder / f"{name}.py").write_text(f"def weigh_{name}({name}):\n    return {name}.mass * GRAVITY\n")
    return folder


def modstar(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modstar_lsp", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "XDG_CACHE_HOME": str(folder.parent / "cache")},
        timeout=120,
    )


def test_search_similar_index_and_status_do_what_their_programs_do(shop: Path) -> None:
    found = modstar(shop, "search", "weigh a parcel")
    assert found.returncode == 0 and found.stdout.startswith("parcel.py:1  weigh_parcel")
    alike = modstar(shop, "similar", "parcel.py:1")
    assert alike.returncode in (0, 1) and "parcel.py:1 " not in alike.stdout
    assert modstar(shop, "similar", "missing.py:1").returncode == 2
    assert modstar(shop, "index").stdout.startswith("2 files")
    assert "2: python 2" in modstar(shop, "status").stdout
    assert modstar(shop, "search", "weigh a parcel", "-k", "1", "--json").stdout.startswith("{")


@pytest.mark.parametrize("word", PROGRAMS)
def test_every_word_has_its_help(shop: Path, word: str) -> None:
    done = modstar(shop, word, "--help")
    assert done.returncode == 0 and "usage:" in done.stdout


def test_help_and_version_name_what_there_is(shop: Path) -> None:
    assert modstar(shop, "--version").stdout.strip() == f"modstar {__version__}"
    for word in PROGRAMS:
        assert word in modstar(shop, "--help").stdout


@pytest.mark.parametrize("words", [(), ("dig",), ("--depth",)])
def test_what_is_no_command_is_one_line_and_status_2(shop: Path, words: tuple[str, ...]) -> None:
    done = modstar(shop, *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert re.match(r"modstar: (no such command: \S+\.|what shall it do\?) There are search, ", done.stderr)


def test_a_search_imports_no_more_than_the_program_behind_it() -> None:
    program = """
import sys
from modstar_lsp import __main__
before = {name for name in sys.modules if name.startswith("modstar_lsp")}
print(sorted(before - {"modstar_lsp", "modstar_lsp.__main__"}), "argparse" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[] False"


# -- completions


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bash")
    script = folder / "modstar.bash"
    script.write_text(modstar(folder, "completions", "bash").stdout)
    return script


def completed(script: Path, function: str, *words: str) -> list[str]:
    """What bash offers for the last of `words`."""
    program = """
source "$1"; function="$2"; shift 2
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
"$function"; printf '%s\\n' "${COMPREPLY[@]}"
"""
    command = ["bash", "--norc", "-u", "-c", program, "bash", str(script), function, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=script.parent)
    assert done.stderr == ""
    return done.stdout.split()


bash = pytest.mark.skipif(shutil.which("bash") is None, reason="completes in bash")


@bash
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("modstar", ""), list(PROGRAMS)),
        (("modstar", "in"), ["index", "indexes", "install"]),
        (("modstar", "search", "--in"), ["--in", "--index-dir"]),
        (("modstar", "search", "x", "--in", "d"), ["docs"]),
        (("modstar", "similar", "--color", ""), ["auto", "always", "never"]),
        (("modstar", "search", "-t", "pyth"), ["python"]),
        (("modstar", "index", "--st"), ["--status", "--store"]),
        (("modstar", "indexes", "p"), ["prune"]),
        (("modstar", "install", "c"), ["claude-code", "codex", "cursor"]),
        (("modstar", "mcp", "--b"), ["--budget", "--bundle"]),
        (("modstar", "completions", ""), list(SHELLS)),
        (("modstar", "search", "README"), []),
        (("modstar", "search", "-k", "-"), []),
    ],
)
def test_bash_completes_words_options_and_values(
    bash_script: Path, words: tuple[str, ...], offered: list[str]
) -> None:
    assert sorted(completed(bash_script, "_modstar", *words)) == sorted(offered)


@bash
def test_bash_completes_the_commands_that_stand_alone(bash_script: Path) -> None:
    assert completed(bash_script, "_modstar_query", "modstar-query", "--exc") == ["--exclude"]
    (bash_script.parent / "folder").mkdir(exist_ok=True)
    assert completed(bash_script, "_modstar_index", "modstar-index", "--index-dir", "fol") == ["folder"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="completes in fish")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("modstar in", ["index", "indexes", "install"]),
        ("modstar search x --in d", ["docs"]),
        ("modstar completions ", sorted(SHELLS)),
        ("modstar-index --st", ["--status", "--store"]),
    ],
)
def test_fish_completes_words_options_and_values(shop: Path, line: str, offered: list[str]) -> None:
    script = shop / "modstar.fish"
    script.write_text(modstar(shop, "completions", "fish").stdout)
    command = ["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"]
    environment = {**os.environ, "HOME": str(shop.parent)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=shop, env=environment)
    assert sorted(found.split("\t")[0] for found in done.stdout.splitlines()) == offered


# Says that it is set up by a product, as the terminal repeats what is typed.
ZSH_SET_UP = "fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; print $((6 * 7))READY\n"


def shown_by_zsh(folder: Path, line: str, awaited: list[str]) -> str:
    """What an interactive zsh shows once `line` and Tab were typed, until all that is awaited is there."""
    import pty
    import time

    ours, theirs = pty.openpty()
    environment = {**os.environ, "HOME": str(folder), "TERM": "dumb", "COLUMNS": "200", "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(
        ["zsh", "-f", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=folder
    ) as zsh:
        try:
            for typed, until in (
                (ZSH_SET_UP.format(folder=folder), ["42READY"]),
                (f"{line}\t\t", awaited),
            ):
                os.write(ours, typed.encode())
                shown, deadline = "", time.monotonic() + 60
                os.set_blocking(ours, False)
                while not all(text in shown for text in until) and time.monotonic() < deadline:
                    time.sleep(0.05)
                    try:
                        shown += os.read(ours, 65_536).decode()
                    except BlockingIOError:
                        continue
        finally:
            zsh.kill()
            os.close(ours)
            os.close(theirs)
    return shown.replace("\r", "")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="completes in zsh")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("modstar in", ["index", "indexes", "install"]),
        ("modstar search x --in ", ["code", "config", "docs", "tests"]),
        ("modstar completions ", sorted(SHELLS)),
        ("modstar similar --color ", ["always", "auto", "never"]),
        ("modstar-index --st", ["--status", "--store"]),
    ],
)
def test_zsh_completes_words_options_and_values(shop: Path, line: str, offered: list[str]) -> None:
    (shop / "_modstar").write_text(modstar(shop, "completions", "zsh").stdout)
    _, *listed = shown_by_zsh(shop, line, [f"{word} " for word in offered[:-1]] + offered[-1:]).split("\n")
    words = [word for row in listed if not row.startswith(">") for word in row.partition(" -- ")[0].split()]
    assert set(offered) <= set(words)


def test_the_script_for_powershell_is_sound(shop: Path) -> None:
    import tree_sitter
    import tree_sitter_powershell

    script = modstar(shop, "completions", "powershell").stdout
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    assert not parser.parse(script.encode()).root_node.has_error
    assert parser.parse(script.replace("'", "", 1).encode()).root_node.has_error, (
        "this parser sees what is wrong"
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_every_option_that_a_command_has_is_completed_in_every_shell(shop: Path, shell: str) -> None:
    script = modstar(shop, "completions", shell).stdout
    for word in PROGRAMS:
        assert word in script
        for option in re.findall(r"(?m)^  (?:-\w.*, )?(--[\w-]+)", modstar(shop, word, "--help").stdout):
            assert (f"-l {option[2:]}" if shell == "fish" else option) in script, (word, option)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_what_is_quoted_for_other_shells_is_quoted_whole(shop: Path, shell: str) -> None:
    script = modstar(shop, "completions", shell).stdout
    assert all(line.replace("'\\''", "").count("'") % 2 == 0 for line in script.splitlines())
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=script, text=True, timeout=60).returncode == 0


@pytest.mark.parametrize("words", [(), ("ksh",), ("bash", "zsh")])
def test_completions_of_no_shell_are_one_line_and_status_2(shop: Path, words: tuple[str, ...]) -> None:
    done = modstar(shop, "completions", *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
