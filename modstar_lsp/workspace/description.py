"""A hit as every face tells of it: its lines as they stand now, the one to jump to, its name and its kind."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from modstar_lsp.files.languages import NOTEBOOK
from modstar_lsp.search.snippet import Focus, Snippet, focus, snippet

if TYPE_CHECKING:
    from modstar_lsp.search import Hit


class Description(NamedTuple):
    """A hit, looked at closer.

    lines: its lines as the file or an unsaved document has them now; none when they are gone.
    focus: the definition among them that answers, in indices of `lines`.
    """

    hit: Hit
    lines: Sequence[str]
    focus: Focus

    @classmethod
    def of(cls, hit: Hit, lines: Sequence[str], words: Collection[str]) -> Description:
        """Finds in the lines of `hit` what answers `words`; see `Question.words`."""
        if hit.language == NOTEBOOK:  # what a person reads is the source within the JSON
            from modstar_lsp.chunking.notebook import shown_line

            lines = [shown_line(line) for line in lines]
        below = [line - hit.start_line for line in hit.symbol_lines]
        return cls(
            hit, lines, focus(lines, hit.name, hit.symbols, words, asked=hit.asked, symbol_lines=below)
        )

    @property
    def line(self) -> int:
        """The line of the file to jump to, from 1."""
        return self.hit.start_line + self.focus.line

    @property
    def kind(self) -> str:
        """The hit's own kind, but for a member of the class that it begins with."""
        member = self.focus.symbol.startswith(f"{self.hit.name}.")
        return "method" if self.hit.kind == "class" and member else self.hit.kind

    @property
    def symbol(self) -> str:
        """The name of what was found with its enclosing names, "" when it has none."""
        return ".".join(part for part in (self.hit.scope, self.focus.symbol) if part)

    def encoded(self, text: bool, explain: bool) -> dict[str, Any]:
        """As an object of JSON (docs/schema.json); with its code and the parts of its score if wanted."""
        encoded: dict[str, Any] = {
            "path": self.hit.path,
            "line": self.line,
            "start_line": self.hit.start_line,
            "end_line": self.hit.end_line,
            "symbol": self.symbol,
            "kind": self.kind,
            "language": self.hit.language,
            "score": round(self.hit.score, 4),
        }
        if explain:
            encoded["explanation"] = {rule: round(value, 4) for rule, value in self.hit.explanation.items()}
        if text:
            encoded["text"] = "\n".join(self.lines)
        return encoded

    def snippet(self, words: Collection[str], count: int) -> Snippet:
        """Some `count` lines for people to read: the one to jump to, and those that hold most `words`."""
        return snippet(self.lines, self.hit.start_line, self.focus, words, count)

    def stretch(self, count: int) -> range:
        """`count` consecutive lines, as indices: from the one to jump to on, or earlier when few are left."""
        start = max(0, min(self.focus.line, len(self.lines) - count))
        return range(start, min(start + count, len(self.lines)))
