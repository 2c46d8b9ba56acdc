"""A question against a snapshot: candidates from words and vectors, one linear score, ranked hits.

How a question becomes an answer, step by step:

1. `analyse` (query.py) takes the question apart: its words, the names in it, whether it is a name itself.
2. `filtered` (candidates.py) says which chunks languages and globs allow. The encoder turns the question into
   a vector at the wanted exit (encoder/encoder.py), a pasted text and its headline into one.
3. `pool` (candidates.py) gathers candidates: the best by BM25, of chunks and of files (lexical.py), the
   nearest by cosine, and whatever defines a name of the question. No more than these are ranked.
4. `late_interaction` (late_interaction.py) and `name_match` (ranking.py) add what other rules rest on.
5. `features` (ranking.py): every rule gives each candidate a number; the score is their weighted sum. The
   further chunks of one file then lose some of theirs (`_spread_over_files`).
6. Calibration (calibrate.py) turns the absolute features of the best into the probability that is shown, and
   cuts at the threshold. What defines the typed name, or holds all words and a rare one, is never withheld.
7. Where `Options.budget` allows, the best candidates are read with the question (cascade.py): one more rule,
   `reading`, with which 5 and 6 are done again. Where the user runs a reader of their own, its order takes
   the place of that (listwise.py): the hits change places, and the probabilities stay with the places.
8. Each hit carries its addends, by rule, as its explanation.

Find-similar goes the same way with a selection's telling words in place of the question's, without names,
with a calibration of its own, and with a look at the shape of the likeliest (shape.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.arrays import Floats, Rows
from modstar_lsp.encoder import Encoder
from modstar_lsp.encoder.words import split_words
from modstar_lsp.errors import QueryError
from modstar_lsp.search.calibrate import Calibration
from modstar_lsp.search.candidates import elsewhere, likeness_features, pool, shapes, telling_terms
from modstar_lsp.search.filters import Filter, Sources, allowed_rows
from modstar_lsp.search.late_interaction import late_interaction
from modstar_lsp.search.lexical import idf_of
from modstar_lsp.search.query import MAX_WORDS, NO_WORDS, Query, analyse, headline
from modstar_lsp.search.ranking import (
    RULES,
    SIMILAR_WEIGHTS,
    WEIGHTS,
    Candidates,
    absolute_features,
    features,
    name_match,
    named_symbol,
    weighed,
)

if TYPE_CHECKING:
    from modstar_lsp.index import View
    from modstar_lsp.index.records import Cancelled
    from modstar_lsp.search.cascade import Stage

# Each further chunk of one file loses this much of its raw score: ten places should not be one file.
REPEAT_PENALTY = 0.25
# Its name among the addends of a score.
REPEATED = "repeated_file"
# Among them, what a reader of the user's own moved a hit by.
MOVED = "own_reader"
# A word that no more chunks than these hold is rare: who types it knows that it is there.
FEW_HOLDERS = 3
# Behind a good first hit those are shown too that have this share of what the first needs: with a fifth very
# unlikely ones were, with a half right ones were hidden.
FOLLOWERS = 0.35


class Options(NamedTuple):
    """How to search.

    k: hits at most.  filters: all of them bound the search.  sources: the files, for filters that look into
    them.
    min_score: calibrated score (0..1) below which nothing is shown; None: the bundle's own threshold for the
    first hit, less for those behind it.
    depth: of the exit that embeds the question; None: exit 0.  lexical, dense, rules: parts switched off to
    measure what they are worth.
    budget: seconds for which the best candidates may be read with the question after they were ranked
    (`cascade`); 0: none are, and the answer is there in milliseconds.
    own_reader: whether that is done by the reader that the user's environment names, if any (`listwise`), for
    `budget` or the time that is its own, whichever is longer.
    """

    k: int = 10
    filters: tuple[Filter, ...] = ()
    sources: Sources | None = None
    min_score: float | None = None
    depth: int | None = None
    lexical: bool = True
    dense: bool = True
    rules: bool = True
    budget: float = 0.0
    own_reader: bool = False


class Hit(NamedTuple):
    """One place that answers.

    path: relative to the workspace, with `/`.  start_line, end_line: 1-based, inclusive.  score: how
    likely it is to be what was asked for, or the same as what was selected, 0..1, calibrated on the
    development sets.  explanation: the addends, by rule, of the sum that ranks.  symbols, symbol_lines: the
    names that these lines define, and where.  asked: the one of them that the question names, "" for none.
    row: of the view that was searched.
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
    symbol_lines: tuple[int, ...] = ()
    asked: str = ""
    row: int = -1


class Results(NamedTuple):
    """Hits in rank order.

    good: how many of them, the first, are shown when nobody says how much they must score.
    closest: when there is no hit, the best place that fell short of the threshold.  indexed_share: the share
    of the known files that were indexed when the question was asked.  took: seconds.  note: one line that
    whoever asked should read, "" for none.  stage: what the last stage did, None where nothing was read.
    did_you_mean: when none is good, a name, defined or only used, that one in the question may be a typing
    error of.
    """

    hits: tuple[Hit, ...]
    closest: Hit | None
    indexed_share: float
    took: float
    note: str = ""
    stage: Stage | None = None
    did_you_mean: str = ""
    good: int = 0


def search(
    snapshot: View,
    encoder: Encoder,
    text: str,
    options: Options | None = None,
    *,
    cancelled: Cancelled | None = None,
) -> Results:
    """The chunks of `snapshot` that answer a sentence or name best. Raises QueryError on an empty one.

    cancelled: ends the reading that `options.budget` is for, of `options.sources`.
    """
    options = options or Options()
    begin = time.perf_counter()
    query, found = gather(snapshot, encoder, text, options)
    calibration = Calibration.from_manifest(encoder.bundle.calibration, options.depth or 0)
    weights = weights_of(calibration)
    stage = None
    if options.sources is not None and options.budget > 0:
        stage = read_candidates(encoder, query, found, options, weights, options.sources, cancelled)
    moved = None if stage is None else stage.order
    if stage is not None and stage.read and moved is None:
        found = found._replace(reading=stage.addends, read_scores=stage.scores)
        calibration = calibration.read or calibration
    results = _ranked(snapshot, query, found, options, calibration, weights, begin, moved)
    if results.hits and query.is_name and len(query.words) > 1:  # "retries" is a form of "retry", no error
        results = results._replace(note=_slip_note(snapshot, query, options))
    elif query.names and not results.good:
        results = results._replace(did_you_mean=_meant(snapshot, query, options))
    return results._replace(stage=stage)


def _meant(snapshot: View, query: Query, options: Options) -> str:
    """The name that one in the question may be a typing error of, "" for none."""
    from modstar_lsp.search.suggest import did_you_mean

    allowed = allowed_rows(snapshot, options.filters, options.sources)
    return did_you_mean(snapshot, query, allowed, options.sources)


def _slip_note(snapshot: View, query: Query, options: Options) -> str:
    """One line for a name that only its parts found hits for, "" where it occurs or none is like it."""
    meant = _meant(snapshot, query, options)
    words = tuple(split_words(meant))
    if not meant or query.words[-len(words) :] == words:  # parseJson asks for parse_json as well
        return ""
    return f'"{query.text.strip()}" occurs nowhere; did you mean {meant}?'


def read_candidates(
    encoder: Encoder,
    query: Query,
    found: Candidates,
    options: Options,
    weights: Mapping[str, float],
    sources: Sources,
    cancelled: Cancelled | None,
) -> Stage | None:
    """What the last stage finds; None where it has nothing to tell: a name says itself.

    weights: as of `weights_of`.  sources: of the texts.  Raises BundleError when the model is damaged.
    """
    if query.is_name or found.named >= 1 or not found.rows.size:
        return None
    begin = time.perf_counter()
    scores = _addends(found, query, _rules(options, weights), weights).sum(axis=1)
    own: Stage | None = None
    if options.own_reader:
        from modstar_lsp.search.listwise import order_best

        first = np.argsort(_repeats(scores, found.files) - scores, kind="stable")  # as it is shown
        own = order_best(query.text, found.chunks, sources, first, options.budget, cancelled)
        if own is not None and own.order is not None:
            return own
    budget = options.budget if own is None else options.budget - (time.perf_counter() - begin)
    reranker = encoder.reranker() if budget > 0 else None
    if reranker is None:
        return own
    from modstar_lsp.search.cascade import read_best

    best = np.argsort(-scores, kind="stable")
    stage = read_best(reranker, query.text, found.chunks, sources, best, budget, cancelled)
    return stage if own is None else stage._replace(note=own.note)


def weights_of(calibration: Calibration) -> dict[str, float]:
    """The weights of the rules at the exit of `calibration`."""
    return {rule: calibration.dense if rule == "dense" else weight for rule, weight in WEIGHTS.items()}


def gather(snapshot: View, encoder: Encoder, text: str, options: Options) -> tuple[Query, Candidates]:
    """The analysed question and the unranked candidates: what ranking and calibration start from."""
    _check(options)
    query = analyse(text)
    if not query.words and not snapshot.defining(query.names):  # signs that are no operator here
        raise QueryError(NO_WORDS)
    if query.spoken:
        query = query._replace(terms=_held_terms(snapshot, query))
    allowed = allowed_rows(snapshot, options.filters, options.sources)
    vector = question_vector(encoder, text, options.depth or 0) if options.dense else None
    found = pool(snapshot, query, vector, allowed, lexical=options.lexical, names=options.rules)
    if options.dense:
        words = late_interaction(encoder, found.terms.idf, [chunk.pieces for chunk in found.chunks])
        found = found._replace(nearest_words=words)
    if options.rules and found.rows.size:
        matches = name_match(found, query)
        found = found._replace(name_matches=matches, named=float(matches.max()))
    return query, found


def question_vector(encoder: Encoder, text: str, depth: int) -> Floats:
    """The unit vector of a question at an exit, float32 [dim].

    In a pasted text the headline counts as much as the whole, most of which is about something else: 119
    whole issues found their functions with an MRR@10 of .372 so, .295 without.
    """
    title = headline(text)
    if not title:
        return encoder.encode([text], depth, "query")[0]
    both = encoder.encode([text, title], depth, "query").sum(axis=0)
    return both / np.float32(max(float(np.linalg.norm(both)), 1e-6))


def _held_terms(snapshot: View, query: Query) -> tuple[str, ...]:
    """The terms to look for of a question that was turned into English.

    As they were typed where all of them occur: somebody comments in that language. Else the English ones and
    what of the others occurs; the rest would only count against what answers.
    """
    held = snapshot.postings(query.spoken)
    if len(held) == len(query.spoken):
        return query.spoken
    return tuple(dict.fromkeys([*query.terms, *held]))


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
    calibration = Calibration.from_manifest(encoder.bundle.calibration, options.depth or 0)
    if calibration.similar is not None:
        calibration = calibration.similar
        likely = calibration.probability(likeness_features(snapshot, code, found))
        found = found._replace(likeness=likely, shape=shapes(code, found, likely, options.sources))
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
    allowed = allowed_rows(snapshot, options.filters, options.sources)
    if origin is not None:
        allowed = elsewhere(snapshot, origin, allowed)
    vector = encoder.encode([code], options.depth or 0, "code")[0] if options.dense else None
    return query, pool(snapshot, query, vector, allowed, lexical=options.lexical, names=False)


def _check(options: Options) -> None:
    if options.k < 1:
        raise QueryError(f"k is {options.k}: ask for at least one hit")
    if not options.budget >= 0:  # nor "not a number"
        raise QueryError(f"the budget is {options.budget:g} seconds: it is 0 or more")
    if options.min_score is not None and not 0 <= options.min_score <= 1:
        raise QueryError(f"the minimum score is {options.min_score}: it lies between 0 and 1")


def order(
    found: Candidates, query: Query, options: Options | None = None, weights: Mapping[str, float] = WEIGHTS
) -> NDArray[np.intp]:
    """The places among `found` from best to worst."""
    raw = _addends(found, query, _rules(options or Options(), weights), weights).sum(axis=1)
    return np.argsort(_repeats(raw, found.files) - raw, kind="stable")


def _ranked(
    snapshot: View,
    query: Query,
    found: Candidates,
    options: Options,
    calibration: Calibration,
    weights: Mapping[str, float],
    begin: float,
    moved: NDArray[np.intp] | None = None,
) -> Results:
    """Hits out of candidates. moved: the first of them by score, in another order, which then counts.

    What is shown, and how likely each place is, stays as it was: nothing is known of how good that order is.
    """
    rules = _rules(options, weights)
    addends = _addends(found, query, rules, weights)
    raw = addends.sum(axis=1)
    repeats = _repeats(raw, found.files)
    totals = raw - repeats
    by_score = np.argsort(-totals, kind="stable")
    best = by_score[: options.k]
    likely = _likely(snapshot, query, found, best, options, calibration)
    if found.likeness is None and options.rules and best.size and likely[0] < calibration.threshold:
        sure = _is_sure(snapshot, query, found)
        if moved is None and sure.any():  # what would be withheld does not stand before what never is
            by_score = by_score[np.argsort(~sure[by_score], kind="stable")]
            best = by_score[: options.k]
            likely = _likely(snapshot, query, found, best, options, calibration)
    likely = np.minimum.accumulate(likely) if likely.size else likely
    if found.likeness is not None:  # each hit is like the selection or is not
        usual = calibration.threshold
    else:  # the first decides whether there is an answer; then weaker ones may follow
        answered = likely.size and likely[0] >= calibration.threshold
        usual = FOLLOWERS * calibration.threshold if answered else calibration.threshold
    threshold = usual if options.min_score is None else options.min_score
    if moved is not None:
        best = np.concatenate([moved, by_score[len(moved) :]])[: options.k]

    def hit(place: int) -> Hit:
        row = int(best[place])
        chunk = found.chunks[row]
        explanation = {rule: float(value) for rule, value in zip(rules, addends[row], strict=True) if value}
        if repeats[row]:
            explanation[REPEATED] = -float(repeats[row])
        if by_score[place] != row:
            explanation[MOVED] = float(totals[by_score[place]] - totals[row])
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
            chunk.symbol_lines,
            named_symbol(query, chunk.symbols),
            int(found.rows[row]),
        )

    hits = tuple(hit(place) for place in range(best.size) if likely[place] >= threshold)
    closest = hit(0) if best.size and not hits else None
    good = sum(hit.score >= usual for hit in hits)
    return Results(hits, closest, snapshot.indexed_share, time.perf_counter() - begin, good=good)


def _likely(
    snapshot: View,
    query: Query,
    found: Candidates,
    best: NDArray[np.intp],
    options: Options,
    calibration: Calibration,
) -> Floats:
    """How likely each of `best` is, at least the threshold for those that are never withheld."""
    if found.likeness is not None:
        return found.likeness[best]
    likely = calibration.probability(absolute_features(found, query, best))
    if not options.rules:
        return likely
    sure = _is_sure(snapshot, query, found.at(best))
    return np.where(sure, np.maximum(likely, calibration.threshold), likely)


def _is_sure(snapshot: View, query: Query, found: Candidates) -> NDArray[np.bool_]:
    """Which candidates are never withheld.

    They define the name that is the question or hold it whole, or they hold all words of the question, one of
    which few chunks hold.
    """
    held = found.coverage > 1 - 1e-3
    if max(found.terms.idf.values(), default=0.0) < idf_of(snapshot.corpus.chunks, FEW_HOLDERS):
        held[:] = False
    if query.is_name:
        held |= found.identifiers > 0
        held |= np.array([bool(named_symbol(query, chunk.symbols)) for chunk in found.chunks], bool)
    return held


def _addends(found: Candidates, query: Query, rules: Sequence[str], weights: Mapping[str, float]) -> Floats:
    """What each rule adds to each candidate's score: float32 [m, len(rules)]."""
    return weighed(features(found, query, rules), found.files, rules, weights)


def _rules(options: Options, weights: Mapping[str, float]) -> list[str]:
    off = {*(() if options.lexical else ("lexical",)), *(() if options.dense else ("dense", "nearest_words"))}
    if not options.rules:
        off |= set(RULES) - {"lexical", "dense", "nearest_words", "reading"}
    if options.budget <= 0:
        off.add("reading")
    return [rule for rule in weights if rule not in off]


def _repeats(raw: Floats, files: Rows) -> Floats:
    """What each chunk loses for better ones of its file: the n-th (n - 1) REPEAT_PENALTY."""
    seen: dict[int, int] = {}
    lost = np.zeros_like(raw)
    for place in np.argsort(-raw, kind="stable"):
        earlier = seen.get(int(files[place]), 0)
        lost[place] = REPEAT_PENALTY * earlier
        seen[int(files[place])] = earlier + 1
    return lost
