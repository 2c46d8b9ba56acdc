"""`modstar indexes`: lists the indexes that there are, and removes those whose folder is gone."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from modstar_lsp.cli import indexing
from modstar_lsp.cli.arguments import Parser, folder
from modstar_lsp.cli.process import ERROR, FOUND, complain, leave, run
from modstar_lsp.cli.terminal import say, say_json
from modstar_lsp.errors import StoreError
from modstar_lsp.printable import clean

if TYPE_CHECKING:
    from modstar_lsp.index.store.inventory import KnownIndex

PROGRAM = "modstar indexes"

_DESCRIPTION = """\
List the indexes that there are: folder, files, size, last use.

prune removes those whose folder is gone. A folder on a drive that is not mounted
is gone, too: --dry-run shows what would be removed."""

_EPILOG = """\
exit status: 0 on success, 2 after an error

examples:
  modstar indexes
  modstar indexes prune --dry-run"""


def main() -> NoReturn:
    """Run the command and end the process with its exit status."""
    leave(run(PROGRAM, _command))


def make_parser() -> Parser:
    """What the command line may hold."""
    parser = Parser(PROGRAM, _DESCRIPTION, _EPILOG, f"{PROGRAM} [prune] [options]")
    add = parser.add_argument
    add("deed", nargs="?", choices=("prune",), metavar="prune", help="remove those whose folder is gone")
    add("--dry-run", action="store_true", help="with prune: say what would be removed; remove nothing")
    add("--index-dir", type=folder, metavar="DIR", help="the indexes here, not in the user's cache folder")
    add("--json", action="store_true", help="print one JSON object instead of text")
    return parser


def _command() -> int:
    from modstar_lsp.index.store.inventory import known_indexes

    arguments = make_parser().parse_args()
    found = known_indexes(arguments.index_dir)
    if arguments.deed:
        return _prune([known for known in found if known.state == "gone"], arguments)
    if arguments.json:
        say_json({"indexes": [_encoded(known) for known in found]})
    else:
        for known in found:
            say(_line(known))
        total = indexing.size(sum(known.bytes for known in found))
        complain(PROGRAM, f"{len(found):,} {'index' if len(found) == 1 else 'indexes'}, {total}")
    return FOUND


def _prune(gone: Sequence[KnownIndex], arguments: argparse.Namespace) -> int:
    from modstar_lsp.index.store.inventory import remove_index

    removed = []
    status = FOUND
    for known in gone:
        try:
            if not arguments.dry_run:
                remove_index(known)
        except StoreError as error:
            complain(PROGRAM, str(error))
            status = ERROR
        else:
            removed.append(known)
    freed = sum(known.bytes for known in removed)
    if arguments.json:
        say_json(
            {"removed": [_encoded(known) for known in removed], "bytes": freed, "dry_run": arguments.dry_run}
        )
        return status
    for known in removed:
        say(_line(known))
    done = "would remove" if arguments.dry_run else "removed"
    complain(PROGRAM, f"{done} {len(removed):,}, {indexing.size(freed)}" if removed else "nothing to remove")
    return status


def _line(known: KnownIndex) -> str:
    """`2026-11-28 14:03   7,655 files   31.2 MB  /home/me/src/shop`."""
    used = time.strftime("%Y-%m-%d %H:%M", time.localtime(known.used))
    where = clean(str(known.root if known.state != "unknown" else known.folder))
    state = {"there": "", "gone": "  (gone)", "unknown": "  (an index that does not say whose)"}[known.state]
    models = f"  ({known.models} models)" if known.models > 1 else ""
    files = indexing.count(known.files, "file")
    return f"{used}  {files:>14}  {indexing.size(known.bytes):>8}  {where}{state}{models}"


def _encoded(known: KnownIndex) -> dict[str, Any]:
    return {
        "root": str(known.root) if known.state != "unknown" else None,
        "index": str(known.folder),
        "state": known.state,
        "files": known.files,
        "models": known.models,
        "bytes": known.bytes,
        "used": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(known.used)),
    }


if __name__ == "__main__":
    main()
