"""Questions that a language model writes by reading code: from packages to training pairs.

  fetch     lay the packages of packages.jsonl out as folders, checked by their digests
  packets   choose functions and write what the writers are given
  check     the writers' answers -> questions.jsonl, refused ones told with the reason
  pairs     questions.jsonl and the trees -> training rows, and the held-out part as an evaluation set
  answers   what a search answers to the training part, right and wrong: for `python -m train rerank`
  docstrings  the same of the docstrings of Python trees, which are cut out of what is searched

Example:
  python -m train.data.questions fetch --trees TREES
  python -m train.data.questions packets --trees TREES --packets PACKETS --count 16
  python -m train.data.questions check --trees TREES --packets PACKETS --written WRITTEN
  python -m train.data.questions pairs --trees TREES --out OUT
  python -m train.data.questions answers --trees TREES --out ANSWERS.jsonl
  python -m train.data.questions docstrings --trees TREES --only scrapy beets --out DOCSTRINGS.jsonl
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from train.data.command import ended
from train.data.lines import CorpusError
from train.data.questions.packages import MANIFEST, lay_out, read_packages, refuse_excluded

QUESTIONS = MANIFEST.with_name("questions.jsonl")
# Functions of one tree that are asked about: more teach that tree.
MOST_OF_A_TREE = 60
# Wrong answers that are kept of a question.
WRONG_ANSWERS = 24


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, 1 done but for what was refused, 2 an error told in one line."""
    chosen = _parser().parse_args(arguments)
    return ended("train.data.questions", lambda: chosen.do(chosen))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m train.data.questions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, do: object, text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text)
        one.set_defaults(do=do)
        one.add_argument(
            "--manifest", type=Path, default=MANIFEST, help="the packages (default: the project's)"
        )
        one.add_argument("--trees", type=Path, required=True, help="folder of the packages' trees")
        return one

    one = command("fetch", _fetch, "lay the packages out")
    one.add_argument("--exclude", type=Path, help="file of owner/name whose code stays out")
    one.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these packages alone")

    one = command("packets", _packets, "choose functions, write packets")
    one.add_argument("--packets", type=Path, required=True, help="folder of the packets")
    one.add_argument("--count", type=int, required=True, help="packets there are to be, those there counted")
    one.add_argument(
        "--questions", type=Path, default=QUESTIONS, help="what is asked already (default: the project's)"
    )
    one.add_argument("--most-of-a-tree", type=int, default=MOST_OF_A_TREE, metavar="N")
    one.add_argument("--seed", type=int, default=0)

    one = command("check", _check, "check what was written")
    one.add_argument("--packets", type=Path, required=True, help="folder of the packets")
    one.add_argument(
        "--written", type=Path, required=True, nargs="+", help="folder or files NNN.jsonl of answers"
    )
    one.add_argument("--out", type=Path, default=QUESTIONS, help="the questions (default: the project's)")
    one.add_argument("--dry", action="store_true", help="tell what is refused, write nothing")

    one = command("pairs", _pairs, "make training rows and the held-out set")
    one.add_argument(
        "--questions", type=Path, default=QUESTIONS, help="the questions (default: the project's)"
    )
    one.add_argument("--out", type=Path, required=True, help="folder for train/ and held_out/")

    one = command("answers", _answers, "ask the search the training part")
    one.add_argument(
        "--questions", type=Path, default=QUESTIONS, help="the questions (default: the project's)"
    )
    one.add_argument("--index-dir", type=Path, help="keep the trees' indexes here")
    one.add_argument("--wrong", type=int, default=WRONG_ANSWERS, help="of a question (default %(default)s)")
    one.add_argument("--out", type=Path, required=True, help="file to write, .jsonl")

    one = command("docstrings", _docstrings, "ask the search the docstrings of Python trees")
    one.add_argument("--only", nargs="+", required=True, metavar="NAME", help="folders of TREES")
    one.add_argument("--each", type=int, default=350, help="of a tree at most (default %(default)s)")
    one.add_argument("--wrong", type=int, default=WRONG_ANSWERS, help="of a question (default %(default)s)")
    one.add_argument("--out", type=Path, required=True, help="file to write, .jsonl")
    return parser


def _fetch(chosen: argparse.Namespace) -> int:
    packages = read_packages(chosen.manifest)
    unknown = set(chosen.only) - {one.name for one in packages}
    if unknown:
        raise CorpusError(f"{chosen.manifest}: no package {min(unknown)} in it")
    if chosen.exclude:
        refuse_excluded(packages, chosen.exclude)
    failed = 0
    for one in packages:
        if chosen.only and one.name not in chosen.only:
            continue
        try:
            done = "laid out" if lay_out(one, chosen.trees) else "is there"
        except CorpusError as error:
            failed += 1
            print(f"train.data.questions: {error}", file=sys.stderr)
        else:
            print(f"{one.name}: {done}", flush=True)
    return 1 if failed else 0


def _packets(chosen: argparse.Namespace) -> int:
    from train.data.questions.checks import read_questions
    from train.data.questions.packets import write_packets

    if min(chosen.count, chosen.most_of_a_tree) < 1:
        raise CorpusError("--count and --most-of-a-tree take a number, 1 or more")

    def tell(line: str) -> None:
        print(line, flush=True)

    packages = read_packages(chosen.manifest)
    asked = read_questions(chosen.questions) if chosen.questions.is_file() else []
    made = write_packets(
        packages, chosen.trees, chosen.packets, chosen.count, chosen.most_of_a_tree, chosen.seed, tell, asked
    )
    print(f"{made} packets written, {chosen.count - made} were there")
    return 0


def _check(chosen: argparse.Namespace) -> int:
    from train.data.questions.checks import check

    report = check(
        read_packages(chosen.manifest),
        chosen.trees,
        chosen.packets,
        chosen.written,
        None if chosen.dry else chosen.out,
        lambda line: print(line, file=sys.stderr),
    )
    print(report.line())
    return 1 if report.refused else 0


def _answers(chosen: argparse.Namespace) -> int:
    import tempfile

    from train.data.questions.answers import write_answers

    if chosen.wrong < 1:
        raise CorpusError("--wrong takes a number, 1 or more")
    packages = read_packages(chosen.manifest)
    with tempfile.TemporaryDirectory() as scratch:
        done = write_answers(
            packages,
            chosen.trees,
            chosen.questions,
            chosen.out,
            chosen.index_dir or Path(scratch),
            chosen.wrong,
            lambda line: print(line, flush=True),
        )
    print(f"{done} questions with an answer in {chosen.out}")
    return 0


def _docstrings(chosen: argparse.Namespace) -> int:
    import tempfile

    from train.data.questions.answers import write_docstring_answers

    if min(chosen.each, chosen.wrong) < 1:
        raise CorpusError("--each and --wrong take a number, 1 or more")
    trees = [chosen.trees / name for name in chosen.only]
    if missing := [tree for tree in trees if not tree.is_dir()]:
        raise CorpusError(f"{missing[0]}: no such folder")
    with tempfile.TemporaryDirectory() as indexes:
        done = write_docstring_answers(
            trees,
            chosen.out,
            Path(indexes),
            chosen.each,
            chosen.wrong,
            lambda line: print(line, flush=True),
        )
    print(f"{done} docstrings with an answer in {chosen.out}")
    return 0


def _pairs(chosen: argparse.Namespace) -> int:
    from train.data.questions.pairs import write_pairs

    print(write_pairs(read_packages(chosen.manifest), chosen.trees, chosen.questions, chosen.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
