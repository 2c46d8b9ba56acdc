"""grep's promise: a name typed exactly is found.

    python -m bench.names --trees FOLDER --names zookeeper,celery [--sample 1000] [--out FOLDER]

definitions   names that one line of a tree defines: is that line the first hit's, is anything shown at all
identifiers   names that no line defines and one or two files hold: is one of these among the first ten

Each tree is indexed and asked `--sample` of its names of each kind, drawn by a seed. Names of languages
without a grammar, and shorter than LEAST letters, are not asked for. The table says what was promised.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.options import names as names_option
from bench.options import trees_of
from evaluation.record import Record, command_line, load, progress, table, tree_digest
from evaluation.sets import SetError
from modstar_lsp.chunking.notebook import chunk_notebook
from modstar_lsp.errors import ModstarError, QueryError
from modstar_lsp.files.languages import NOTEBOOK, language_of
from modstar_lsp.search import Hit, Options
from modstar_lsp.search.snippet import last_name
from modstar_lsp.workspace import Workspace

SAMPLE = 1000
SEED = 0
LEAST = 3
HITS = 10
PROMISED = 0.99
# Files that hold an identifier which is asked for.
FEW = 2
# Names in the files without a definition that are told, and no more.
TOLD = 5

_IDENTIFIER = re.compile(r"(?<![\w\\])[A-Za-z_]\w*[A-Za-z0-9](?!\w)", re.ASCII)
# A word alone is everybody's; what joins words, or holds a digit, was named.
_JOINED = re.compile(r"[a-z][A-Z]|[A-Za-z]_[A-Za-z]|[A-Za-z]\d")


@dataclass(slots=True)
class Measured:
    """Of one tree and kind: how many were asked, found in the right place, refused; some that were not."""

    asked: int = 0
    found: int = 0
    refused: int = 0
    missed: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        return self.found / max(self.asked, 1)

    def count(self, name: str, found: bool, refused: bool) -> None:
        """Count one name."""
        self.asked += 1
        self.found += found
        self.refused += refused
        if not found and len(self.missed) < TOLD:
            self.missed.append(name)


def defined(workspace: Workspace) -> dict[str, list[tuple[str, int]]]:
    """Where the index says that each name is defined: {last part of the name: [(path, line)]}."""
    places: dict[str, list[tuple[str, int]]] = defaultdict(list)
    with workspace.snapshot() as snapshot:
        for chunk in snapshot.chunks(range(snapshot.n)):
            for symbol, line in zip(chunk.symbols, chunk.symbol_lines, strict=False):
                places[last_name(symbol)].append((chunk.path, line))
    return places


def used(workspace: Workspace) -> dict[str, set[str]]:
    """The files that hold each identifier of several words: {identifier: paths}.

    Of a notebook its cells: a picture among the outputs is letters that nobody named.
    """
    holders: dict[str, set[str]] = defaultdict(set)
    with workspace.snapshot() as snapshot:
        paths = list(snapshot.paths)
    for path in paths:
        for name in set(_IDENTIFIER.findall(_written(path, workspace.source(path)))):
            if _JOINED.search(name):
                holders[name].add(path)
    return holders


def _written(path: str, text: str) -> str:
    """What somebody wrote of a file: all of it, of a notebook its cells."""
    cells = chunk_notebook(path, text) if language_of(path) == NOTEBOOK else None
    return text if cells is None else "\n".join(cell.text for cell in cells)


def sampled(names: Sequence[str], size: int) -> list[str]:
    """At most `size` of the names, the same each time."""
    ordered = sorted(names)
    return ordered if len(ordered) <= size else random.Random(SEED).sample(ordered, size)


def definitions(workspace: Workspace, places: Mapping[str, Sequence[tuple[str, int]]], size: int) -> Measured:
    """Ask for names that are defined once."""
    once = [name for name, some in places.items() if len(some) == 1 and len(name) >= LEAST]
    lower = Counter(name.lower() for name in places)
    measured = Measured()
    for name in sampled([name for name in once if lower[name.lower()] == 1], size):
        hits = _hits(workspace, name, 1)
        line = 0
        if hits:
            line = workspace.describe(hits[0], [name]).line
        measured.count(name, bool(hits) and (hits[0].path, line) == places[name][0], not hits)
    return measured


def identifiers(workspace: Workspace, places: Mapping[str, Sequence[tuple[str, int]]], size: int) -> Measured:
    """Ask for identifiers that few files hold and none defines."""
    holders = used(workspace)
    lower = Counter(name.lower() for name in holders)
    few = [
        name
        for name, some in holders.items()
        if len(some) <= FEW and name not in places and lower[name.lower()] == 1
    ]
    measured = Measured()
    for name in sampled(few, size):
        hits = _hits(workspace, name, HITS)
        measured.count(name, any(hit.path in holders[name] for hit in hits), not hits)
    return measured


def _hits(workspace: Workspace, name: str, k: int) -> Sequence[Hit]:
    try:
        return workspace.search(name, Options(k=k)).hits
    except QueryError:
        return ()


def rows(found: Mapping[str, Mapping[str, Measured]]) -> Iterator[list[str]]:
    """A row a tree and kind."""
    for tree, kinds in found.items():
        for kind, one in kinds.items():
            kept = "yes" if one.share >= PROMISED and not one.refused else "no"
            missed = ", ".join(one.missed)
            yield [tree, kind, f"{one.asked}", f"{one.share:.4f}", f"{one.refused}", kept, missed]


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m bench.names",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--trees", type=Path, required=True, help="folder of the trees")
    add("--names", type=names_option, default=(), help="trees to ask, with commas (default: all)")
    add("--sample", type=int, default=SAMPLE, help="names of each kind of each tree (%(default)s)")
    add("--bundle", type=Path, help="bundle (default: the one that ships)")
    add("--index-dir", type=Path, help="keep the indexes here")
    add("--out", type=Path, help="folder for a record")
    args = parser.parse_args(argv)
    try:
        trees = trees_of(args.trees, args.names)
        found: dict[str, dict[str, Measured]] = {}
        with tempfile.TemporaryDirectory() as scratch:
            for tree in trees:
                progress(f"{tree.name}: indexing")
                with Workspace.open(
                    tree, index_dir=args.index_dir or Path(scratch), bundle=args.bundle
                ) as workspace:
                    workspace.refresh()
                    digest = workspace.encoder.bundle.digest
                    places = defined(workspace)
                    progress(f"{tree.name}: asking")
                    found[tree.name] = {
                        "definitions": definitions(workspace, places, args.sample),
                        "identifiers": identifiers(workspace, places, args.sample),
                    }
            progress("")
    except (SetError, ModstarError) as error:
        print(f"bench.names: {error}", file=sys.stderr)
        return 2
    header = ["tree", "names", "asked", "found", "refused", "kept", "not found, some"]
    shown = table(f"names of {len(found)} trees, promised {PROMISED:.0%}, none refused", header, rows(found))
    print(shown)
    if args.out:
        results = {tree: {kind: asdict(one) for kind, one in kinds.items()} for tree, kinds in found.items()}
        record = Record(
            what="names",
            command=command_line("bench.names", argv),
            bundle=digest,
            inputs={tree.name: tree_digest(tree) for tree in trees},
            results=results,
            tables=[shown],
            notes=[load()],
        )
        print(f"\nwritten: {record.write(args.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
