"""python -m train: from a folder of pairs to a checkpoint.

The stages, each with its own --help, in order:

  tokenizer   corpus -> an uncased WordPiece vocabulary over the words that all of modstar shares
  exit0       corpus, tokenizer (and a small teacher) -> a checkpoint of exit 0 alone, in minutes on a CPU
  pretrain    repository windows -> an encoder that has read code: masked words, one repository or two
  mine        corpus, a checkpoint -> hard negatives for the next fit
  fit         corpus, a start, a configuration -> the multi-exit encoder; resumes after a kill
  merge       checkpoints of one layout, encoders or rerankers -> their average
  rerank      questions with a search's answers, a BERT-like encoder -> the last stage's reranker; resumes too
  clones      BigCloneBench, a checkpoint -> F1 at every exit after training on its pairs; resumes too
  evaluate    a checkpoint and the evaluation sets -> tables per exit, with BM25 beside them
  ablate      a configuration -> the same run without each of its parts, in one table
  curve       runs -> a picture
  wrap        a published encoder (BERT-like, or ModularStarEncoder) -> a checkpoint, without training
  plan        a configuration -> parameters, work and memory per exit, without allocating

Pairs and windows are made by `python -m train.data`; `python -m train.adapt` fits a bundle to one repository.

Example:
  python -m train tokenizer --data CORPUS --out runs/tokenizer
  python -m train exit0 --data CORPUS --tokenizer runs/tokenizer --teacher MINILM --eval EVAL --out runs/exit0
  python -m train mine --data CORPUS --checkpoint runs/exit0 --out runs/hard.npz
  python -m train fit --config default --data CORPUS --init runs/exit0 --backbone MINILM \\
      --hard runs/hard.npz --eval EVAL --out runs/default
  python -m train evaluate --checkpoint runs/default --eval EVAL

On several devices: accelerate launch --config_file train/configs/accelerate-fsdp.yaml -m train fit ...
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

TOKENIZER_SIZE = 28_672


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one stage: 0 done, 2 an error told in one line, 3 stopped before the end (run again to go on)."""
    # Threads that wait for others busily take the core that the others need.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    chosen = _parser().parse_args(arguments)
    chosen.typed = list(sys.argv[1:] if arguments is None else arguments)

    from safetensors import SafetensorError

    from evaluation.sets import SetError
    from model.encoder import CheckpointError
    from train import stages
    from train.batches import HardNegativesError
    from train.config import ConfigError
    from train.curve import CurveError
    from train.data import CorpusError
    from train.pretrained import PretrainedError
    from train.run import TrainingError
    from train.state import StateError

    told = (
        CorpusError,
        ConfigError,
        CheckpointError,
        PretrainedError,
        HardNegativesError,
        StateError,
        TrainingError,
        CurveError,
        SetError,
    )
    try:
        run = getattr(stages, f"run_{chosen.stage}")
        return int(run(chosen))
    except told as error:
        print(f"train: {error}", file=sys.stderr)
    except OSError as error:
        print(f"train: {error.filename or 'disk'}: {error.strerror or error}", file=sys.stderr)
    except SafetensorError as error:  # a full disk, said by safetensors
        print(f"train: weights not written: {str(error).splitlines()[0]}", file=sys.stderr)
    except KeyboardInterrupt:
        print("train: interrupted", file=sys.stderr)
        return 130
    return 2


def leave(status: int) -> NoReturn:
    """End this process; one of several at once, without taking Python down.

    A thread of gloo's that frees the last tensor while Python takes itself down has the process abort, now
    and then, after all is written; destroying the group does not end its threads.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    stages = parser.add_subparsers(title="stages", required=True, metavar="STAGE", dest="stage")

    def stage(name: str, text: str) -> argparse.ArgumentParser:
        return stages.add_parser(name, help=text, description=text)

    one = stage("tokenizer", "train the vocabulary")
    _corpus_options(one)
    one.add_argument("--size", type=int, default=TOKENIZER_SIZE, help="entries (default %(default)s)")
    one.add_argument("--out", type=Path, required=True, help="folder to write")

    one = stage("exit0", "train exit 0 by itself")
    _corpus_options(one)
    one.add_argument("--config", default="default", help="its exit0 section is used (default %(default)s)")
    one.add_argument("--tokenizer", type=Path, required=True, help="folder of the tokenizer stage")
    one.add_argument(
        "--teacher", type=Path, help="a BERT-like transformers folder whose word vectors to start from"
    )
    one.add_argument("--init", type=Path, help="a checkpoint whose exit 0 to go on with, made wider if asked")
    one.add_argument(
        "--variants", type=int, default=3, help="augmented copies made of each pair (default %(default)s)"
    )
    one.add_argument("--eval", type=Path, help="folder of the flat sets, scored after each epoch")
    one.add_argument("--record", help="name of a dated folder in train/records")
    one.add_argument("--out", type=Path, required=True, help="checkpoint to write")

    one = stage("pretrain", "let an encoder read code: masked words, and windows of one repository or two")
    one.add_argument(
        "--windows", type=Path, required=True, help="folder of windows-*.jsonl.zst, see train.data"
    )
    _start_options(one)
    one.add_argument("--minutes", type=float, help="stop after so long; run the same command to go on")
    one.add_argument("--record", help="name of a dated folder in train/records")
    one.add_argument("--out", type=Path, required=True, help="checkpoint to write; its run/ keeps the state")

    one = stage("mine", "find hard negatives with a checkpoint")
    _corpus_options(one)
    one.add_argument("--checkpoint", type=Path, required=True)
    one.add_argument(
        "--exit", type=int, help="the exit to mine with (default: the deepest; 0 takes minutes, not hours)"
    )
    one.add_argument("--most", type=int, default=0, help="of the pairs, drawn at random (default: all)")
    one.add_argument(
        "--within-repository",
        action="store_true",
        help="negatives of the pair's own repository only: what a search in one project has to tell apart",
    )
    one.add_argument("--out", type=Path, required=True, help="file to write, .npz")

    one = stage("fit", "train all exits together")
    _corpus_options(one)
    _start_options(one)
    _backbone_options(one)
    one.add_argument(
        "--exit0", type=Path, help="a checkpoint whose exit 0, as wide or wider, takes the place of --init's"
    )
    one.add_argument(
        "--eval", type=Path, help="folder of the flat sets, scored every evaluate_steps and at the end"
    )
    one.add_argument("--minutes", type=float, help="stop after so long; run the same command to go on")
    one.add_argument("--record", help="name of a dated folder in train/records")
    one.add_argument("--out", type=Path, required=True, help="checkpoint to write; its run/ keeps the state")

    one = stage("merge", "average checkpoints of one layout, encoders or rerankers")
    one.add_argument("checkpoints", type=Path, nargs="+", help="folders of checkpoints")
    one.add_argument(
        "--backbone", type=Path, help="the published encoder they began as: one more, but for the heads"
    )
    one.add_argument(
        "--shares", type=float, nargs="+", help="of each in the average, their sum 1 (default: all the same)"
    )
    one.add_argument(
        "--above",
        type=_by_exit,
        action="append",
        metavar="EXIT=SHARE",
        help="the backbone's share in the layers above an exit, where it differs; may be repeated",
    )
    one.add_argument(
        "--gain",
        type=_by_exit,
        action="append",
        metavar="EXIT=GAIN",
        help="of an exit that builds on exit 0, set in the result; may be repeated",
    )
    one.add_argument("--record", help="name of a dated folder in train/records")
    one.add_argument("--out", type=Path, required=True, help="checkpoint to write")

    one = stage("rerank", "train the reranker of the last stage")
    one.add_argument(
        "--answers", type=Path, required=True, help="a file of `python -m train.data.questions answers`"
    )
    _corpus_options(one)
    one.add_argument(
        "--config", default="reranker", help="a file or a name in train/configs (default %(default)s)"
    )
    one.add_argument(
        "--backbone",
        type=Path,
        required=True,
        help="a BERT-family transformers folder to start from, or a reranker to train further",
    )
    one.add_argument("--minutes", type=float, help="stop after so long; run the same command to go on")
    one.add_argument("--record", help="name of a dated folder in train/records")
    one.add_argument("--out", type=Path, required=True, help="checkpoint to write; its run/ keeps the state")

    one = stage("clones", "train on BigCloneBench's pairs, and tell its test pairs apart at every exit")
    one.add_argument("--checkpoint", type=Path, required=True)
    one.add_argument(
        "--data", type=Path, required=True, help="folder with data.jsonl, train.txt, test.txt (CodeXGLUE's)"
    )
    one.add_argument(
        "--config", default="modstar-1b", help="its clones section is used (default %(default)s)"
    )
    one.add_argument("--minutes", type=float, help="stop after so long; run the same command to go on")
    one.add_argument("--record", help="name of a dated folder in train/records")
    one.add_argument("--out", type=Path, required=True, help="folder of the run and of its clones.json")

    one = stage("evaluate", "score a checkpoint")
    one.add_argument("--checkpoint", type=Path, required=True)
    one.add_argument("--eval", type=Path, required=True, help="folder of the flat sets")
    one.add_argument("--sample", type=int, default=300, help="queries a set, 0 for all (default %(default)s)")
    one.add_argument("--exits", type=int, nargs="*", help="only these")
    one.add_argument(
        "--cross", action="store_true", help="print every exit's queries against every exit's code"
    )
    one.add_argument("--longest", type=int, default=256, help="tokens read of a text by the deeper exits")
    one.add_argument("--out", type=Path, help="write the scores as JSON")

    one = stage("ablate", "the same run without each of its parts")
    one.add_argument("config", help="a file or a name in train/configs")
    _corpus_options(one)
    one.add_argument("--init", type=Path, help="checkpoint to start from")
    one.add_argument("--tokenizer", type=Path, help="tokenizer folder, when there is no --init")
    _backbone_options(one)
    one.add_argument(
        "--windows",
        type=Path,
        help="two more rows: pre-trained on these, with and without the in-context loss",
    )
    one.add_argument("--row", action="append", metavar="NAME", help="only this row; may be repeated")
    one.add_argument("--steps", type=int, default=0, help="of every run (default: the configuration's)")
    one.add_argument(
        "--seeds", type=int, nargs="+", help="every run with each of them (default: the configuration's)"
    )
    one.add_argument("--eval", type=Path, help="folder of the flat sets")
    one.add_argument(
        "--held-out",
        type=int,
        default=0,
        metavar="N",
        help="score on so many pairs of repositories held out, too",
    )
    one.add_argument("--sample", type=int, default=100, help="queries a set, 0 for all (default %(default)s)")
    one.add_argument(
        "--documents", type=int, default=1000, help="they are asked among, 0 for all (default %(default)s)"
    )
    one.add_argument("--record", help="name of a dated folder in train/records")
    one.add_argument("--out", type=Path, required=True, help="folder of the runs")

    one = stage("curve", "draw the curves of runs")
    one.add_argument("runs", type=Path, nargs="+", help="folders of runs, or of records")
    one.add_argument("--out", type=Path, default=Path("curve.svg"), help="picture (default %(default)s)")

    one = stage("wrap", "make a published encoder modular, without training")
    one.add_argument("folder", type=Path, help="BERT-like transformers folder, or a ModularStarEncoder's")
    one.add_argument("out", type=Path, help="checkpoint to write")
    one.add_argument("--exits", type=_depths, metavar="0,2,4", help="default: as its configuration says")
    one.add_argument("--sources", type=Path, help="folder of sources to fit the early exits on")
    one.add_argument(
        "--one-space",
        action="store_true",
        help="lay a published ModularStarEncoder's exits, which have a space each, where its deepest is, and "
        "measure what that costs: an index can then deepen from exit to exit; an exit 0 is fitted to it",
    )

    one = stage("plan", "what a configuration costs")
    one.add_argument("config", help="a file or a name in train/configs")
    return parser


def _depths(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of depths such as 0,2,4") from None


def _by_exit(text: str) -> tuple[int, float]:
    depth, _, value = text.partition("=")
    try:
        return int(depth), float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no exit and its value, such as 4=0.8") from None


def _corpus_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of *.jsonl or *.jsonl.zst, see train/data"
    )
    parser.add_argument("--exclude", type=Path, help="file of owner/name whose code stays out")
    parser.add_argument("--decontaminate", type=Path, help="folder of evaluation sets whose texts stay out")


def _start_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", default="default", help="a file or a name in train/configs (default %(default)s)"
    )
    parser.add_argument(
        "--init", type=Path, help="checkpoint to start from: exit 0 alone, or a whole encoder"
    )
    parser.add_argument("--tokenizer", type=Path, help="tokenizer folder, when there is no --init")


def _backbone_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backbone", type=Path, help="a BERT-family transformers folder whose layers to start from"
    )
    parser.add_argument("--hard", type=Path, help="hard negatives of the mine stage")


if __name__ == "__main__":
    leave(main())
