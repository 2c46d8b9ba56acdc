"""Answers in text: places grouped by file, with as much code as a number of tokens has room for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from modstar_lsp.printable import clean

if TYPE_CHECKING:
    from modstar_lsp.workspace.description import Description
    from modstar_lsp.workspace.outline import Definition
    from modstar_lsp.workspace.several import Found

# Tokenizers of language models make one of three to four bytes of code: this errs on the small side.
_BYTES_A_TOKEN = 3
# Kept for what is said below the places.
_FOOTER_TOKENS = 60
# Longer lines are data rather than code.
_LINE_CHARS = 200


def tokens(text: str) -> int:
    """How many tokens a text has, rather too many than too few."""
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_A_TOKEN)


def places(found: Sequence[Found], words: Collection[str], lines: int, budget: int) -> tuple[str, int]:
    """(text, how many of `found` are in it): the best that fit into `budget` tokens, at least one.

    Files stand in the order of their best place. lines: of code a place, 0 for none; places that are not
    good have none. Paths are relative to the folder, which the first line names, or absolute when there are
    several.
    """
    roots = {one.root for one in found}
    head = f"in {clean(str(found[0].root))}:" if len(roots) == 1 else ""
    files: dict[str, list[str]] = {}
    room = budget - _FOOTER_TOKENS - tokens(head)
    shown = 0
    for one in found:
        path = clean(one.it.hit.path if head else str(one.root / one.it.hit.path))
        place = _place(one.it)
        code = _code(one.it, words, lines if one.is_good else 0) if one.has_lines else []
        if path not in files:
            room -= tokens(path) + 1
        for block in ([place, *code], [place]) if not shown else ([place, *code],):
            if (cost := tokens("\n".join(block)) + 1) <= room or (block == [place] and not shown):
                room -= cost
                files.setdefault(path, []).extend(block)
                shown += 1
                break
        else:
            break
    text = [head] if head else []
    for path, blocks in files.items():
        text += [path, *blocks]
    return "\n".join(text), shown


def _place(it: Description) -> str:
    hit = it.hit
    name = f" {clean(it.symbol)}" if it.symbol else ""
    return f"  lines {hit.start_line}-{hit.end_line}{name} ({it.kind}) {hit.score:.2f}"


def _code(it: Description, words: Collection[str], lines: int) -> list[str]:
    if not lines:
        return []
    if not it.lines:
        return ["    (these lines are gone since the file was indexed)"]
    chosen = it.snippet(words, lines)
    numbered = zip(chosen.numbers, chosen.lines, strict=True)
    return [f"    {number}: {clean(line[:_LINE_CHARS])}" for number, line in numbered]


def outlined(path: str, definitions: Sequence[Definition], budget: int) -> str:
    """Definitions of a file, a line each, those inside others further in."""
    text = [f"{clean(path)}:"]
    room = budget - _FOOTER_TOKENS - tokens(text[0])
    for number, one in enumerate(definitions):
        outer, _, name = one.symbol.rpartition(".")
        where = f"lines {one.start_line}-{one.end_line}" if one.kind else f"line {one.start_line}"
        line = f"{'  ' * (outer.count('.') + 1 + bool(outer))}{where} {clean(name)}"
        line += f" ({one.kind})" if one.kind else ""
        room -= tokens(line) + 1
        if room < 0:
            text.append(f"{len(definitions) - number} more: raise max_tokens, or name a symbol")
            break
        text.append(line)
    return "\n".join(text)
