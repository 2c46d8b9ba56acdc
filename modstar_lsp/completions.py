"""`modstar completions SHELL`: what shells complete, made out of the parsers of the commands."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import NamedTuple, NoReturn

from modstar_lsp.__main__ import PROGRAM, PROGRAMS

SHELLS = ("bash", "zsh", "fish", "powershell")
# The commands that stay beside the one, and its words that they are.
ALONE = {"modstar-query": "search", "modstar-index": "index", "modstar-lsp": "lsp"}
# By what the help calls a value.
_FOLDER_VALUE, _FILE_VALUE = ("DIR",), ("FILE", "FILE:LINE[-LINE]")

_USAGE = f"""\
usage: {PROGRAM} completions bash|zsh|fish|powershell

  bash        {PROGRAM} completions bash > ~/.local/share/bash-completion/completions/{PROGRAM}
  zsh         {PROGRAM} completions zsh > a folder of $fpath, under the name _{PROGRAM}
  fish        {PROGRAM} completions fish > ~/.config/fish/completions/{PROGRAM}.fish
  powershell  {PROGRAM} completions powershell >> $PROFILE"""


class Option(NamedTuple):
    """An option. value: what the help calls what follows it, "" for none.  choices: what that may be."""

    flags: Sequence[str]
    says: str = ""
    value: str = ""
    choices: Sequence[str] = ()


class Command(NamedTuple):
    """A word of the one command. words: what may follow besides options and files."""

    says: str
    options: Sequence[Option]
    words: Sequence[str] = ()


def main() -> NoReturn:
    """Print the completions for one shell and end the process."""
    words = sys.argv[1:]
    if set(words) & {"-h", "--help"}:
        print(_USAGE)
        sys.exit(0)
    if len(words) != 1 or words[0] not in SHELLS:
        print(f"{PROGRAM} completions: name one of {', '.join(SHELLS)}", file=sys.stderr)
        sys.exit(2)
    write = {"bash": bash, "zsh": zsh, "fish": fish, "powershell": powershell}[words[0]]
    sys.stdout.write(write(commands()))
    sys.exit(0)


def commands() -> dict[str, Command]:
    """All words of the one command, and what may follow each."""
    return {word: Command(program.says, *_of(word, program.module)) for word, program in PROGRAMS.items()}


def _of(word: str, module: str) -> tuple[Sequence[Option], Sequence[str]]:
    program = import_module(module)
    if hasattr(program, "make_parser"):
        return _read(program.make_parser())
    if word in ("install", "uninstall"):
        return [Option(["--dry-run"], "show the change, make none")], list(program.clients(PROGRAM))
    if word == "completions":
        return [], SHELLS
    found = re.findall(r"(--[\w-]+)(?: ([A-Z]+))?", program._USAGE)
    return [Option([flag], "", value) for flag, value in dict(found).items()], ()


def _read(parser: argparse.ArgumentParser) -> tuple[Sequence[Option], Sequence[str]]:
    options: list[Option] = []
    words: Sequence[str] = ()
    for action in parser._actions:
        choices = [str(choice) for choice in action.choices or ()]
        if not action.option_strings:
            words = choices or words
            continue
        value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
        if value == "LANG":
            choices = _languages()
        says = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
        options.append(Option(action.option_strings, says, value, choices))
    return options, words


def _languages() -> list[str]:
    from modstar_lsp.files.languages import EXTENSIONS

    return sorted(name for name in set(EXTENSIONS.values()) if re.fullmatch(r"[\w+.-]+", name))


# -- bash


def bash(known: dict[str, Command]) -> str:
    """A script for bash 3.2 and newer."""
    values, flags, words = [], [], []
    for word, command in known.items():
        for option in command.options:
            names = "|".join(f"{word}\\ {flag}" for flag in option.flags)
            if option.choices:
                values.append(f"    {names}) _modstar_among '{' '.join(option.choices)}' ; return ;;")
            elif option.value:
                values.append(f"    {names}) {_bash_value(option.value)} return ;;")
        every = " ".join(flag for option in command.options for flag in option.flags)
        flags.append(f"    {word}) _modstar_among '{every}' ;;")
        if command.words:
            words.append(f"    {word}) _modstar_among '{' '.join(command.words)}' ;;")
    alone = "\n".join(
        _BASH_ALONE.format(name=name.replace("-", "_"), word=word) for name, word in ALONE.items()
    )
    return _BASH.format(
        words=" ".join(known),
        values="\n".join(values),
        flags="\n".join(flags),
        follow="\n".join(words),
        alone=alone,
        names="\n".join(
            f"complete -o default -F _{name.replace('-', '_')} {name}" for name in (PROGRAM, *ALONE)
        ),
    )


def _bash_value(value: str) -> str:
    return 'COMPREPLY=($(compgen -d -- "$current")) ;' if value in _FOLDER_VALUE else ""


_BASH = """\
# bash completion of modstar: made by `modstar completions bash`.
_modstar_among() {{ COMPREPLY=($(compgen -W "$1" -- "$current")); }}

_modstar() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}"
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then _modstar_among '{words}'; return; fi
  _modstar_after "${{COMP_WORDS[1]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
}}

# Nothing to say leaves it to files and folders.
_modstar_after() {{
  case "$1 $2" in
{values}
  esac
  case "$current" in -*)
    case "$1" in
{flags}
    esac
    return ;;
  esac
  case "$1" in
{follow}
  esac
}}
{alone}
{names}
"""

_BASH_ALONE = """
_{name}() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}"
  COMPREPLY=()
  _modstar_after {word} "${{COMP_WORDS[COMP_CWORD-1]}}"
}}"""


# -- zsh


def zsh(known: dict[str, Command]) -> str:
    """A function for zsh's `_arguments`."""
    listed = "\n".join(f"    {_single(f'{word}:{command.says}')}" for word, command in known.items())
    cases = "\n".join(
        f"    {word}) _arguments -s {' '.join(_zsh_specs(command))} ;;" for word, command in known.items()
    )
    alone = "\n".join(f"  {name}) word={word} ;;" for name, word in ALONE.items())
    return f"""\
#compdef {PROGRAM} {" ".join(ALONE)}
# zsh completion of modstar: made by `modstar completions zsh`.
_modstar() {{
  local word
  local -a known
  known=(
{listed}
  )
  case "$service" in
{alone}
  *)
    if (( CURRENT == 2 )); then _describe command known; return; fi
    word=$words[2]
    shift words
    (( CURRENT-- )) ;;
  esac
  case "$word" in
{cases}
  esac
}}
_modstar "$@"
"""


def _zsh_specs(command: Command) -> Iterable[str]:
    for option in command.options:
        says = re.sub(r"([\[\]:\\])", r"\\\1", option.says)
        value = ""
        if option.value:
            values = f"({' '.join(option.choices)})" if option.choices else ""
            values = values or {_FOLDER_VALUE: "_files -/", _FILE_VALUE: "_files"}.get(
                _kind(option.value), " "
            )
            value = ":" + re.sub(r"([\[\]:\\])", r"\\\1", option.value) + ":" + values
        for flag in option.flags:
            yield _single(f"*{flag}[{says}]{value}")
    yield _single(f"*:word:({' '.join(command.words)})" if command.words else "*:file:_files")


def _kind(value: str) -> tuple[str, ...]:
    return next((kind for kind in (_FOLDER_VALUE, _FILE_VALUE) if value in kind), ())


# -- fish


def fish(known: dict[str, Command]) -> str:
    """Lines for fish's `complete`."""
    lines = ["# fish completion of modstar: made by `modstar completions fish`."]
    first = f"not __fish_seen_subcommand_from {' '.join(known)}"
    for word, command in known.items():
        lines.append(f"complete -c {PROGRAM} -f -n {_single(first)} -a {word} -d {_single(command.says)}")
    for word, command in known.items():
        seen = f"-c {PROGRAM} -n {_single(f'__fish_seen_subcommand_from {word}')}"
        alone = [f"-c {name}" for name, other in ALONE.items() if other == word]
        for condition in (seen, *alone):
            if command.words:
                lines.append(f"complete {condition} -f -a {_single(' '.join(command.words))}")
            lines += [f"complete {condition} {_fish(option)}" for option in command.options]
    return "\n".join(lines) + "\n"


def _fish(option: Option) -> str:
    flags = [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags]
    if option.choices:
        flags.append(f"-x -a {_single(' '.join(option.choices))}")
    elif option.value:
        folders = "-x -a '(__fish_complete_directories)'"
        flags.append(
            folders if option.value in _FOLDER_VALUE else "-r" if option.value in _FILE_VALUE else "-x"
        )
    return " ".join([*flags, *([f"-d {_single(option.says)}"] if option.says else [])])


# -- PowerShell


def powershell(known: dict[str, Command]) -> str:
    """A script for PowerShell 5.1 and newer."""
    return _POWERSHELL.format(
        names=", ".join(_doubled(name) for name in (PROGRAM, *ALONE)),
        commands="\n".join(_powershell_command(word, command) for word, command in known.items()),
        alone="; ".join(f"{_doubled(name)} = {_doubled(word)}" for name, word in ALONE.items()),
    )


def _powershell_command(word: str, command: Command) -> str:
    options = "\n".join(
        f"      @{{ text = {_doubled(flag)}; says = {_doubled(option.says or flag)}; "
        f"takes = ${str(bool(option.value)).lower()}; choices = {_powershell_list(option.choices)} }}"
        for option in command.options
        for flag in option.flags
    )
    return (
        f"    {_doubled(word)} = @{{ text = {_doubled(word)}; says = {_doubled(command.says)}; "
        f"words = {_powershell_list(command.words)}; options = @(\n{options}\n    ) }}"
    )


def _powershell_list(values: Sequence[str]) -> str:
    return f"@({', '.join(map(_doubled, values))})"


def _doubled(text: str) -> str:
    """`text` in single quotes, as PowerShell reads them."""
    return "'" + text.replace("'", "''") + "'"


# Tables do not tell -t from -T, so options are a list. Nothing to say leaves it to files and folders.
_POWERSHELL = """\
# PowerShell completion of modstar: made by `modstar completions powershell`.
Register-ArgumentCompleter -Native -CommandName {names} -ScriptBlock {{
  param($current, $line, $cursor)
  $known = @{{
{commands}
  }}
  $alone = @{{ {alone} }}
  $before = @($line.CommandElements | Where-Object {{ $_.Extent.EndOffset -lt $cursor }} |
    ForEach-Object {{ $_.Extent.Text }})
  $word = $alone[[System.IO.Path]::GetFileNameWithoutExtension($before[0])]
  if (-not $word -and $before.Count -gt 1) {{ $word = $before[1] }}
  if (-not $word) {{
    $offered = $known.Values
  }} elseif ($known.ContainsKey($word)) {{
    $taking = $known[$word].options | Where-Object {{ $_.takes -and $_.text -ceq $before[-1] }}
    if ($taking) {{
      $offered = $taking.choices
    }} elseif ($current -like '-*') {{
      $offered = $known[$word].options
    }} else {{
      $offered = $known[$word].words
    }}
  }}
  $offered | ForEach-Object {{ if ($_ -is [string]) {{ @{{ text = $_; says = $_ }} }} else {{ $_ }} }} |
    Where-Object {{ $_.text -and $_.text.StartsWith($current) }} | Sort-Object {{ $_.text }} |
    ForEach-Object {{
      [System.Management.Automation.CompletionResult]::new($_.text, $_.text, 'ParameterValue', $_.says)
    }}
}}
"""


def _single(text: str) -> str:
    """`text` in single quotes, as the other three read them."""
    return "'" + text.replace("'", "'\\''") + "'"


if __name__ == "__main__":
    main()
