"""Lay several source trees side by side in one folder until it holds so many chunks or files.

    python -m bench.big_tree --trees FOLDER --out DIR [--chunks 50000 | --files 5000]
    python -m bench.big_tree --trees FOLDER --packages bench/big_tree.txt

Only files that the product would index are copied, each once, so the workspace is as varied as real ones of
that size. A note beside DIR says what it holds; asking again for the same thing copies nothing.

--packages names a list of Debian's source packages, one a line, that are laid out below FOLDER/debian first,
whole, each as its newest version that `apt-get source` knows (a line `Types: deb-src` in its sources, and
dpkg-dev). What lies there already is not fetched again; one that cannot be had is told and left out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from evaluation.record import progress
from evaluation.sets import SetError


@dataclass(frozen=True, slots=True)
class Laid:
    """What a laid-out folder holds. asked: what was asked for, to know it again."""

    asked: str
    files: int
    chunks: int
    bytes: int


def source_trees(trees: Path) -> list[Path]:
    """The trees at TREES/SET/REPOSITORY, by set and name."""
    found = sorted(path for path in trees.glob("*/*") if path.is_dir())
    if not found:
        raise SetError(f"no trees below {trees}: lay them out as TREES/SET/REPOSITORY/...")
    return found


def lay_out(trees: Path, out: Path, *, chunks: int = 0, files: int = 0) -> Laid:
    """Copy files into `out` until it holds `chunks` chunks or `files` files (0: no bound)."""
    from modstar_lsp.chunking import chunk_file
    from modstar_lsp.files import Unreadable, read_source

    note = out.with_name(out.name + ".json")
    asked = f"chunks={chunks} files={files}"
    if note.is_file() and out.is_dir():
        laid = Laid(**json.loads(note.read_text(encoding="utf-8")))
        if laid.asked == asked:
            return laid
    if out.exists():
        raise SetError(f"{out} holds something else: give an empty --work folder, or remove it")
    n_files = n_chunks = n_bytes = 0
    for tree, path in _files_of(source_trees(trees)):
        if (chunks and n_chunks >= chunks) or (files and n_files >= files):
            break
        try:
            text = read_source(tree, path)
        except Unreadable:
            continue
        n_chunks += len(chunk_file(path, text)) if chunks else 0
        n_files += 1
        n_bytes += (tree / path).stat().st_size
        target = out / f"{tree.parent.name}-{tree.name}" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree / path, target)
        if n_files % 100 == 0:
            progress(f"laying out: {n_files:,} files, {n_chunks:,} chunks")
    progress("")
    if (chunks and n_chunks < chunks) or (files and n_files < files):
        print(f"the trees hold no more than {n_files:,} files, {n_chunks:,} chunks", file=sys.stderr)
    laid = Laid(asked, n_files, n_chunks, n_bytes)
    note.write_text(json.dumps(asdict(laid)) + "\n", encoding="utf-8")
    return laid


def fetch(packages: Path, trees: Path) -> None:
    """The source packages of a list, laid out as trees/debian/NAME. Raises SetError without a list or apt."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-source") is None:
        raise SetError("apt-get and dpkg-source lay source packages out, and they are not both here")
    try:
        lines = packages.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise SetError(f"{packages}: {error.strerror}") from None
    for name in (line.strip() for line in lines):
        target = trees / "debian" / name
        if not name or name.startswith("#") or target.exists():
            continue
        progress(f"fetching {name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as scratch:
            done = subprocess.run(
                ["apt-get", "source", "-qq", name],
                cwd=scratch,
                capture_output=True,
                text=True,
                errors="replace",
            )
            laid = [path for path in Path(scratch).iterdir() if path.is_dir()]
            if done.returncode or not laid:
                said = done.stderr.strip().split("\n")[-1]
                print(f"bench.big_tree: {name} is left out: {said}", file=sys.stderr)
            else:
                laid[0].rename(target)
    progress("")


def _files_of(trees: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    from modstar_lsp.files import walk

    for tree in trees:
        for file in walk(tree).files:
            yield tree, file.path


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.big_tree",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--trees", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--out", type=Path, metavar="DIR")
    parser.add_argument("--packages", type=Path, metavar="FILE", help="source packages to lay out first")
    parser.add_argument("--chunks", type=int, default=0)
    parser.add_argument("--files", type=int, default=0)
    args = parser.parse_args(argv)
    if args.out is None and args.packages is None:
        parser.error("--out, --packages or both")
    try:
        if args.packages is not None:
            fetch(args.packages, args.trees)
        if args.out is None:
            return 0
        laid = lay_out(args.trees, args.out, chunks=args.chunks, files=args.files)
    except SetError as error:
        print(f"bench.big_tree: {error}", file=sys.stderr)
        return 2
    print(f"{laid.files:,} files, {laid.chunks:,} chunks, {laid.bytes / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
