"""A question against a snapshot: candidates from words and vectors, one linear score, ranked hits."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.encoder import Encoder
from modstar_lsp.encoder.words import split_words
from modstar_lsp.errors import QueryError
from modstar_lsp.search.calibrate import Calibration
from modstar_lsp.search.candidates import elsewhere, filtered, likeness_features, pool, telling_terms
from modstar_lsp.search.query import MAX_WORDS, Query, analyse
from modstar_lsp.search.ranking import (
    RULES,
    SIMILAR_WEIGHTS,
    WEIGHTS,
    Candidates,
    absolute_features,
    features,
)

if TYPE_CHECKING:
    from modstar_lsp.index import View

# Each further chunk of one file loses this much of its raw score: ten places should not be one file.
REPEAT_PENALTY = 0.25
# Behind a good first hit those are shown too that have this share of what the first needs.
FOLLOWERS = 0.2

Rows = NDArray[np.int32]
Floats = NDArray[np.float32]


class Options(NamedTuple):
    """How to search.

    k: hits at most.  languages: only these ("python").  globs: only paths that match one of them.
    min_score: calibrated score (0..1) below which nothing is shown; None: the bundle's own threshold for the
    first hit, less for those behind it.
    exit: the exit that embeds the question; None: exit 0.  lexical, dense, rules: parts switched off to
    measure what they are worth.
    """

    k: int = 10
    languages: frozenset[str] = frozenset()
    globs: tuple[str, ...] = ()
    min_score: float | None = None
    exit: int | None = None
    lexical: bool = True
    dense: bool = True
    rules: bool = True


class Hit(NamedTuple):
    """One place that answers.

    path: relative to the workspace, with `/`.  start_line, end_line: 1-based, inclusive.  score: how
    likely it is to be what was asked for, or the same as what was selected, 0..1, calibrated on the
    development sets.  explanation: the addends of the raw score by rule.
    """

    path: str
    start_line: int
    end_line: int
    name: str
    scope: str
    kind: str
    language: str
    score: float
    explanation: Mapping[str, float] = MappingProxyType({})
    symbols: tuple[str, ...] = ()


class Results(NamedTuple):
    """Hits in rank order.

    closest: when there is no hit, the best place that fell short of the threshold.  coverage: the share
    of the known files that were indexed when the question was asked.  took: seconds.
    """

    hits: tuple[Hit, ...]
    closest: Hit | None
    coverage: float
    took: float


def search(snapshot: View, encoder: Encoder, text: str, options: Options | None = None) -> Results:
    """The chunks of `snapshot` that answer a sentence or name best. Raises QueryError on an empty one."""
    options = options or Options()
    begin = time.perf_counter()
    query, found = gather(snapshot, encoder, text, options)
    calibration = Calibration.from_manifest(encoder.bundle.calibration, options.exit or 0)
    return _ranked(snapshot, query, found, options, calibration, weights_of(calibration), begin)


def weights_of(calibration: Calibration) -> dict[str, float]:
    """The weights of the rules at the exit of `calibration`."""
    return {rule: calibration.dense if rule == "dense" else weight for rule, weight in WEIGHTS.items()}


def gather(snapshot: View, encoder: Encoder, text: str, options: Options) -> tuple[Query, Candidates]:
    """The analysed question and the unranked candidates: what ranking and calibration start from."""
    _check(options)
    query = analyse(text)
    allowed = filtered(snapshot, options.languages, options.globs)
    vector = encoder.encode([text], options.exit or 0, "query")[0] if options.dense else None
    return query, pool(snapshot, query, vector, allowed, lexical=options.lexical, names=options.rules)


def similar(
    snapshot: View,
    encoder: Encoder,
    code: str,
    options: Options | None = None,
    *,
    origin: tuple[str, int, int] | None = None,
) -> Results:
    """The chunks most like a piece of code, the piece itself left out.

    origin: path, first and last line of `code` in the workspace; chunks that overlap it are not shown.
    Raises QueryError when `code` holds no word.
    """
    options = options or Options()
    begin = time.perf_counter()
    query, found = gather_similar(snapshot, encoder, code, options, origin)
    calibration = Calibration.from_manifest(encoder.bundle.calibration, options.exit or 0)
    if calibration.similar is not None:
        calibration = calibration.similar
        likely = calibration.probability(likeness_features(snapshot, code, found))
        found = found._replace(likeness=likely)
    return _ranked(snapshot, query, found, options, calibration, SIMILAR_WEIGHTS, begin)


def gather_similar(
    snapshot: View, encoder: Encoder, code: str, options: Options, origin: tuple[str, int, int] | None = None
) -> tuple[Query, Candidates]:
    """What `similar` ranks: the selection as a query, and the unranked candidates."""
    _check(options)
    words = split_words(code)
    if not words:
        raise QueryError("the selected code holds no words: select some lines of code")
    query = Query(code, tuple(words[:MAX_WORDS]), telling_terms(snapshot, words), (), False)
    allowed = filtered(snapshot, options.languages, options.globs)
    if origin is not None:
        allowed = elsewhere(snapshot, origin, allowed)
    vector = encoder.encode([code], options.exit or 0, "code")[0] if options.dense else None
    return query, pool(snapshot, query, vector, allowed, lexical=options.lexical, names=False)


def _check(options: Options) -> None:
    if options.k < 1:
        raise QueryError(f"k is {options.k}: ask for at least one hit")
    if options.min_score is not None and not 0 <= options.min_score <= 1:
        raise QueryError(f"the minimum score is {options.min_score}: it lies between 0 and 1")


def order(
    found: Candidates, query: Query, options: Options | None = None, weights: Mapping[str, float] = WEIGHTS
) -> NDArray[np.intp]:
    """The places among `found` from best to worst."""
    return _spread_over_files(
        _addends(found, query, _rules(options or Options(), weights), weights).sum(axis=1), found.files
    )


def _ranked(
    snapshot: View,
    query: Query,
    found: Candidates,
    options: Options,
    calibration: Calibration,
    weights: Mapping[str, float],
    begin: float,
) -> Results:
    rules = _rules(options, weights)
    addends = _addends(found, query, rules, weights)
    best = _spread_over_files(addends.sum(axis=1), found.files)[: options.k]
    if found.likeness is None:
        likely = calibration.probability(absolute_features(found, query, best))
    else:
        likely = found.likeness[best]
    likely = np.minimum.accumulate(likely) if likely.size else likely
    threshold = options.min_score
    if threshold is None and found.likeness is not None:  # each hit is like the selection or is not
        threshold = calibration.threshold
    elif threshold is None:  # the first decides whether there is an answer; then weaker ones may follow
        answered = likely.size and likely[0] >= calibration.threshold
        threshold = FOLLOWERS * calibration.threshold if answered else calibration.threshold

    def hit(place: int) -> Hit:
        row = int(best[place])
        chunk = found.chunks[row]
        explanation = {rule: float(value) for rule, value in zip(rules, addends[row], strict=True) if value}
        return Hit(
            chunk.path,
            chunk.start_line,
            chunk.end_line,
            chunk.name,
            chunk.scope,
            chunk.kind,
            chunk.language,
            float(likely[place]),
            explanation,
            tuple(chunk.symbols),
        )

    hits = tuple(hit(place) for place in range(best.size) if likely[place] >= threshold)
    closest = hit(0) if best.size and not hits else None
    return Results(hits, closest, snapshot.coverage, time.perf_counter() - begin)


def _addends(found: Candidates, query: Query, rules: Sequence[str], weights: Mapping[str, float]) -> Floats:
    """What each rule adds to each candidate's score: float32 [m, len(rules)]."""
    return features(found, query, rules) * np.array([weights[rule] for rule in rules], np.float32)


def _rules(options: Options, weights: Mapping[str, float]) -> list[str]:
    off = {*(() if options.lexical else ("lexical",)), *(() if options.dense else ("dense",))}
    if not options.rules:
        off |= set(RULES) - {"lexical", "dense"}
    return [rule for rule in weights if rule not in off]


def _spread_over_files(raw: Floats, files: Rows) -> NDArray[np.intp]:
    """The order by score in which the n-th chunk of a file has lost (n - 1) REPEAT_PENALTY."""
    order = np.argsort(-raw, kind="stable")
    seen: dict[int, int] = {}
    adjusted = raw.copy()
    for place in order:
        earlier = seen.get(int(files[place]), 0)
        adjusted[place] -= REPEAT_PENALTY * earlier
        seen[int(files[place])] = earlier + 1
    return np.argsort(-adjusted, kind="stable")
