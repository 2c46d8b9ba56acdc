"""`modstar-index`: makes, refreshes, watches, describes and removes the index of a project."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from modstar_lsp.cli import indexing, sharing
from modstar_lsp.cli.arguments import Parser, file_name, folder, pattern, positive, repository, whole
from modstar_lsp.cli.process import ERROR, FOUND, complain, leave, run
from modstar_lsp.cli.progress import ProgressBar
from modstar_lsp.cli.terminal import say, say_json
from modstar_lsp.errors import QueryError
from modstar_lsp.printable import clean

if TYPE_CHECKING:
    from modstar_lsp.files import Skipped
    from modstar_lsp.index import Adoption, RefreshReport, VectorFile
    from modstar_lsp.workspace import Workspace

PROGRAM = "modstar-index"

_DESCRIPTION = """\
Make the index that modstar-query searches, or bring it up to date.

PATH is the folder to index, by default the project around the current directory.
Only what changed since the last time is read. The index lives in the user's cache
folder, never among the sources.

REPO, for a store of many, is a folder, a bare clone or a git URL (https, ssh, file)."""

_EPILOG = """\
exit status: 0 on success, 2 after an error

examples:
  modstar-index --dry-run -v          what would be indexed, what would not, and why
  modstar-index --watch               keep the index fresh until Ctrl-C
  modstar-index --exit 6 --export shared.vectors      once, where there is time
  modstar-index --import shared.vectors               everywhere else
  modstar-index ~/src/shop --status
  modstar-index --store lance:/srv/code --from repositories.txt --workers 8"""


def main() -> NoReturn:
    """Run the command and end the process with its exit status."""
    leave(run(PROGRAM, _command))


def make_parser() -> Parser:
    """What the command line may hold."""
    parser = Parser(
        PROGRAM,
        _DESCRIPTION,
        _EPILOG,
        f"{PROGRAM} [options] [PATH]\n       {PROGRAM} --store URL [options] [REPO ...]",
    )
    add = parser.add_argument
    add("paths", nargs="*", type=repository, metavar="PATH", help=argparse.SUPPRESS)
    instead = parser.add_argument_group("instead of indexing once, or then").add_mutually_exclusive_group()
    instead.add_argument("--watch", action="store_true", help="stay, and index every change as it is saved")
    instead.add_argument(
        "--dry-run", action="store_true", help="list the files that would be indexed; write nothing"
    )
    instead.add_argument(
        "--status", action="store_true", help="say what the index holds and whether it is up to date"
    )
    instead.add_argument("--clear", action="store_true", help="remove the index of this project")
    instead.add_argument(
        "--export",
        type=file_name,
        metavar="FILE",
        help="index, then write the vectors that deeper exits made to FILE, for others to import",
    )
    instead.add_argument(
        "--import",
        dest="shared",
        type=file_name,
        metavar="FILE",
        help="index, then take over what another's FILE has for the same lines of code",
    )
    add(
        "--include",
        action="append",
        type=pattern,
        default=[],
        metavar="GLOB",
        help="only such paths; repeatable",
    )
    add(
        "--exclude",
        action="append",
        type=pattern,
        default=[],
        metavar="GLOB",
        help="no such paths; repeatable",
    )
    add(
        "--max-file-bytes",
        type=whole,
        metavar="N",
        help="files of up to N bytes (1,000,000; at most 64,000,000); remembered as globs are",
    )
    add("--exit", type=whole, metavar="N", help="embed the code again at this deeper exit of the model")
    add(
        "--index-dir", type=folder, metavar="DIR", help="keep indexes here instead of the user's cache folder"
    )
    add("--bundle", type=folder, metavar="DIR", help="use this model instead of the built-in one")
    add("--json", action="store_true", help="print one JSON object instead of text")
    many = parser.add_argument_group("a store of many repositories (docs/scale.md)").add_argument
    many("--store", metavar="URL", help="fill this store, not the index: lance:FOLDER, qdrant:FOLDER, ...")
    many(
        "--from",
        dest="lists",
        action="append",
        type=file_name,
        default=[],
        metavar="FILE",
        help="a list of what to fill it with: folders, bare clones, git URLs, one a line "
        "(-: standard input); repeatable",
    )
    many(
        "--repository", metavar="NAME", help="what the one repository is called there (default: its own name)"
    )
    many("--label", metavar="NAME", help="who may see it: those who name this label (default: everyone)")
    many("--workers", type=positive, metavar="N", help="read and embed in N processes")
    many("--engine", choices=("ray",), help="whose processes: Ray's (pip install '.[ray]')")
    talk = parser.add_mutually_exclusive_group()
    talk.add_argument(
        "-v", "--verbose", action="store_true", help="list every file that was skipped, and why"
    )
    talk.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    return parser


def _command() -> int:
    arguments = make_parser().parse_args()
    if arguments.store is not None:
        from modstar_lsp.cli import stored

        return stored.fill_store(PROGRAM, arguments)
    _check_no_store(arguments)
    if len(arguments.paths) > 1:
        raise QueryError(f"one folder at a time, not {arguments.paths[1]} too: several go into a --store")
    root = indexing.chosen_root(folder(arguments.paths[0]) if arguments.paths else None)
    if arguments.dry_run:
        return _dry_run(root, arguments)

    from modstar_lsp.index import DamagedIndex
    from modstar_lsp.workspace import Workspace

    if arguments.exit:
        from modstar_lsp.encoder import open_bundle

        open_bundle(arguments.bundle).exit(arguments.exit)  # a wrong exit is told before the work begins
    with Workspace.open(
        root, index_dir=arguments.index_dir, bundle=arguments.bundle, write=not arguments.status
    ) as workspace:
        if workspace.notice and not arguments.quiet:
            complain(PROGRAM, workspace.notice)
        if arguments.status:
            return _status(workspace, arguments)
        if arguments.clear:
            return _clear(workspace, arguments)
        if arguments.watch:
            from modstar_lsp.cli.watching import watch

            return watch(PROGRAM, workspace, arguments, lambda: _index(workspace, arguments))
        try:
            return FOUND if _index(workspace, arguments) else ERROR
        except DamagedIndex as error:  # it was thrown away, so that a second time makes it anew
            complain(PROGRAM, str(error))
            return FOUND if _index(workspace, arguments) else ERROR


def _check_no_store(arguments: argparse.Namespace) -> None:
    given = {"--from": arguments.lists, "--workers": arguments.workers, "--engine": arguments.engine}
    if option := next((name for name, value in given.items() if value), ""):
        raise QueryError(f"{option} fills a store: name one with --store URL")


def _index(workspace: Workspace, arguments: argparse.Namespace) -> bool:
    """Everything that indexing once means, then one line about it; whether it could be finished."""
    with ExitStack() as opened:
        shared = None
        if arguments.shared:  # first: a file that is no good is told before the work begins
            shared = opened.enter_context(workspace.open_vectors(arguments.shared))
        return _index_with(workspace, shared, arguments)


def _index_with(workspace: Workspace, shared: VectorFile | None, arguments: argparse.Namespace) -> bool:
    """`_index` with the vectors of a file that is open."""
    from modstar_lsp.index.index import EXACT_SCAN_LIMIT

    begin = time.monotonic()
    report = indexing.bring_up_to_date(
        PROGRAM,
        workspace,
        include=arguments.include,
        exclude=arguments.exclude,
        max_file_bytes=arguments.max_file_bytes,
        quiet=arguments.quiet,
        graph_follows=not arguments.exit,
    )
    if not report.complete:  # of half an index nothing is taken, embedded, exported or told
        complain(
            PROGRAM, f"another program is indexing {workspace.root} right now: try again when it is done"
        )
        return False
    adoption = None if shared is None else sharing.take_over(workspace, shared, quiet=arguments.quiet)
    if arguments.exit:
        indexing.deepen_index(PROGRAM, workspace, arguments.exit, quiet=arguments.quiet)
    if report.chunks > EXACT_SCAN_LIMIT:  # else numpy is not loaded for it
        with ProgressBar(quiet=arguments.quiet) as bar:
            workspace.build_graph(bar)
    exported = sharing.export(workspace, arguments.export) if arguments.export else None
    _tell_report(workspace, report, time.monotonic() - begin, arguments, adoption, exported)
    return True


def _tell_report(
    workspace: Workspace,
    report: RefreshReport,
    seconds: float,
    arguments: argparse.Namespace,
    adoption: Adoption | None,
    exported: int | None,
) -> None:
    if arguments.quiet:
        return
    status = workspace.status()
    if arguments.json:
        say_json(
            {
                "root": str(workspace.root),
                "files": report.files,
                "chunks": report.chunks,
                "languages": dict(status.languages),
                "added": report.added,
                "changed": report.changed,
                "removed": report.removed,
                "skipped": _skipped_json(report.skipped),
                "seconds": round(seconds, 3),
                "bytes": status.bytes,
                **({} if adoption is None else {"imported": adoption.taken, "refused": adoption.refused}),
                **({} if exported is None else {"exported": exported}),
            }
        )
        return
    if arguments.verbose:
        _list_skipped(report.skipped)
    parts = [
        indexing.count(report.files, "file"),
        indexing.count(report.chunks, "chunk"),
        indexing.languages(status.languages),
        indexing.reasons(report.skipped),
        "" if report.added == report.files else indexing.changes(report) or "up to date",
        f"{indexing.duration(seconds)}, index {indexing.size(status.bytes)}",
    ]
    say("; ".join(part for part in parts if part))
    if adoption is not None:
        say(sharing.told(workspace, adoption))
    if exported is not None:
        say(f"{indexing.count(exported, 'vector')} written to {clean(str(arguments.export))}")


def _dry_run(root: Path, arguments: argparse.Namespace) -> int:
    from modstar_lsp.workspace.rehearsal import rehearse

    found = rehearse(
        root,
        include=arguments.include,
        exclude=arguments.exclude,
        max_file_bytes=arguments.max_file_bytes,
        index_dir=arguments.index_dir,
        bundle=arguments.bundle,
    )
    if arguments.quiet:
        return FOUND
    volume = sum(file.size for file in found.files)
    if arguments.json:
        say_json(
            {
                "root": str(root.resolve()),
                "files": [file.path for file in found.files],
                "bytes": volume,
                "skipped": _skipped_json(found.skipped),
            }
        )
        return FOUND
    for file in found.files:
        say(clean(file.path))
    if arguments.verbose:
        _list_skipped(found.skipped)
    summary = f"would index {indexing.count(len(found.files), 'file')}, {indexing.size(volume)}"
    skipped = indexing.reasons(found.skipped)
    complain(PROGRAM, f"{summary}; {skipped}" if skipped else summary)
    return FOUND


def _status(workspace: Workspace, arguments: argparse.Namespace) -> int:
    from modstar_lsp.index import index_folder

    status = workspace.status()
    place = index_folder(workspace.root, arguments.index_dir)
    pending = workspace.pending()
    provider = workspace.encoder.try_provider()
    if arguments.json:
        say_json(
            {
                "root": str(workspace.root),
                "index": str(place),
                "files": status.files,
                "chunks": status.chunks,
                "languages": dict(status.languages),
                "exits": {str(depth): chunks for depth, chunks in status.depths.items()},
                "bytes": status.bytes,
                "pending": pending,
                "provider": provider,
                "provider_notice": workspace.encoder.notice,
            }
        )
    elif not arguments.quiet:
        exits = ", ".join(
            f"{depth} ({100 * chunks // max(1, status.chunks)}%)"
            for depth, chunks in sorted(status.depths.items())
        )
        state = f"{indexing.count(pending, 'file')} to bring up to date" if pending else "up to date"
        for name, value in {
            "root": clean(str(workspace.root)),
            "index": f"{clean(str(place))}, {indexing.size(status.bytes)}",
            "files": f"{status.files:,}"
            + (f": {indexing.languages(status.languages)}" if status.files else ""),
            "chunks": f"{status.chunks:,}",
            "exits": exits or "none",
            "runs on": provider + (f": {notice}" if (notice := workspace.encoder.notice) else ""),
            "state": state,
        }.items():
            say(f"{name:<8}{value}")
    return FOUND


def _clear(workspace: Workspace, arguments: argparse.Namespace) -> int:
    status = workspace.status()
    workspace.clear()
    if arguments.json:
        say_json({"root": str(workspace.root), "cleared": status.files})
    elif not arguments.quiet:
        had = f"removed the index of {indexing.count(status.files, 'file')}, {indexing.size(status.bytes)}"
        say(f"{clean(str(workspace.root))}: {had if status.files else 'had no index'}")
    return FOUND


def _list_skipped(skipped: Sequence[Skipped]) -> None:
    for entry in skipped:
        say(f"skipped {clean(entry.path)}: {clean(entry.reason)}")


def _skipped_json(skipped: Sequence[Skipped]) -> list[dict[str, str]]:
    return [{"path": entry.path, "reason": entry.reason} for entry in skipped]


if __name__ == "__main__":
    main()
