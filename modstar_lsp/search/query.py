"""What a question asks for: its words, the names in it, and whether it is a name itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from modstar_lsp.encoder.dictionary import in_english
from modstar_lsp.encoder.words import split_words
from modstar_lsp.errors import QueryError
from modstar_lsp.index.words.terms import asked_terms, bare_name, operator_of

# Words beyond this many add time and no meaning: a pasted stack trace is searched by its beginning.
MAX_WORDS = 256

# A question of several lines and more words than these is a pasted text, such as a whole issue.
PASTED_WORDS = 60
# A first line of fewer words is a greeting or a label, and says too little.
HEADLINE_WORDS = 3

NO_WORDS = "the query holds no words: type what the code does, or a name in it"

# An operator has no more signs.
_MAX_OPERATOR = 16

# Function words of English questions. They stay in the postings (code uses `for`, `in`, `not` as words
# too) but a sentence is not searched for them.
STOP_WORDS = frozenset(
    """a an the of to in on at for from by with and or is are was be been being it its this that these those
    as into how what where when which who why do does did can could should would will shall may might must
    i we you our my your me us there here their them they he she have has had not no if then else than so
    such some any all each via about between within during after before up out off over under again""".split()
)

_NAME = re.compile(r"[^\W\d]\w*(?:(?:\.|::|#|->|/|\\)[^\W\d]\w*)*")
# Written with points, and neither a name nor what is looked for.
_ABBREVIATIONS = re.compile(r"\b(?:e\.g|i\.e|a\.k\.a|w\.r\.t)\b\.?", re.I)
_CASE_BORDER = re.compile(r"[a-z0-9][A-Z]|[A-Z][A-Z][a-z]|_\w|\w_")


class Query(NamedTuple):
    """A question, analysed once.

    text: as asked, in English if it was in a language that there is a dictionary for.  words: lower-case
    words, in order, at most MAX_WORDS.  terms: the distinct words and compound names to look up in the
    postings.  names: identifiers named in it, as written ("parseJson", "HTTPAdapter.send").  is_name: the
    whole question is one identifier.  spoken: the terms as they were typed, where they were turned into
    English: comments may hold them.
    """

    text: str
    words: tuple[str, ...]
    terms: tuple[str, ...]
    names: tuple[str, ...]
    is_name: bool
    spoken: tuple[str, ...] = ()


def analyse(text: str) -> Query:
    """The parts of `text` that ranking uses. Raises QueryError when it holds no word at all."""
    typed, text = text, in_english(text)
    said = _ABBREVIATIONS.sub(" ", text)
    text = said if said.strip() else text
    words = split_words(text)[:MAX_WORDS]
    if not words:
        operator = asked_operator(text)
        if not operator:
            raise QueryError(NO_WORDS)
        return Query(text, (), (), (bare_name(operator),), True)
    if operator := _cpp_operator(text):
        return Query(text, tuple(words), tuple(words), (operator,), True)
    tokens = _NAME.findall(text)
    stripped = bare_name(text.strip().rstrip("()"))
    is_name = len(tokens) == 1 and tokens[0] == stripped
    names = tuple(dict.fromkeys(token for token in tokens if is_name or looks_like_name(token)))
    content = [term for term in asked_terms(text)[:MAX_WORDS] if term not in STOP_WORDS]
    kept = content or words
    parts = [part for name in names for part in name_parts(name) if len(split_words(part)) > 1]
    compounds = [part.strip("_").lower() for part in parts]
    spoken = () if typed == text else tuple(dict.fromkeys(asked_terms(typed)[:MAX_WORDS]))
    return Query(text, tuple(words), tuple(dict.fromkeys([*kept, *compounds])), names, is_name, spoken)


def asked_operator(text: str) -> str:
    """The operator that a question without a word asks for, `<*>` or `(<*>)`; "" for none."""
    signs = text.strip()
    inner = signs[1:-1].strip() if signs.startswith("(") and signs.endswith(")") else signs
    return operator_of(inner) if len(signs) <= _MAX_OPERATOR else ""


def _cpp_operator(text: str) -> str:
    """`<<` of `operator<<` or `V::operator <<`, "" for others."""
    asked = text.strip()
    return operator_of(asked) if re.fullmatch(r"(?:\w+::)*operator\s*[^\w\s\"']+", asked) else ""


def headline(text: str) -> str:
    """The first line of a pasted text, "" where it says too little or the question is no such text.

    A line that ends in a colon introduces something: a traceback, a block of code.
    """
    first, _, rest = text.strip().partition("\n")
    first = first.strip()
    pasted = rest and len(text.split()) > PASTED_WORDS
    says = len(split_words(first)) >= HEADLINE_WORDS and not first.endswith(":")
    return first if pasted and says else ""


def looks_like_name(token: str) -> bool:
    """Whether a token of a sentence is an identifier: inner capitals, underscores or a qualified name.

    Single letters with points between them are an abbreviation: a.m., U.S.
    """
    qualified = re.search(r"\w\w\.\w|\w\.\w\w|\w(?:::|#|->)\w", token)
    return bool(_CASE_BORDER.search(token)) or bool(qualified)


def name_parts(name: str) -> Sequence[str]:
    """`HTTPAdapter.send` -> `HTTPAdapter`, `send`."""
    if operator := operator_of(name):
        return [*name_parts(name[: -len(operator)]), operator]
    return [part for part in re.split(r"\.|::|#|->|/|\\", name) if part]
