"""What makes one candidate better than another: a linear score of features, each a rule of its own.

Every rule is a pure function of the candidates and the question that returns one number per candidate,
mostly in 0..1; the score is the weighted sum. So each rule can be switched off, its worth measured
(`python -m bench.repos --ablate`), and a hit explained by naming its addends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.arrays import Floats, Rows
from modstar_lsp.encoder.words import split_words
from modstar_lsp.files.languages import PROSE, SETTINGS
from modstar_lsp.index import StoredChunk
from modstar_lsp.index.words.terms import bare_name
from modstar_lsp.search.query import Query, name_parts


class Terms:
    """The words of a question with their idf, and how well other words cover them; answers are kept.

    Plain floats: a question has a handful of words and a name two or three, too few for numpy to pay.
    """

    def __init__(self, idf: Mapping[str, float]) -> None:
        self.idf = idf
        total = max(sum(idf.values()), 1e-6)
        self._weights = [(term, weight / total) for term, weight in idf.items()]
        self._initials = frozenset(term[0] for term in idf)
        self._same: dict[str, list[float]] = {}
        self._covers: dict[tuple[str, ...], tuple[float, float]] = {(): (0.0, 0.0)}

    def held_by(self, words: tuple[str, ...]) -> float:
        """The share of the question's weight that `words` hold, 0..1."""
        return self._cover(words)[0]

    def match(self, words: tuple[str, ...]) -> float:
        """Harmonic mean of the share of the question held by `words` and the share of `words` asked for."""
        held, asked = self._cover(words)
        return 2 * held * asked / (held + asked) if held and asked else 0.0

    def _cover(self, words: tuple[str, ...]) -> tuple[float, float]:
        known = self._covers.get(words)
        if known is None:
            rows = [row for row in map(self._sameness, words) if row]
            held = sum(weight * max(column) for (_, weight), column in zip(self._weights, zip(*rows)))  # noqa: B905
            known = self._covers[words] = held, sum(map(max, rows)) / len(words)
        return known

    def _sameness(self, word: str) -> list[float]:
        """How much `word` is each word of the question; empty when it is none."""
        row = self._same.get(word)
        if row is None:
            row = []
            if word[0] in self._initials:  # else `same_word` says no to all of them
                row = [same_word(word, term) for term, _ in self._weights]
            row = self._same[word] = row if any(row) else []
        return row


class Candidates(NamedTuple):
    """The chunks that may answer, column by column (m rows).

    rows: their rows in the snapshot.  files: the file of each.  lexical: BM25.  coverage: the share of the
    question's weight whose words the chunk holds.  dense: cosine to the question, zeros without vectors.
    nearest_words: see `late_interaction`, zeros without a model.  identifiers: how rare the rarest identifier
    of the question is that the chunk holds whole, 0..1.  terms: the words of the question with their weights.
    likeness: how likely each is the selected code, None when there is none or the model cannot tell.
    shape: what of its shape each has in common with the selected code, None where nothing was selected.
    name_matches: the rule `name_match` of each, once computed.  named: the best of them, 0 in find-similar.
    reading, read_scores: what the last stage found of each, see `cascade.Stage`; None before it.
    """

    rows: Rows
    files: Rows
    lexical: Floats
    coverage: Floats
    dense: Floats
    chunks: Sequence[StoredChunk]
    terms: Terms
    nearest_words: Floats
    identifiers: Floats
    likeness: Floats | None = None
    named: float = 0.0
    name_matches: Floats | None = None
    reading: Floats | None = None
    read_scores: Floats | None = None
    shape: Floats | None = None

    def at(self, places: NDArray[np.intp]) -> Candidates:
        """The candidates at `places`, in that order."""
        columns: dict[str, Any] = {
            name: value[places] for name, value in self._asdict().items() if isinstance(value, np.ndarray)
        }
        return self._replace(**columns, chunks=[self.chunks[place] for place in places])


# A name says itself: near ones (`Request` for `Response`) are not what was asked for.
NAME_DENSE = 0.3
# A bare name asks for its definition, or else for where it stands, whatever else is called nearly so.
NAME_WORTH = 4.0
# `parse json` is as good as `parseJson`, but for the case that nobody typed.
SPELLED = 0.8
# Who types `errors` alone means no class `Errors`, unless there is nothing else.
OTHER_CASE = 0.3

# A question of so few words names a topic, which whole files are about; one of so many, or a bare name, asks
# for one place, for which what else its file holds counts this share.
TOPIC_WORDS, PLACE_WORDS, PLACE = 7, 12, 0.6

# Of what its being a function gives the best of a file so much is taken back from all of that file: chunks of
# one file differ by it more than files do.
IN_FILE = 0.5

# Unlike functions have so much of their shapes in common.
CHANCE = np.float32(0.6)

Rule = Callable[[Candidates, Query], Floats]


def lexical(candidates: Candidates, query: Query) -> Floats:
    """BM25 of the chunk, as a share of the best."""
    return _share_of_best(candidates.lexical)


def dense(candidates: Candidates, query: Query) -> Floats:
    """Cosine to the question, standardised over the candidates, as far as names leave it open."""
    return _meaning(candidates.dense, query) * np.float32(1 - candidates.named)


def nearest_words(candidates: Candidates, query: Query) -> Floats:
    """How near the chunk's words come to each of the question's, as far as names leave it open."""
    return _meaning(candidates.nearest_words, query) * np.float32(1 - candidates.named)


def reading(candidates: Candidates, query: Query) -> Floats:
    """How well the chunk answers once it is read with the question, as far as names leave it open."""
    if candidates.reading is None:
        return np.zeros(len(candidates.rows), np.float32)
    return candidates.reading * np.float32(1 - candidates.named)


def _meaning(values: Floats, query: Query) -> Floats:
    """`values` standardised over the candidates; less for a bare name."""
    return _standardised(values) * np.float32(NAME_DENSE if query.is_name else 1)


def name_match(candidates: Candidates, query: Query) -> Floats:
    """How well a defined name and the question cover each other, word by word (harmonic mean)."""
    if candidates.name_matches is not None:
        return candidates.name_matches
    match = candidates.terms.match
    return np.array(
        [
            max((match(_words(symbol)) for symbol in chunk.symbols), default=0.0)
            for chunk in candidates.chunks
        ],
        np.float32,
    )


def definition(candidates: Candidates, query: Query) -> Floats:
    """The chunk defines an identifier that the question names, or spells in words; less when case differs.

    In a sentence a name counts by its share of the question: where X is defined does not say how X uses Y.
    """
    if query.names:
        shares = {
            name: NAME_WORTH if query.is_name else candidates.terms.held_by(_spellings(name))
            for name in query.names
        }
        otherwise = OTHER_CASE if query.is_name else SPELLED
        return np.array([_defines(chunk, shares, otherwise) for chunk in candidates.chunks], np.float32)
    return np.array(
        [SPELLED * any(_words(name) == query.words for name in c.symbols) for c in candidates.chunks],
        np.float32,
    )


def identifier(candidates: Candidates, query: Query) -> Floats:
    """The chunk holds an identifier of the question whole, not its words here and there; more for a rare one.

    It need not define it: a name that is only used is found where it is used.
    """
    return candidates.identifiers * np.float32(NAME_WORTH if query.is_name else 1)


def stem_match(candidates: Candidates, query: Query) -> Floats:
    """How well the file's name and the question cover each other."""
    return np.array([candidates.terms.match(_stem_words(c.path)) for c in candidates.chunks], np.float32)


def folder_match(candidates: Candidates, query: Query) -> Floats:
    """The share of the question that the names of the last three folders hold."""
    return np.array([candidates.terms.held_by(_folder_words(c.path)) for c in candidates.chunks], np.float32)


def scope_match(candidates: Candidates, query: Query) -> Floats:
    """How well the enclosing class or module and the question cover each other."""
    return np.array([candidates.terms.match(_words(c.scope)) for c in candidates.chunks], np.float32)


_TEST_PATH = re.compile(
    r"(^|/)(tests?|specs?|__tests__|testing|e2e|fixtures?|testdata|mocks?|benchmarks?|benches?)(/|$)|(^|/)(test_[^/]*|conftest\.py|[^/]*[._-](test|tests|spec|bench)\.[^/]+|[^/]*Tests?\.(java|kt|cs|swift|scala|php))$"
)
_EXAMPLE_PATH = re.compile(
    r"(^|/)(examples?|samples?|demos?|tutorials?|playground|cookbook|docs?[_-]?src)(/|$)", re.I
)
_TYPES = re.compile(r"\.d\.[cm]?ts$|\.pyi$")
# A question that says "test" may mean one, or what a program tests: half of what counts against them stays.
_ASKED_FOR = 0.5
_FUNCTIONS = ("function", "method")
# What sets up or lays out; templates with code in them are not counted among these.
_SETTINGS_LANGUAGES = SETTINGS | {"html", "css", "scss"}


def is_test(path: str) -> bool:
    """Whether a file's path says that it holds tests or benchmarks."""
    return bool(_TEST_PATH.search(path))


def test_file(candidates: Candidates, query: Query) -> Floats:
    """Tests and benchmarks, less so when the question speaks of them."""
    asked = {"test", "tests", "testing", "spec", "mock", "fixture", "benchmark"} & set(query.words)
    flags = _path_flags(candidates, _TEST_PATH) * _left_open(candidates, query)
    return flags * np.float32(_ASKED_FOR if asked else 1)


def example_file(candidates: Candidates, query: Query) -> Floats:
    """Examples and demonstrations, less so when the question speaks of them."""
    asked = {"example", "examples", "sample", "demo", "tutorial"} & set(query.words)
    flags = _path_flags(candidates, _EXAMPLE_PATH) * _left_open(candidates, query)
    return flags * np.float32(_ASKED_FOR if asked else 1)


def type_stub(candidates: Candidates, query: Query) -> Floats:
    """Declarations without code."""
    return _path_flags(candidates, _TYPES)


def prose(candidates: Candidates, query: Query) -> Floats:
    """Documentation: it talks about the code that is wanted."""
    return np.array([c.language in PROSE for c in candidates.chunks], np.float32) * _left_open(
        candidates, query
    )


def settings_file(candidates: Candidates, query: Query) -> Floats:
    """Configuration and markup."""
    found = np.array([c.language in _SETTINGS_LANGUAGES for c in candidates.chunks], np.float32)
    return found * _left_open(candidates, query)


def function(candidates: Candidates, query: Query) -> Floats:
    """The chunk is a function or method, as far as names leave it open: words ask for what does something."""
    if query.is_name:
        return np.zeros(len(candidates.rows), np.float32)
    does = np.array([chunk.kind in _FUNCTIONS for chunk in candidates.chunks], np.float32)
    return does * np.float32(1 - candidates.named)


def several_chunks(candidates: Candidates, query: Query) -> Floats:
    """What the candidates of the same file add up to, each further one less, as a share of the most.

    The whole of it where the question names a topic, less where it asks for one place. Meaning adds up only
    with a word of the question beside it: near misses do not outvote one exact word.
    """
    # Three deviations above the mean count as much as the best BM25.
    meaning = np.maximum(_meaning(candidates.dense, query), 0) / 3
    held = candidates.coverage > 0
    base = _share_of_best(candidates.lexical) + (np.where(held, meaning, 0) if held.any() else meaning)
    totals = np.log1p(np.bincount(candidates.files, base)).astype(np.float32)
    most = max(float(totals.max(initial=0.0)), 1e-6)
    counts = np.interp(len(query.words), (TOPIC_WORDS, PLACE_WORDS), (1.0, PLACE))
    return totals[candidates.files] * np.float32((PLACE if query.is_name else counts) / most)


def likeness(candidates: Candidates, query: Query) -> Floats:
    """How likely the chunk is the selected code, 0..1: the score that will be shown."""
    if candidates.likeness is None:
        return np.zeros(len(candidates.rows), np.float32)
    return candidates.likeness


def shape(candidates: Candidates, query: Query) -> Floats:
    """How much of the selected code's shape the chunk has, whatever the names in it: see shape.py."""
    if candidates.shape is None:
        return np.zeros(len(candidates.rows), np.float32)
    return np.clip((candidates.shape - CHANCE) / (1 - CHANCE), 0, None)


# Chosen on questions for functions (`train/data/questions`), docstrings, and questions and issue titles whose
# answer is a file; `asked`, asked of sources and of whole repositories, had a small part in it.
# `python -m bench.tune` says what each is worth, and what others reach on repositories left out of the fit.
# The weight of `dense` is that of a model without a calibration; see `Calibration.dense`.
WEIGHTS: dict[str, float] = {
    "lexical": 0.23,
    "dense": 0.24,
    "nearest_words": 0.11,
    "reading": 0.5,
    "name_match": 0.6,
    "definition": 0.5,
    "identifier": 0.3,
    "stem_match": 0.7,
    "folder_match": 0.15,
    "scope_match": 0.15,
    "function": 1.0,
    "several_chunks": 0.6,
    "test_file": -1.0,
    "example_file": -0.6,
    # The development sets hold too few of these to measure; they are not what is asked for.
    "type_stub": -0.2,
    "prose": -0.45,
    "settings_file": -0.4,
}
RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        lexical,
        dense,
        nearest_words,
        reading,
        name_match,
        definition,
        identifier,
        stem_match,
        folder_match,
        scope_match,
        function,
        several_chunks,
        test_file,
        example_file,
        type_stub,
        prose,
        settings_file,
        likeness,
        shape,
    )
}
# Find-similar asks for the same content under other names: meaning first, rare words second, no names.
# `python -m bench.calibrate_similar` says what place copies and rewritings get with and without `likeness`,
# which knows what the selection and the chunk have in common. At 4 copies gain more than rewritings lose.
# `shape` at 3: copies under other names rise from .755 to .867, edited ones fall from .935 to .915,
# rewritings in other languages from .650 to .612 (MRR@10 at exit 0).
SIMILAR_WEIGHTS: dict[str, float] = {
    "likeness": 4.0,
    "shape": 3.0,
    "dense": 0.6,
    "lexical": 0.8,
    "test_file": -0.4,
    "prose": -1.0,
    "settings_file": -1.0,
}


def absolute_features(candidates: Candidates, query: Query, best: NDArray[np.intp]) -> dict[str, Floats]:
    """What the hits `best` (places among the candidates, in rank order) have that compares between questions.

    `place` is the reciprocal rank.
    """
    hits = candidates.at(best)
    columns = {rule.__name__: rule(hits, query) for rule in (name_match, definition, stem_match)}
    columns["coverage"] = hits.coverage
    columns["cosine"] = hits.dense
    columns["nearest_words"] = hits.nearest_words
    if hits.read_scores is not None:
        columns["reading"] = hits.read_scores
    columns["place"] = (1 / np.arange(1, best.size + 1)).astype(np.float32)
    return columns


def _left_open(candidates: Candidates, query: Query) -> Floats:
    """How much it counts where a chunk stands: little for one of the few that hold the name asked for."""
    return 1 - candidates.identifiers if query.is_name else np.ones(len(candidates.rows), np.float32)


def features(candidates: Candidates, query: Query, rules: Sequence[str]) -> Floats:
    """One column a rule: float32 [m, len(rules)]."""
    return np.stack([RULES[name](candidates, query) for name in rules], axis=1)


def weighed(columns: Floats, files: Rows, rules: Sequence[str], weights: Mapping[str, float]) -> Floats:
    """What each of `rules` adds to each candidate's score: float32 [m, len(rules)], of `features` alike.

    files: the file of each candidate.  `function` adds less where all of a file would gain: see `IN_FILE`.
    """
    added = columns * np.array([weights[rule] for rule in rules], np.float32)
    if "function" in rules and len(added):
        at = rules.index("function")
        # Reading tells more than a kind: what it adds comes after.
        scores = added[:, [place for place, rule in enumerate(rules) if rule != "reading"]].sum(axis=1)
        found, of = np.unique(files, return_inverse=True)
        best, otherwise = (np.full(len(found), -np.inf, np.float32) for _ in range(2))
        np.maximum.at(best, of, scores)
        np.maximum.at(otherwise, of, scores - added[:, at])
        added[:, at] -= np.float32(IN_FILE) * (best - otherwise)[of]
    return added


def _share_of_best(values: Floats) -> Floats:
    return values / max(float(values.max(initial=0.0)), 1e-6)


def _standardised(values: Floats) -> Floats:
    spread = float(values.std()) if values.size else 0.0
    if spread < 1e-6:
        return np.zeros_like(values)
    standardised: Floats = (values - values.mean()) / spread
    return standardised


def _path_flags(candidates: Candidates, pattern: re.Pattern[str]) -> Floats:
    return np.array([_is_in(chunk.path, pattern) for chunk in candidates.chunks], np.float32)


@lru_cache(maxsize=16384)
def _is_in(path: str, pattern: re.Pattern[str]) -> bool:
    return pattern.search(path) is not None


@lru_cache(maxsize=16384)
def _stem_words(path: str) -> tuple[str, ...]:
    stem = path.rsplit("/", 1)[-1].split(".", 1)[0]
    if stem in ("__init__", "index", "mod", "lib", "main") and "/" in path:
        stem = path.rsplit("/", 2)[-2]
    return tuple(split_words(stem))


@lru_cache(maxsize=16384)
def _folder_words(path: str) -> tuple[str, ...]:
    return tuple(split_words(" ".join(path.split("/")[-4:-1])))


_ENDINGS = (
    "ings",
    "ing",
    "ations",
    "ation",
    "ions",
    "ion",
    "ers",
    "er",
    "ors",
    "or",
    "ed",
    "es",
    "s",
    "able",
    "e",
)
_MIN_STEM = 3


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """What `validate`, `validator`, `validation` and `validating` share. Rough, and only ever compared."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _MIN_STEM and not word.endswith("ss"):
            cut = word[: -len(ending)]
            if (
                ending in ("ion", "ions", "or", "ors", "e", "ed", "ing")
                and cut.endswith("at")
                and len(cut) > 5
            ):
                cut = cut[:-2]
            elif len(cut) > _MIN_STEM and cut[-1] == cut[-2]:
                cut = cut[:-1]  # formatting -> format
            return cut.removesuffix("e") if ending in ("s", "ers") else cut
    return word[:-1] + "i" if word.endswith("y") and len(word) > _MIN_STEM else word


def same_word(one: str, other: str) -> float:
    """1 for the same word, less for two forms of one word or an abbreviation of it, else 0."""
    if one == other:
        return 1.0
    if one[0] != other[0]:
        return 0.0
    if stem(one) == stem(other):
        return 0.9
    short, long = (one, other) if len(one) <= len(other) else (other, one)
    return 0.6 if len(short) >= _MIN_STEM and long.startswith(short) else 0.0


@lru_cache(maxsize=16384)
def _words(name: str) -> tuple[str, ...]:
    return tuple(split_words(name))


@lru_cache(maxsize=1024)
def _spellings(name: str) -> tuple[str, ...]:
    """The words of a name in a question, and its parts as one word each, as `analyse` has them."""
    return tuple(dict.fromkeys([*split_words(name), *map(str.lower, name_parts(name))]))


def named_symbol(query: Query, symbols: Sequence[str]) -> str:
    """The one of `symbols` whose last part the question names, as spelled there if one is; "" for none."""
    asked = [name_parts(name)[-1] for name in query.names]
    last = {symbol: _parts(symbol)[-1] for symbol in symbols}
    for name in asked:
        for symbol, part in last.items():
            if part == name:
                return symbol
    lower = {name.lower() for name in asked}
    for symbol, part in last.items():
        if part.lower() in lower or (not asked and _words(part) == query.words):
            return symbol
    return ""


@lru_cache(maxsize=65536)
def _parts(symbol: str) -> Sequence[str]:
    return [bare_name(part) for part in name_parts(symbol)] or (symbol,)


def _defines(chunk: StoredChunk, names: Mapping[str, float], otherwise: float) -> float:
    """How well `chunk` defines one of `names`, times what that one is worth; `otherwise`: in another case."""
    best = 0.0
    for name, worth in names.items():
        parts = name_parts(name)
        last, outer = parts[-1], parts[:-1]
        for symbol in chunk.symbols:
            *within, own = _parts(symbol)
            if own == last:
                value = 1.0
            elif own.lower() == last.lower():
                value = otherwise
            else:
                continue
            if outer:
                scope = [*chunk.scope.lower().split("."), *map(str.lower, within)]
                value *= 1.0 if outer[-1].lower() in scope else 0.5
            best = max(best, worth * value)
        if outer and any(symbol == outer[-1] for symbol in chunk.symbols):
            best = max(best, worth * 0.4)
    return best
