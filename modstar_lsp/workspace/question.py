"""What is asked: a sentence or name, or code that something should be like."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from modstar_lsp.encoder.dictionary import spoken_language
from modstar_lsp.encoder.words import split_words
from modstar_lsp.errors import QueryError
from modstar_lsp.files.lines import joined, lines_of

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.index import View
    from modstar_lsp.index.records import Cancelled
    from modstar_lsp.search import Options, Results
    from modstar_lsp.search.filters import Filter, Sources

# Of a long text a message repeats this much.
_QUOTED = 60
# Without one of these a text holds words alone.
_GRAMMAR_SIGNS = ('"', ":", "-")


class Question(NamedTuple):
    """A text, or code.

    origin: where in the workspace the code stands (path, first and last line): it is not found itself.
    sought: the words of `text` to search for, "" for all of it.  filter: what else it says.
    """

    text: str = ""
    code: str | None = None
    origin: tuple[str, int, int] | None = None
    sought: str = ""
    filter: Filter | None = None

    @classmethod
    def of_text(cls, text: str) -> Question:
        """A sentence or name, and what bounds it: see grammar.py. Raises QueryError when it holds no word."""
        if not split_words(text):
            from modstar_lsp.search.query import analyse

            analyse(text)  # raises, but for an operator
            return cls(text)
        if not any(sign in text for sign in _GRAMMAR_SIGNS):  # most: reading it would only cost an import
            return cls(text)
        from modstar_lsp.workspace.grammar import parse_question

        parsed = parse_question(text)
        return cls(text, sought=parsed.words, filter=parsed.filter)

    @classmethod
    def of_code(cls, code: str, origin: tuple[str, int, int] | None = None) -> Question:
        """Something like `code`. Raises QueryError when it holds no word."""
        if not split_words(code):
            raise QueryError("the selected code holds no words: select some lines of code")
        return cls(code=code, origin=origin)

    def put(
        self,
        view: View,
        encoder: Encoder,
        options: Options | None,
        sources: Sources,
        cancelled: Cancelled | None = None,
    ) -> Results:
        """Puts the question to `view`. Raises QueryError when it or an option makes no sense.

        Phrases that stand nowhere are searched as words, and the results say so: an error message that
        somebody pastes has quotation marks that bound nothing. cancelled: ends the last stage early.
        """
        from modstar_lsp.search import Options, Results
        from modstar_lsp.search.filters import NothingLeft

        options = (options or Options())._replace(sources=sources)
        filters = (self.filter,) if self.filter else ()
        try:
            return self._put(view, encoder, options, filters, cancelled)
        except NothingLeft as error:
            nothing = Results((), None, view.indexed_share, 0.0, str(error))
        if self.filter and self.filter.phrases:
            try:
                results = self._put(view, encoder, options, (self.filter._replace(phrases=()),), cancelled)
            except NothingLeft:
                return nothing
            return results._replace(note=f"{nothing.note}: searched for the words instead")
        return nothing

    def _put(
        self,
        view: View,
        encoder: Encoder,
        options: Options,
        filters: tuple[Filter, ...],
        cancelled: Cancelled | None,
    ) -> Results:
        from modstar_lsp.search import search, similar

        options = options._replace(filters=(*options.filters, *filters))
        if self.code is not None:
            return similar(view, encoder, self.code, options, origin=self.origin)
        return search(view, encoder, self.sought or self.text, options, cancelled=cancelled)

    def words(self) -> frozenset[str]:
        """Words that tell which part of a hit answers."""
        from modstar_lsp.search.snippet import asked_words

        if self.code is not None:
            return frozenset(split_words(self.code))
        return asked_words(self.sought or self.text)

    @property
    def may_be_english(self) -> bool:
        """Whether the question may be English, or is code."""
        from modstar_lsp.workspace.english import may_be_english

        text = self.sought or self.text
        return self.code is not None or (not spoken_language(text) and may_be_english(text))

    def __str__(self) -> str:
        if self.code is not None:
            return "the selected code"
        return f'"{self.text if len(self.text) <= _QUOTED else self.text[: _QUOTED - 1] + "…"}"'


def selected_lines(path: str, text: str, first: int, last: int) -> tuple[int, int, str]:
    """(first line, last line, their text) of a selection in the file `path` with content `text`.

    A single line stands for the definition around it. Raises QueryError when the file has no such line.
    """
    from modstar_lsp.chunking import chunk_file

    lines = lines_of(text)
    single, last = first == last, min(last, len(lines))
    if first > len(lines):
        raise QueryError(f"{path} has {len(lines)} lines, so there is no line {first}")
    if single:
        around = (chunk for chunk in chunk_file(path, text) if chunk.start_line <= first <= chunk.end_line)
        first, last = next(((chunk.start_line, chunk.end_line) for chunk in around), (first, last))
    return first, last, joined(lines, first, last)
