"""Makes a training corpus from source trees, archives, git histories and packages.

  harvest     sources -> OUT/*.jsonl.zst; run again to go on or to add more
  show        some random rows, to be read by a person
  summary     rows by language, licence and source, as JSON

Example:
  python -m train.data harvest --out CORPUS ~/src/project ~/src/other.git numpy-2.1.0.tar.gz
  python -m train.data harvest --out CORPUS --list train/data/sources.txt --evaluation EVAL \\
      --exclude EVAL/EXCLUDE_REPOS.txt
  python -m train.data show --out CORPUS --rows 50
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from train.data.command import ended
from train.data.lines import CorpusError, read_lines


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, 1 some source could not be read, 2 an error told in one line."""
    chosen = _parser().parse_args(arguments)
    # Ended politely it tidies up as it does after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return ended("train.data", lambda: chosen.do(chosen))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m train.data", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("harvest", help="make pairs and windows from sources")
    one.set_defaults(do=_harvest)
    one.add_argument(
        "sources",
        nargs="*",
        help="folder, archive, git directory, git:OWNER/NAME, pypi:NAME, npm:NAME, debian:NAME",
    )
    one.add_argument(
        "--list", type=Path, action="append", default=[], help='file of sources, one a line, "#" comments'
    )
    one.add_argument("--out", type=Path, required=True, help="folder of the corpus")
    one.add_argument("--exclude", type=Path, help="file of owner/name whose code stays out")
    one.add_argument("--evaluation", type=Path, help="folder of evaluation sets whose texts stay out")
    one.add_argument("--against", type=Path, help="folder of another corpus; what it holds is not made again")
    one.add_argument(
        "--most", type=int, default=0, help="rows of a language taken of one source (default 5000)"
    )
    one.add_argument(
        "--licence", action="append", default=[], help="accept this SPDX name too (default: permissive only)"
    )
    one.add_argument(
        "--kinds",
        nargs="+",
        choices=["functions", "commits", "windows"],
        help="make only these (default: all)",
    )
    one.add_argument(
        "--most-commits", type=int, default=0, help="commits of a history whose diff is read (default 2000)"
    )
    one.add_argument("--again", action="store_true", help="try again what could not be read before")
    one.add_argument("--repositories", type=Path, help="folder that holds the clones of git:OWNER/NAME")
    one.add_argument("--scratch", type=Path, help="folder for what is unpacked for a while")

    one = commands.add_parser("show", help="print random rows")
    one.set_defaults(do=_show)
    one.add_argument("--out", type=Path, required=True)
    one.add_argument("--rows", type=int, default=20)
    one.add_argument("--lang")
    one.add_argument("--kind", default="functions", choices=["functions", "commits"])
    one.add_argument("--seed", type=int, default=0)

    one = commands.add_parser("summary", help="count rows")
    one.set_defaults(do=_summary)
    one.add_argument("--out", type=Path, required=True)
    return parser


def _harvest(chosen: argparse.Namespace) -> int:
    from train.data.harvest import ALL_KINDS, MOST_COMMITS_READ, MOST_OF_A_SOURCE, Harvest, Settings, run
    from train.data.sources import opened

    specs = list(chosen.sources)
    for file in chosen.list:
        lines = file.read_text(encoding="utf-8").splitlines()
        specs.extend(spec for line in lines if (spec := line.split("#")[0].strip()))
    specs = list(dict.fromkeys(specs))
    if not specs:
        raise CorpusError(
            "nothing to harvest: name a folder, an archive, a repository or a package, or give --list"
        )
    if min(chosen.most, chosen.most_commits) < 0:
        raise CorpusError("--most and --most-commits take a number, 1 or more")
    for folder in (chosen.evaluation, chosen.against):
        if folder is not None and not folder.is_dir():
            raise CorpusError(f"{folder}: no such folder")
    settings = Settings(
        chosen.most or MOST_OF_A_SOURCE,
        tuple(chosen.kinds or ALL_KINDS),
        chosen.most_commits or MOST_COMMITS_READ,
        tuple(chosen.licence),
    )
    harvest = Harvest(chosen.out, settings, chosen.exclude, chosen.evaluation, chosen.against)
    open_source = partial(
        opened, scratch=chosen.scratch, is_excluded=harvest.excluded.covers, repositories=chosen.repositories
    )
    failed = run(harvest, specs, open_source, lambda line: print(line, flush=True), chosen.again)
    return 1 if failed else 0


def _show(chosen: argparse.Namespace) -> int:
    """Reservoir sampling: the files are read once and never held."""
    files = sorted(chosen.out.glob(f"{chosen.kind}-*.jsonl.zst"))
    if not files:
        raise CorpusError(
            f"{chosen.out}: no {chosen.kind} here; `python -m train.data harvest --out` makes them"
        )
    rng = random.Random(chosen.seed)
    kept: list[str] = []
    seen = 0
    for file in files:
        for line in read_lines(file):
            if chosen.lang and f'"lang": "{chosen.lang}"' not in line:
                continue
            seen += 1
            if len(kept) < chosen.rows:
                kept.append(line)
            elif (at := rng.randrange(seen)) < chosen.rows:
                kept[at] = line
    for line in kept:
        row = json.loads(line)
        print(f"--- {row['lang']}  {row['src']}  {row['path']}  {row['name']}  [{row['licence']}]")
        print(row["text"])
        print("\n".join("    " + one for one in row["code"][:600].split("\n")[:14]))
    return 0


def _summary(chosen: argparse.Namespace) -> int:
    from train.data.harvest import Entry, summary

    manifest = chosen.out / "state" / "manifest.jsonl"
    if not manifest.exists():
        raise CorpusError(f"{chosen.out}: no corpus of this harvester here")
    entries = {}
    for line in manifest.read_text(encoding="utf-8").splitlines():
        entry = Entry(**json.loads(line))
        entries[entry.spec] = entry
    print(json.dumps(summary(entries.values()), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
