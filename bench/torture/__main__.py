"""Everything that may go wrong, for so many minutes, with counts and a dated record.

    python -m bench.torture --minutes 30 [--seed 7] [--only damage,kills] [--out DIR]
    python -m bench.torture --tries damage=1000,kills=1000,hostile=200

Each part compares with an undamaged twin: an index of the same files made without what is tried. The exit
status is 0 when nothing was lost, answered wrongly without a word, hung or left unanswered, else 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from bench.torture.damage import damage
from bench.torture.kills import kills
from bench.torture.material import Counts, Rounds, lay_out, questions, write
from bench.torture.messages import MESSAGES_A_ROUND, agents_server, language_server
from bench.torture.served import served
from bench.torture.soak import soak
from bench.torture.trees import hostile
from evaluation.record import Record, command_line, progress, table
from modstar_lsp.encoder import open_bundle

#: The parts, and their shares of the time.
PARTS = {"damage": 0.35, "kills": 0.2, "lsp": 0.15, "mcp": 0.05, "hostile": 0.1, "soak": 0.1, "served": 0.05}
_FAULTS = ("lost", "silently wrong", "hung", "unanswered", "traceback")
_FILES = 24
_NAME = "sentinel_of_the_project"


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m bench.torture",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--minutes", type=float, help="for all parts together; each does one round at least")
    add("--tries", type=_tries, help="so many of each of these parts instead: damage=1000,kills=1000")
    add("--seed", type=int, default=1, help="what is tried (%(default)s)")
    add("--files", type=int, default=_FILES, help="of the project (%(default)s)")
    add("--only", default=",".join(PARTS), help="parts (%(default)s)")
    add("--out", type=Path, default=Path(__file__).parents[1] / "results", help="where results go")
    args = parser.parse_args(argv)
    if (args.minutes is None) == (args.tries is None):
        parser.error("give either --minutes or --tries")
    parts = list(args.tries or args.only.split(","))
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="modstar-torture-", ignore_cleanup_errors=True) as scratch:
        return _run(args, argv, parts, Path(scratch))


def _tries(text: str) -> dict[str, int]:
    try:
        return {part: int(number) for part, _, number in (one.partition("=") for one in text.split(","))}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: not PART=NUMBER, with commas between them") from None


def _run(args: argparse.Namespace, argv: Sequence[str], parts: Sequence[str], scratch: Path) -> int:
    whole = 60 * (args.minutes or 0) / sum(PARTS[part] for part in parts)
    # A run of some parts stands beside one of all.
    what = "-".join(["torture", *(parts if set(parts) != set(PARTS) else ())])
    record = Record(what, command_line("bench.torture", argv), open_bundle().digest, {"seed": str(args.seed)})
    rows, faults = [], []
    for part in parts:
        counts, chance = Counts(), Random(f"{args.seed} {part}")
        base, root = scratch / part, scratch / part / "project"
        lay_out(root, chance, args.files)
        write(root / "sentinel.py", f"def {_NAME}():\n    return 1\n")
        asked, more = questions(chance), {}
        rounds = _rounds(part, whole, args.tries)
        if part == "damage":
            damage(root, base, asked, chance, rounds, counts)
        elif part == "kills":
            kills(root, base, asked, chance, rounds, counts)
        elif part == "lsp":
            language_server(root, base, _NAME, chance, rounds, counts)
        elif part == "mcp":
            agents_server(root, base, _NAME, chance, rounds, counts)
        elif part == "hostile":
            hostile(base, chance, rounds, counts)
        elif part == "served":
            more = served(root, base, asked, chance, rounds, counts)
        else:
            more = soak(root, base, asked, chance, rounds, counts)
        record.results[part] = {
            "tried": dict(counts.tried),
            "outcomes": dict(counts.outcomes),
            "faults": counts.faults,
            **({"megabytes": more} if more else {}),
        }
        faults += counts.faults
        wrong = [str(counts.outcomes[kind]) for kind in _FAULTS]
        rows.append([part, str(counts.tried.total()), *wrong])
        progress(f"{part}: {dict(counts.tried)}: {dict(counts.outcomes)} {more or ''}")
    record.tables.append(table("Tried, and what must not be", ["part", "tried", *_FAULTS], rows))
    record.notes.append("Counts, no times: how many rounds fit depends on the machine and its load.")
    record.write(args.out)
    for fault in faults:
        print(f"bench.torture: {fault}", file=sys.stderr)
    return 1 if faults else 0


def _rounds(part: str, whole: float, tries: Mapping[str, int] | None) -> Rounds:
    each = MESSAGES_A_ROUND if part in ("lsp", "mcp") else 1
    return Rounds(whole * PARTS[part], -(-tries[part] // each) if tries else None)


if __name__ == "__main__":
    sys.exit(main())
