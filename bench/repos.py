"""Score the whole product on the repository sets: every question searched inside its own repository's tree.

    python -m bench.repos --eval FOLDER --trees FOLDER [--set issues_python] [--bundle DIR] [--exits 0,2,4]

What is measured: files. A file counts at the place of its best chunk; a system is asked for 50 chunks and
its first 10 distinct files are scored. nDCG@10 is binary over all targets of a question (relevant and
secondary alike; line spans, which 9 of 465 targets have, are not looked at). Issues are asked by their
title. Rows: the names of the files alone; plain BM25 over windows of 50 lines and over whole files; the
product with the words alone, with everything but a model, with each exit's vectors alone, with words and
vectors but no rules, and with everything.

The rank of the first right file of every question is kept in `bench/golden/<set>.json`: a change of the
ranking shows as a diff that a person can read, and `--update-golden` accepts it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.asking import PLENTY
from evaluation import metrics
from evaluation.bm25 import PlainBM25, words_and_identifiers
from evaluation.record import Record, command_line, progress, table, tree_digest
from evaluation.sets import RepoSet, SetError, load_repos
from modstar_lsp.errors import ModstarError, QueryError

if TYPE_CHECKING:
    from modstar_lsp.workspace import Workspace

# Files scored, and chunks asked for to get them.
FILES = 10
CHUNKS = 50
# The plain BM25's windows, as the reference figure of the set was made.
WINDOW = 50
# The plain rows do not read pictures, archives and the like: they hold a NUL in their first bytes.
_SNIFF = 8_192
METRICS = ("nDCG@10", "MRR@10", "Acc@1", "Acc@5", "Acc@10")
GOLDEN = Path(__file__).parent / "golden"

# A system ranks the files of one repository for one question.
Ranker = Callable[[str], list[str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One system over a set: its metrics per question, and the rank of the first right file."""

    values: dict[str, metrics.Floats]
    ranks: list[int | None]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the product: which of its parts are on, and at which exit."""

    name: str
    depth: int = 0
    lexical: bool = True
    dense: bool = True
    rules: bool = True
    without: str = ""
    read: bool = False  # the best candidates are, however long that takes


def distinct(paths: Sequence[str], limit: int = FILES) -> list[str]:
    """The first `limit` different paths, in order."""
    return list(dict.fromkeys(paths))[:limit]


def measure(repos: RepoSet, ranked: Sequence[Sequence[str]]) -> Outcome:
    """Metrics of one ranked list of files per question of the set."""
    n = len(repos.queries)
    gains, ideal = np.zeros((n, FILES)), np.zeros((n, FILES))
    for i, (query, paths) in enumerate(zip(repos.queries, ranked, strict=True)):
        found = [path in query.targets for path in distinct(paths)]
        gains[i, : len(found)] = found
        ideal[i, : min(FILES, len(query.targets))] = 1
    return Outcome(
        {
            "nDCG@10": metrics.ndcg(gains, ideal, FILES),
            "MRR@10": metrics.reciprocal_rank(gains, FILES),
            "Acc@1": metrics.accuracy(gains, 1),
            "Acc@5": metrics.accuracy(gains, 5),
            "Acc@10": metrics.accuracy(gains, FILES),
        },
        metrics.first_ranks(gains),
    )


def run(repos: RepoSet, name: str, system: Callable[[str], Ranker]) -> Outcome:
    """Ask every question of the set; `system(repo)` gives the ranker of one repository."""
    rankers: dict[str, Ranker] = {}
    ranked = []
    for i, query in enumerate(repos.queries):
        if query.repo not in rankers:
            rankers[query.repo] = system(query.repo)
        progress(f"{name}: {i} of {len(repos.queries)}")
        ranked.append(rankers[query.repo](query.text))
    progress("")
    return measure(repos, ranked)


class Plain:
    """The rows that know nothing of the product: BM25 over names, over windows of lines, over whole files."""

    def __init__(self, repos: RepoSet) -> None:
        self._texts: dict[str, list[tuple[str, str]]] = {}
        self._repos = repos

    def files(self, repo: str) -> list[tuple[str, str]]:
        """(path, text) of every text file of a tree, by path."""
        if repo not in self._texts:
            root = self._repos.trees[repo]
            found = []
            for path in sorted(p for p in root.rglob("*") if p.is_file()):
                content = path.read_bytes()
                if b"\0" not in content[:_SNIFF]:
                    found.append((path.relative_to(root).as_posix(), content.decode("utf-8", "replace")))
            self._texts[repo] = found
        return self._texts[repo]

    def names(self, repo: str) -> Ranker:
        """BM25 over the words of each path; nothing is read."""
        files = self.files(repo)
        return self._ranker([path for path, _ in files], PlainBM25(path for path, _ in files))

    def windows(self, repo: str) -> Ranker:
        """BM25 over the path and 50 lines; a file counts at its best window."""
        paths, texts = [], []
        for path, text in self.files(repo):
            lines = text.splitlines()
            for start in range(0, max(len(lines), 1), WINDOW):
                paths.append(path)
                texts.append(path + "\n" + "\n".join(lines[start : start + WINDOW]))
        return self._ranker(paths, PlainBM25(texts, words=words_and_identifiers))

    def whole(self, repo: str) -> Ranker:
        """BM25 over the path and the whole file."""
        files = self.files(repo)
        texts = (f"{path}\n{text}" for path, text in files)
        return self._ranker([path for path, _ in files], PlainBM25(texts, words=words_and_identifiers))

    @staticmethod
    def _ranker(paths: Sequence[str], index: PlainBM25) -> Ranker:
        def rank(query: str) -> list[str]:
            scores = index.scores(query)
            order = np.argsort(-scores, kind="stable")
            return distinct([paths[row] for row in order if scores[row] > 0])

        return rank


class Product:
    """The product on every tree of a set, one index per tree and exit."""

    def __init__(self, repos: RepoSet, bundle: Path | None, index_dir: Path) -> None:
        self._repos, self._bundle, self._index_dir = repos, bundle, index_dir
        self._open: dict[tuple[str, int], Workspace] = {}
        self.chunks = 0

    def workspace(self, repo: str, depth: int) -> Workspace:
        """The tree's workspace, indexed with every chunk at `depth`."""
        from modstar_lsp.workspace import Workspace

        if (repo, depth) not in self._open:
            progress(f"indexing {repo} at exit {depth}")
            folder = self._index_dir / f"exit-{depth}"
            workspace = Workspace.open(self._repos.trees[repo], index_dir=folder, bundle=self._bundle)
            report = workspace.refresh()
            if depth:
                workspace.deepen(depth)
            else:
                self.chunks += report.chunks
            self._open[repo, depth] = workspace
        return self._open[repo, depth]

    def ranker(self, row: Row, repo: str) -> Ranker:
        """Rank the files of `repo` with the parts that `row` has."""
        from modstar_lsp.search import Options

        workspace = self.workspace(repo, row.depth)
        options = Options(
            k=CHUNKS,
            min_score=0.0,
            depth=row.depth,
            lexical=row.lexical,
            dense=row.dense,
            rules=row.rules,
            budget=PLENTY if row.read else 0.0,
        )

        def rank(query: str) -> list[str]:
            try:
                return distinct([hit.path for hit in workspace.search(query, options).hits])
            except QueryError:
                return []

        return rank

    def outcome(self, row: Row) -> Outcome:
        """Ask every question with the parts that `row` has."""
        with without_rule(row.without):
            return run(self._repos, row.name, lambda repo: self.ranker(row, repo))

    def unseen(self) -> list[str]:
        """Targets that exist but that the product's walk leaves out, as `repo/path`."""
        from modstar_lsp.files import walk

        out: set[str] = set()
        for repo, root in self._repos.trees.items():
            seen = {file.path for file in walk(root).files}
            for query in self._repos.queries:
                if query.repo == repo:
                    out.update(f"{repo}/{path}" for path in query.targets - seen if (root / path).is_file())
        return sorted(out)

    def close(self) -> None:
        """Close every workspace."""
        for workspace in self._open.values():
            workspace.close()


@contextmanager
def without_rule(name: str) -> Iterator[None]:
    """Ranking with one rule's weight taken out; "" changes nothing."""
    from modstar_lsp.search.ranking import WEIGHTS

    if not name:
        yield
        return
    before = dict(WEIGHTS)
    del WEIGHTS[name]
    try:
        yield
    finally:
        WEIGHTS.clear()
        WEIGHTS.update(before)


def product_rows(exits: Sequence[int], read: bool = False) -> list[Row]:
    """The rows that eval sets ask for, in the order in which they stand. read: with the last stage, too."""
    rows = [
        Row("words alone", dense=False, rules=False),
        Row("ranking without a model", dense=False),
    ]
    for depth in exits:
        rows += [
            Row(f"exit {depth} alone", depth, lexical=False, rules=False),
            Row(f"exit {depth} + words", depth, rules=False),
            Row(f"everything, exit {depth}", depth),
            *([Row(f"everything, exit {depth}, read", depth, read=True)] if read else []),
        ]
    return rows


def ask_peer(repos: RepoSet, python: str, model: Path, alpha: float | None) -> Outcome:
    """semble's ranking in our table: its own Python runs `peer_semble.py`. `alpha` 0 leaves its model out."""
    job = {
        "model": str(model.resolve()),
        "alpha": alpha,
        "top_k": CHUNKS,
        "repos": {
            repo: {"tree": str(root.resolve()), "queries": [q.text for q in repos.queries if q.repo == repo]}
            for repo, root in repos.trees.items()
        },
    }
    script = Path(__file__).with_name("peer_semble.py")
    done = subprocess.run([python, str(script)], input=json.dumps(job), capture_output=True, text=True)
    if done.returncode:
        raise SetError(f"the peer failed: {done.stderr.strip().splitlines()[-1:] or ['no message']}")
    answers: dict[str, list[list[str]]] = json.loads(done.stdout)
    turn = {repo: iter(lists) for repo, lists in answers.items()}
    return measure(repos, [distinct(next(turn[query.repo])) for query in repos.queries])


def report(record: Record, repos: RepoSet, outcomes: dict[str, Outcome], against: str) -> None:
    """Fill `record` with tables: all metrics, differences, nDCG@10 by category, language and repository."""
    rows = []
    for name, outcome in outcomes.items():
        intervals = {metric: metrics.interval(outcome.values[metric]) for metric in METRICS}
        rows.append(
            [name, *(str(intervals[m]) if m in METRICS[:2] else f"{intervals[m].mean:.3f}" for m in METRICS)]
        )
        record.results.setdefault("systems", {})[name] = {
            metric: {"mean": round(i.mean, 4), "low": round(i.low, 4), "high": round(i.high, 4)}
            for metric, i in intervals.items()
        }
    record.tables.append(table(f"{repos.name}: {len(repos.queries)} questions", ["", *METRICS], rows))
    if against in outcomes:
        base = outcomes[against].values["nDCG@10"]
        rows = []
        for name, outcome in outcomes.items():
            if name != against:
                gap = metrics.paired_interval(outcome.values["nDCG@10"], base)
                told = "yes" if gap.excludes_zero() else "no"
                rows.append([name, f"{gap.mean:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]", told])
        record.tables.append(
            table(f'nDCG@10 minus that of "{against}", paired', ["", "difference", "excludes 0"], rows)
        )
    for title, label in (("category", "category"), ("language", "language"), ("repository", "repo")):
        groups: dict[str, list[int]] = {}
        for i, query in enumerate(repos.queries):
            groups.setdefault(getattr(query, label), []).append(i)
        if len(groups) > 1:
            means = {
                name: {
                    group: float(outcome.values["nDCG@10"][at].mean()) for group, at in sorted(groups.items())
                }
                for name, outcome in outcomes.items()
            }
            record.results[f"nDCG@10 by {title}"] = {
                name: {group: round(value, 4) for group, value in row.items()} for name, row in means.items()
            }
            header = [title, "questions", *outcomes]
            body = [
                [group, str(len(at)), *(f"{means[name][group]:.3f}" for name in outcomes)]
                for group, at in sorted(groups.items())
            ]
            record.tables.append(table(f"nDCG@10 by {title}", header, body))


def ablation(record: Record, product: Product, depth: int, full: Outcome) -> None:
    """Add a table: what "everything" loses with each rule taken out."""
    from modstar_lsp.search.ranking import WEIGHTS

    lost = {}
    for rule in WEIGHTS:
        outcome = product.outcome(Row(f"without {rule}", depth, without=rule))
        lost[rule] = metrics.paired_interval(outcome.values["nDCG@10"], full.values["nDCG@10"])
    rows = [
        [rule, f"{WEIGHTS[rule]:g}", f"{gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]"]
        for rule, gap in sorted(lost.items(), key=lambda item: item[1].mean)
    ]
    record.tables.append(
        table(f"exit {depth}: nDCG@10 with one rule taken out", ["rule", "weight", "change"], rows)
    )
    record.results["ablation"] = {rule: round(gap.mean, 4) for rule, gap in lost.items()}


def golden_record(repos: RepoSet, outcome: Outcome, row: str, bundle: str) -> dict[str, Any]:
    """What the golden file holds: row, bundle, and each question's rank (null: not within 10 files)."""
    return {
        "set": repos.name,
        "row": row,
        "bundle": bundle,
        "ranks": {query.id: rank for query, rank in zip(repos.queries, outcome.ranks, strict=True)},
    }


def golden_diff(before: dict[str, Any], now: dict[str, Any], texts: dict[str, str]) -> list[str]:
    """A line that sums up and one per question whose rank changed, worst losses first; [] if none did."""
    old, new = before.get("ranks", {}), now["ranks"]
    places = {None: FILES + 1}
    changed = [
        (places.get(new.get(q), new.get(q)) - places.get(old.get(q), old.get(q)), q)
        for q in new
        if q in old and new[q] != old[q]
    ]
    lines = []
    if changed:
        better, worse = sum(step < 0 for step, _ in changed), sum(step > 0 for step, _ in changed)
        lines.append(f"{now['row']}: {better} better, {worse} worse, {len(new) - len(changed)} as before")
    for step, query in sorted(changed, key=lambda item: (-item[0], item[1])):
        word = "worse " if step > 0 else "better"
        lines.append(
            f"  {word} {_rank(old[query]):>3} -> {_rank(new[query]):<3} {query}  {texts.get(query, '')[:70]}"
        )
    for title, ids in (("new", set(new) - set(old)), ("gone", set(old) - set(new))):
        if ids and old:
            lines.append(f"  {title}: {', '.join(sorted(ids)[:8])}{' ...' if len(ids) > 8 else ''}")
    if lines and before.get("bundle") != now["bundle"]:
        lines.append("  (the golden ranks were made with another bundle)")
    return lines


def _rank(rank: int | None) -> str:
    return "-" if rank is None else str(rank)


def check_golden(path: Path, now: dict[str, Any], texts: dict[str, str], update: bool) -> list[str]:
    """Compare with the golden file, or write it; the lines to print."""
    if update or not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return [f"golden ranks written: {path.parent.name}/{path.name}"]
    lines = golden_diff(json.loads(path.read_text(encoding="utf-8")), now, texts)
    return (
        ["golden ranks differ (--update-golden accepts them):", *lines]
        if lines
        else ["golden ranks as before"]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m bench.repos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--eval", type=Path, required=True, metavar="FOLDER", help="the evaluation sets")
    parser.add_argument(
        "--trees", type=Path, required=True, metavar="FOLDER", help="trees: SET/REPOSITORY/..."
    )
    parser.add_argument("--set", default="repos", help="repos or issues_python (%(default)s)")
    parser.add_argument(
        "--only", default="", help="repositories, e.g. aiohttp,axios (all whose tree is there)"
    )
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="a bundle; the packaged one by default")
    parser.add_argument(
        "--exits", default="0", help="depths, e.g. 0,2,4; all = every exit of the bundle (%(default)s)"
    )
    parser.add_argument("--plain", action="store_true", help="only the rows without the product")
    parser.add_argument(
        "--rows", default="", help="only the product's rows whose name holds one of these, by commas"
    )
    parser.add_argument("--read", action="store_true", help="also once the best candidates are read")
    parser.add_argument("--ablate", action="store_true", help="also what each ranking rule is worth")
    parser.add_argument("--index-dir", type=Path, help="keep the indexes here (a temporary folder)")
    parser.add_argument("--peer", metavar="PYTHON", help="the Python that has semble: adds its rows")
    parser.add_argument("--peer-model", type=Path, metavar="FOLDER", help="a local model2vec folder for it")
    parser.add_argument("--update-golden", action="store_true", help="accept the ranks of this run")
    parser.add_argument("--golden", type=Path, default=GOLDEN, help="folder of the golden ranks")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results", help="where results go"
    )
    args = parser.parse_args(argv)
    if args.peer and not args.peer_model:
        parser.error("--peer needs --peer-model")
    try:
        repos = load_repos(args.eval, args.set, args.trees, [name for name in args.only.split(",") if name])
        with tempfile.TemporaryDirectory(prefix="modstar-bench-") as scratch:
            return _run(args, argv, repos, args.index_dir or Path(scratch))
    except (SetError, ModstarError) as error:
        print(f"bench.repos: {error}", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace, argv: Sequence[str], repos: RepoSet, index_dir: Path) -> int:
    trees = {f"tree {repo}": tree_digest(root) for repo, root in repos.trees.items()}
    record = Record(
        what=repos.name,
        command=command_line("bench.repos", argv),
        bundle="",
        inputs=repos.digests | trees,
        notes=[
            f"{CHUNKS} chunks asked for, a file counts at its best chunk, the first {FILES} files are scored"
        ],
    )
    if repos.moved:
        record.notes.append(
            f"{repos.moved} targets are written relative to their repository's benchmark_root"
        )
    if repos.missing:
        record.notes.append(
            f"{len(repos.missing)} targets are not in the trees: {', '.join(repos.missing[:10])}"
        )
    plain = Plain(repos)
    outcomes = {
        "names only": run(repos, "names only", plain.names),
        "BM25, 50 lines": run(repos, "BM25, 50 lines", plain.windows),
        "BM25, whole files": run(repos, "BM25, whole files", plain.whole),
    }
    if args.peer:
        outcomes["semble, no model"] = ask_peer(repos, args.peer, args.peer_model, 0.0)
        outcomes["semble"] = ask_peer(repos, args.peer, args.peer_model, None)
    golden = []
    if not args.plain:
        from modstar_lsp.encoder import open_bundle

        bundle = open_bundle(args.bundle)
        record.bundle = bundle.digest
        depths = (
            [e.depth for e in bundle.exits]
            if args.exits == "all"
            else [int(d) for d in args.exits.split(",")]
        )
        wanted = [part for part in args.rows.split(",") if part]
        product = Product(repos, args.bundle, index_dir)
        try:
            if unseen := product.unseen():
                record.notes.append(f"{len(unseen)} targets the walk leaves out: {', '.join(unseen[:10])}")
            for row in product_rows(depths, args.read):
                if not wanted or any(part in row.name for part in wanted):
                    outcomes[row.name] = product.outcome(row)
            shown = f"everything, exit {depths[0]}"
            if shown in outcomes:
                if args.ablate:
                    ablation(record, product, depths[0], outcomes[shown])
                now = golden_record(repos, outcomes[shown], shown, bundle.digest)
                texts = {query.id: query.text for query in repos.queries}
                if not args.only:
                    golden = check_golden(args.golden / f"{repos.name}.json", now, texts, args.update_golden)
            record.results["chunks"] = product.chunks
        finally:
            product.close()
    ablated = list(record.tables)
    record.tables.clear()
    report(record, repos, outcomes, "ranking without a model" if not args.plain else "BM25, 50 lines")
    record.tables += ablated
    written = record.write(args.out)
    print("\n".join(record.notes), *record.tables, "\n".join(golden), f"written: {written.name}", sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
