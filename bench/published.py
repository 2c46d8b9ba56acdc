"""Ask the sets that the field publishes figures on, by whoever has them, with the metrics of their authors.

    python -m bench.published codesearchnet FOLDER --checkpoint DIR [--pool 1000] [--code stripped]
    python -m bench.published advtest|cosqa|coir|codetransocean|poj-104|bigclonebench FOLDER --bundle default

Nothing is fetched; each set is read in its authors' layout (`evaluation/published/`). A row a set, a column a
system: BM25, every exit of a checkpoint or of a bundle, published encoders.

    codesearchnet   MRR of each language and their mean, among the full corpus or in pools of --pool codes
    advtest, cosqa  MRR, among all codes of the set
    coir            nDCG@10; the folder of one task in CoIR's, MTEB's or BEIR's layout
    codetransocean  the same, where code asks: MRR and nDCG@10
    poj-104         MAP@R, without training
    bigclonebench   F1 of the test pairs whose cosine is above a threshold, chosen on the valid pairs; with
                    training it is `python -m train clones`
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bench.baselines import Baseline, BaselineError, CheckpointEncoder
from bench.options import depths, names, numbers
from bench.vectors import Embeddings, VectorCache
from evaluation import metrics
from evaluation.bm25 import PlainBM25
from evaluation.published.clones import BigCloneBench, load_bigclonebench, load_poj104
from evaluation.published.codesearchnet import CODE, LANGUAGES, languages_in, load_codesearchnet
from evaluation.published.codexglue import load_advtest, load_cosqa
from evaluation.published.coir import load_coir
from evaluation.published.retrieval import RetrievalSet, Scorer, pools, score
from evaluation.record import Record, command_line, progress, table
from evaluation.sets import SetError
from modstar_lsp.errors import ModstarError

if TYPE_CHECKING:
    from modstar_lsp.encoder.encoder import Role

# Makes the scorer of one set.
System: TypeAlias = Callable[[RetrievalSet], Scorer]
# Metric -> a value a question.
Outcome: TypeAlias = dict[str, metrics.Floats]

SEED = 7
SETS = ("codesearchnet", "advtest", "cosqa", "coir", "codetransocean", "poj-104", "bigclonebench")
PAIRS = "bigclonebench"
# In this order, those that a set has.
_SHOWN = ("MAP@R", "MRR", "nDCG@10", "recall@1", "recall@10")


@dataclass(frozen=True, slots=True)
class Model:
    """An encoder at one exit. of: the embeddings for code in a language, which a prompt may name."""

    name: str
    depth: int
    of: Callable[[str], Embeddings]

    def scorer(self, retrieval: RetrievalSet) -> Scorer:
        """Cosines of queries and documents."""
        embeddings = self.of(retrieval.language)
        role: Role = "code" if retrieval.code_asks else "query"
        held = embeddings.of(retrieval.documents, self.depth, "code")
        asked = held if retrieval.among_themselves else embeddings.of(retrieval.queries, self.depth, role)
        return lambda queries: asked[list(queries)] @ held.T


def lexical(retrieval: RetrievalSet) -> Scorer:
    """BM25 over the documents."""
    built = PlainBM25(retrieval.documents)
    return lambda queries: built.matrix([retrieval.queries[query] for query in queries])


def ask(retrieval: RetrievalSet, system: System, pool: int = 0) -> Outcome:
    """A value a question; among `pool` documents each where it is not 0, see `pools`."""
    if not pool:
        return score(retrieval, system(retrieval))
    found = [score(one, system(one)) for one in pools(retrieval, pool)]
    return {metric: np.concatenate([one[metric] for one in found]) for metric in found[0]}


def sampled(retrieval: RetrievalSet, most: int) -> RetrievalSet:
    """The set with at most `most` of its questions (0: all), drawn by a seed; the documents stay."""
    if not 0 < most < len(retrieval.queries) or retrieval.among_themselves:
        return retrieval
    rows = np.sort(np.random.default_rng(SEED).choice(len(retrieval.queries), most, replace=False))
    return replace(
        retrieval,
        queries=tuple(retrieval.queries[row] for row in rows),
        relevant=tuple(retrieval.relevant[row] for row in rows),
    )


def told_apart(known: BigCloneBench, model: Model) -> metrics.Detection:
    """The test pairs: clones where the cosine is above the threshold that is best for the valid ones."""
    valid, test = known.pairs("valid"), known.pairs("test")
    rows = model.of("").of(known.functions, model.depth, "code")
    cosines = [np.einsum("nd,nd->n", rows[one.first], rows[one.second]) for one in (valid, test)]
    threshold = metrics.best_threshold(cosines[0].astype(np.float64), valid.clone)
    return metrics.detection(cosines[1] >= threshold, test.clone)


def read(args: argparse.Namespace) -> Iterator[RetrievalSet]:
    """The sets that the options name."""
    if args.set == "codesearchnet":
        for language in args.languages or languages_in(args.folder):
            if language not in LANGUAGES:
                raise SetError(f"CodeSearchNet has no {language!r}; its languages are {', '.join(LANGUAGES)}")
            yield load_codesearchnet(args.folder, language, args.code)
    elif args.set == "advtest":
        yield load_advtest(args.folder)
    elif args.set == "cosqa":
        yield load_cosqa(args.folder, args.split)
    elif args.set == "poj-104":
        yield load_poj104(args.folder, args.split)
    else:
        yield from load_coir(args.folder, args.split, args.code_asks or args.set == "codetransocean")


@dataclass(slots=True)
class Models:
    """What is asked beside BM25, and the digests of all that was read for it."""

    models: list[Model] = field(default_factory=list)
    bundle: str = ""
    digests: dict[str, str] = field(default_factory=dict)


def models(args: argparse.Namespace) -> Models:
    """The encoders that the options name. Raises BaselineError, ModstarError, sqlite3.Error."""
    found = Models()
    cache = VectorCache(args.cache) if args.cache else None
    if args.bundle:
        from modstar_lsp.encoder import Encoder, open_bundle

        opened = open_bundle(None if str(args.bundle) == "default" else args.bundle)
        encoder = Encoder(opened, threads=args.threads or None, dimension=opened.dimension)
        own = Embeddings(encoder, opened.digest, cache)
        found.bundle = opened.digest
        found.models += [Model(f"exit {one}", one, lambda _: own) for one in depths(args.exits, opened)]
    if args.checkpoint:
        kept: dict[str, Embeddings] = {}
        first = CheckpointEncoder(args.checkpoint, args.longest)

        def in_language(language: str) -> Embeddings:
            if language not in kept:
                one = first.reading(language)
                kept[language] = Embeddings(one, one.digest, cache)
            return kept[language]

        found.digests["checkpoint"] = first.digest
        found.models += [
            Model(f"exit {one} of the checkpoint", one, in_language) for one in args.exits or first.depths
        ]
    for folder, *prompts in args.baseline:
        if len(prompts) not in (0, 2):
            raise BaselineError(f"{folder}: give two prompts, for queries and for code, or none")
        one = Baseline(Path(folder), prompts=dict(zip(("query", "code"), prompts, strict=False)))
        other = Embeddings(one, one.digest, cache)
        found.digests[f"baseline {one.name}"] = one.digest
        found.models.append(Model(one.name, 0, lambda _, other=other: other))  # type: ignore[misc]
    return found


def retrieval_tables(record: Record, outcomes: Mapping[str, Mapping[str, Outcome]]) -> None:
    """A table a metric: a row a set and their mean, a column a system."""
    systems = list(next(iter(outcomes.values())))
    kept: dict[str, dict[str, dict[str, float]]] = {}
    for metric in _SHOWN:
        if not all(metric in one for found in outcomes.values() for one in found.values()):
            continue
        groups = {name: [name] for name in outcomes} | ({"mean": list(outcomes)} if len(outcomes) > 1 else {})
        lines = []
        for group, members in groups.items():
            cells = []
            for system in systems:
                around = metrics.interval_of_means([outcomes[name][system][metric] for name in members])
                cells.append(str(around))
                kept.setdefault(group, {}).setdefault(system, {})[metric] = round(around.mean, 4)
            lines.append([group, *cells])
        record.tables.append(table(f"{metric} [95 % bootstrap interval]", ["set", *systems], lines))
    record.results["sets"] = kept


def pair_table(record: Record, found: Mapping[str, metrics.Detection]) -> None:
    """A row a system."""
    lines = [
        [name, f"{one.f1:.3f}", f"{one.precision:.3f}", f"{one.recall:.3f}"] for name, one in found.items()
    ]
    record.tables.append(table("BigCloneBench, without training", ["", "F1", "precision", "recall"], lines))
    record.results["pairs"] = {
        name: {"f1": one.f1, "precision": one.precision, "recall": one.recall} for name, one in found.items()
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.published",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("set", choices=SETS, metavar="SET", help=", ".join(SETS))
    add("folder", type=Path, metavar="FOLDER", help="where it lies, in its authors' layout")
    add("--bundle", type=Path, metavar="DIR", help='a bundle; "default" is the packaged one')
    add("--checkpoint", type=Path, metavar="DIR", help="a checkpoint (needs the extra `train`)")
    add("--exits", type=numbers, default=(), help="depths, e.g. 4,9,18 (all)")
    add("--longest", type=int, default=512, help="tokens that a checkpoint reads of a text (%(default)s)")
    what = "a published encoder of transformers, and its prompts for queries and code where no file has them"
    add("--baseline", nargs="+", action="append", default=[], metavar=("DIR", "PROMPT"), help=what)
    add("--split", default="test", help="of cosqa, coir, codetransocean, poj-104 (%(default)s)")
    add("--languages", type=names, default=(), help="of codesearchnet, e.g. ruby,go (all that are there)")
    add("--code", choices=CODE, default=CODE[0], help="of codesearchnet: what is read (%(default)s)")
    what = "of codesearchnet: among so many codes, 1000 in its authors' evaluation (0: the full corpus)"
    add("--pool", type=int, default=0, help=what)
    add("--code-asks", action="store_true", help="of coir: the queries are code")
    add("--sample", type=int, default=0, help="of the questions of a set, drawn by a seed (0: all)")
    add("--cache", type=Path, metavar="FILE", help="keep vectors here, for the next run")
    add("--threads", type=int, default=0, help="cores to use (all)")
    add("--out", type=Path, default=Path(__file__).parent / "results", help="where results go")
    return parser


def _notes(args: argparse.Namespace) -> list[str]:
    notes = [f"up to {args.sample} questions a set, seed {SEED}" if args.sample else "all questions"]
    if args.set == "codesearchnet":
        among = f"in pools of {args.pool}" if args.pool else "among all codes of development and test"
        notes.append(f"code: {args.code}; {among}")
    if args.checkpoint:
        notes.append(f"the checkpoint reads {args.longest} tokens of a text")
    return notes


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: 0 done, 2 an error told in one line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    args = parser.parse_args(argv)
    if args.pool and args.set != "codesearchnet":
        parser.error("--pool is of codesearchnet")
    if min(args.pool, args.sample) < 0 or args.longest < 8 or args.pool == 1:
        parser.error("--pool and --sample are 0 or more (a pool 2), --longest 8 or more")
    digests: dict[str, str] = {}
    record = Record(
        what=f"published-{args.set}", command=command_line("bench.published", argv), bundle="", inputs={}
    )
    try:
        if args.set == PAIRS:
            known = load_bigclonebench(args.folder)
            asked = models(args)
            if not asked.models:
                raise BaselineError(
                    "give --bundle, --checkpoint or --baseline: BM25 has no cosine of two codes"
                )
            pair_table(record, {one.name: told_apart(known, one) for one in asked.models})
            digests |= known.digests
        else:
            sets = [sampled(one, args.sample) for one in read(args)]
            asked = models(args)
            systems: dict[str, System] = {"BM25": lexical}
            systems |= {one.name: one.scorer for one in asked.models}
            outcomes: dict[str, dict[str, Outcome]] = {}
            for one in sets:
                outcomes[one.name] = {name: ask(one, system, args.pool) for name, system in systems.items()}
                digests |= one.digests
                progress("")
                shown = "  ".join(f"{name} {_main(found):.3f}" for name, found in outcomes[one.name].items())
                print(f"{one.name}: {shown}", file=sys.stderr, flush=True)
            retrieval_tables(record, outcomes)
    except (SetError, ModstarError, BaselineError, sqlite3.Error) as error:
        print(f"bench.published: {error}", file=sys.stderr)
        return 2
    record.bundle, record.inputs, record.notes = asked.bundle, digests | asked.digests, _notes(args)
    written = record.write(args.out)
    print(*record.tables, f"written: {written.name}", sep="\n\n")
    return 0


def _main(found: Outcome) -> float:
    return float(next(iter(found.values())).mean())


if __name__ == "__main__":
    sys.exit(main())
