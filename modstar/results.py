"""What a question brings back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, overload

from modstar import notebook

if TYPE_CHECKING:
    from modstar_lsp.workspace.description import Description

# Of a table in a notebook.
_TITLES = ("place", "name", "score", "code")
# Lines of code that it shows of a hit, and characters of a line.
_LINES = 8
_COLUMNS = 160


class Hit(NamedTuple):
    """A place that answers.

    path: of the file, relative to the project, with `/`.
    line: the one to jump to, the name of what was found; all lines count from 1.
    start_line, end_line: of the whole place, inclusive.
    symbol: its name behind those around it (`Uploader.send`), "" where it has none.
    kind: function, method, class, type, module, section (of prose) or text.
    language: of the file (`python`).
    score: how likely it is what was asked for, 0 to 1.
    text: its lines as the file has them now, "" when they are gone.
    explanation: by rule, what added up to its rank.
    """

    path: str
    line: int
    start_line: int
    end_line: int
    symbol: str
    kind: str
    language: str
    score: float
    text: str
    explanation: Mapping[str, float] = MappingProxyType({})

    @classmethod
    def of(cls, found: Description) -> Hit:
        """A hit as the workspace describes it."""
        hit = found.hit
        return cls(
            hit.path,
            found.line,
            hit.start_line,
            hit.end_line,
            found.symbol,
            found.kind,
            hit.language,
            hit.score,
            "\n".join(found.lines),
            MappingProxyType(dict(hit.explanation)),
        )

    def __str__(self) -> str:
        symbol = f"  {self.symbol}" if self.symbol else ""
        return f"{self.path}:{self.line}{symbol}  ({self.kind})  {self.score:.2f}"

    def _repr_html_(self) -> str:
        return notebook.table(_TITLES, [self._row()])

    def _row(self) -> tuple[str, str, str, str]:
        """What a table shows of it, with some lines of code from the one to jump to on."""
        lines = self.text.split("\n")[max(0, self.line - self.start_line) :][:_LINES]
        code = "\n".join(line[:_COLUMNS].rstrip() for line in lines)
        return f"{self.path}:{self.line}", f"{self.symbol} ({self.kind})".lstrip(), f"{self.score:.2f}", code


class Answer(Sequence[Hit]):
    """The hits, best first: a sequence of `Hit`, which a notebook shows as a table with code.

    question: what was asked, "" for code.
    root: the folder that the paths count from.
    closest: where nothing was good enough, what came closest, else None.
    coverage: the share of the known files that were indexed by then, 0 to 1.
    seconds: how long the search took, without bringing the index up to date.
    note: a line on how the question was understood, or why your own reader gave no order; "" for none.
    did_you_mean: where nothing was found, the name that may have been meant, "" for none.
    """

    def __init__(
        self,
        hits: Sequence[Hit],
        *,
        question: str,
        root: Path,
        closest: Hit | None,
        coverage: float,
        seconds: float,
        note: str,
        did_you_mean: str,
    ) -> None:
        self._hits = tuple(hits)
        self.question = question
        self.root = root
        self.closest = closest
        self.coverage = coverage
        self.seconds = seconds
        self.note = note
        self.did_you_mean = did_you_mean

    @overload
    def __getitem__(self, at: int) -> Hit: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Hit]: ...
    def __getitem__(self, at: int | slice) -> Hit | Sequence[Hit]:
        """A hit by its rank, from 0, or some of them."""
        return self._hits[at]

    def __len__(self) -> int:
        """How many hits there are."""
        return len(self._hits)

    def __str__(self) -> str:
        return "\n".join([*map(str, self._hits), *self._remarks()])

    def __repr__(self) -> str:
        return f"<{len(self)} {'hit' if len(self) == 1 else 'hits'} for {self.question or 'some code'!r}>"

    def _repr_html_(self) -> str:
        return notebook.table(_TITLES, [hit._row() for hit in self._hits], self._remarks())

    def _remarks(self) -> list[str]:
        """What there is to say besides the hits, a line each."""
        said = [self.note] if self.note else []
        if not self._hits:
            said.append("no good match" + (f"; the closest is {self.closest}" if self.closest else ""))
        if self.did_you_mean:
            said.append(f"did you mean {self.did_you_mean}?")
        if self.coverage < 1:
            said.append(f"{self.coverage:.0%} of the files are indexed so far")
        return said
