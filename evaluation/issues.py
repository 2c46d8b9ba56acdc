"""Whole issues -> the functions that their fixes changed, out of the hunks of the fixes.

A fix is known by its hunks in the version before it; what is searched is one later version of the
repository, so that it is indexed once. A function is found there again by its file and qualified name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from evaluation.sets import Function
from modstar_lsp.chunking import language_of
from modstar_lsp.chunking.definitions import Reader, dotted
from modstar_lsp.chunking.grammars import GRAMMARS, parse

# Unchanged lines that git shows before and after each change.
CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines of a file that a fix shows, its context included: the first (1-based), and how many."""

    path: str
    start: int
    length: int

    def changed(self) -> tuple[int, int]:
        """First and last line that changed; where lines were only put in, those on both sides of them.

        A hunk does not tell the unchanged lines between two of its changes, so they count as changed.
        """
        first, last = self.start + CONTEXT, self.start + self.length - 1 - CONTEXT
        return (first, last) if first <= last else (last, first)


@dataclass(frozen=True, slots=True)
class NamedFunction:
    """A function or method on lines `start` to `end`, decorators included, and its qualified name.

    name: the second of one name in a file (a setter, an overload) ends in `#2`.
    """

    name: str
    start: int
    end: int


def functions(path: str, text: str) -> list[NamedFunction]:
    """The functions and methods of a file, nested ones too, in order; none without a grammar."""
    language = language_of(path, text)
    if language not in GRAMMARS:
        return []
    data = text.encode("utf-8", "replace")
    tree = parse(language, data, path.lower())
    if tree is None:
        return []
    reader = Reader(GRAMMARS[language], data)
    found: list[NamedFunction] = []
    times: Counter[str] = Counter()
    waiting = [(tree.root_node, "")]
    while waiting:
        node, scope = waiting.pop()
        inner = node
        definition = reader.identify(node, node.type)
        if definition is not None and definition.name:
            scope, inner = dotted(scope, definition.scope, definition.name), definition.inner
            if definition.kind in ("function", "method"):
                times[scope] += 1
                name = f"{scope}#{times[scope]}" if times[scope] > 1 else scope
                found.append(NamedFunction(name, node.start_point[0] + 1, reader.last_row(node) + 1))
        waiting.extend((child, scope) for child in reversed(inner.named_children))
    return found


def changed_functions(known: Iterable[NamedFunction], hunks: Iterable[Hunk]) -> list[NamedFunction]:
    """Those of a file's functions that are the innermost around a changed line.

    Lines that were put in belong to a function when both of their neighbours do.
    """
    ordered = sorted(known, key=lambda one: (one.start, -one.end))
    found: dict[str, NamedFunction] = {}
    for hunk in hunks:
        first, last = hunk.changed()
        only_put_in = hunk.length <= 2 * CONTEXT
        for line in (first,) if only_put_in else range(first, last + 1):
            until = last if only_put_in else line
            around = [one for one in ordered if one.start <= line and until <= one.end]
            if around:
                found.setdefault(around[-1].name, around[-1])
    return list(found.values())


def found_again(
    changed: Iterable[NamedFunction], path: str, text: str
) -> Iterator[tuple[NamedFunction, Function | None]]:
    """Each function with its place in the file `path` as it is now, `text`; None for one that is gone."""
    now = {one.name: one for one in functions(path, text)}
    for one in changed:
        there = now.get(one.name)
        yield one, Function(path, there.start, there.end) if there else None
