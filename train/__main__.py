"""python -m train: from a folder of pairs to a checkpoint.

The stages, each with its own --help, in order:

  tokenizer   corpus -> an uncased WordPiece vocabulary over the words that all of modstar shares
  exit0       corpus, tokenizer (and a small teacher) -> a checkpoint of exit 0 alone, in minutes on a CPU
  fit         corpus, that checkpoint, a configuration -> the multi-exit encoder; resumes after a kill
  evaluate    a checkpoint and the evaluation sets -> a table per exit, with BM25 beside it
  plan        a configuration -> parameters, work and memory per exit, without allocating

Example:
  python -m train tokenizer --data CORPUS --out runs/tokenizer
  python -m train exit0 --data CORPUS --tokenizer runs/tokenizer --teacher MINILM --eval EVAL --out runs/exit0
  python -m train fit --config small --data CORPUS --init runs/exit0 --eval EVAL --out runs/small
  python -m train evaluate --checkpoint runs/small --eval EVAL
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from train.data import CorpusError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from train.evaluate import Scores
    from train.loop import Report
    from train.model import ModularStarEncoder

TOKENIZER_SIZE = 28_672


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one stage: 0 done, 2 an error told in one line, 3 stopped before the end (run again to go on)."""
    from train.config import ConfigError
    from train.model import CheckpointError

    chosen = _parser().parse_args(arguments)
    try:
        return chosen.stage(chosen)
    except (CorpusError, ConfigError, CheckpointError) as error:
        print(f"train: {error}", file=sys.stderr)
    except OSError as error:
        print(f"train: {error.filename or 'disk'}: {error.strerror or error}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    stages = parser.add_subparsers(title="stages", required=True, metavar="STAGE")

    one = _stage(stages, "tokenizer", _tokenizer, "train the vocabulary")
    _corpus_options(one)
    one.add_argument("--size", type=int, default=TOKENIZER_SIZE, help="entries (default %(default)s)")
    one.add_argument("--out", type=Path, required=True, help="folder to write")

    one = _stage(stages, "exit0", _exit0, "train exit 0 by itself")
    _corpus_options(one)
    one.add_argument("--config", default="small", help="its exit0 section is used (default %(default)s)")
    one.add_argument("--tokenizer", type=Path, required=True, help="folder of the tokenizer stage")
    one.add_argument(
        "--teacher", type=Path, help="a BERT-like transformers folder whose word vectors to start from"
    )
    one.add_argument(
        "--variants", type=int, default=3, help="augmented copies made of each pair (default %(default)s)"
    )
    one.add_argument("--eval", type=Path, help="folder of the flat sets, scored after each epoch")
    one.add_argument("--record", help="name of a dated folder in train/records")
    one.add_argument("--out", type=Path, required=True, help="checkpoint to write")

    one = _stage(stages, "fit", _fit, "train all exits together")
    _corpus_options(one)
    one.add_argument(
        "--config", default="small", help="a file or a name in train/configs (default %(default)s)"
    )
    one.add_argument(
        "--init", type=Path, help="checkpoint of exit 0 whose vectors and tokenizer to start from"
    )
    one.add_argument("--tokenizer", type=Path, help="tokenizer folder, when there is no --init")
    one.add_argument(
        "--eval", type=Path, help="folder of the flat sets, scored every evaluate_steps and at the end"
    )
    one.add_argument("--minutes", type=float, help="stop after so long; run the same command to go on")
    one.add_argument("--record", help="name of a dated folder in train/records")
    one.add_argument("--out", type=Path, required=True, help="checkpoint to write; its run/ keeps the state")

    one = _stage(stages, "evaluate", _evaluate, "score a checkpoint")
    one.add_argument("--checkpoint", type=Path, required=True)
    one.add_argument("--eval", type=Path, required=True, help="folder of the flat sets")
    one.add_argument("--sample", type=int, default=300, help="queries a set, 0 for all (default %(default)s)")
    one.add_argument("--exits", type=int, nargs="*", help="only these")
    one.add_argument(
        "--cross", action="store_true", help="also every exit's queries against every exit's code"
    )
    one.add_argument("--longest", type=int, default=256, help="tokens read of a text by the deeper exits")
    one.add_argument("--out", type=Path, help="write the scores as JSON")

    one = _stage(stages, "plan", _plan, "what a configuration costs")
    one.add_argument("config", help="a file or a name in train/configs")
    return parser


def _stage(stages, name, run, text):  # type: ignore[no-untyped-def]
    parser = stages.add_parser(name, help=text, description=text)
    parser.set_defaults(stage=run)
    return parser


def _corpus_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of *.jsonl or *.jsonl.zst, see train/data.py"
    )
    parser.add_argument("--exclude", type=Path, help="file of owner/name whose code stays out")
    parser.add_argument("--decontaminate", type=Path, help="folder of evaluation sets whose texts stay out")


def _pairs(chosen: argparse.Namespace):  # type: ignore[no-untyped-def]
    from train.data import read_corpus, split_by_source

    pairs, report = read_corpus(chosen.data, chosen.exclude, chosen.decontaminate)
    print(report.line(), flush=True)
    train, held_out = split_by_source(pairs)
    return train, held_out, report


def _tokenizer(chosen: argparse.Namespace) -> int:
    from train.tokenizer import as_transformers, train_tokenizer

    pairs, _, _ = _pairs(chosen)
    tokenizer = train_tokenizer((text for pair in pairs for text in (pair.query, pair.code)), chosen.size)
    as_transformers(tokenizer, 2048).save_pretrained(chosen.out)
    print(f"{tokenizer.get_vocab_size()} entries in {chosen.out}")
    return 0


def _exit0(chosen: argparse.Namespace) -> int:
    import numpy as np
    import torch

    from train.bags import make_bags, pool, words_of
    from train.config import read_config
    from train.data import Augmentation, augment_code, augment_query, group_of
    from train.evaluate import load_flat_sets, mean_ndcg, mrr_of_pairs, score_vectors
    from train.exit0 import Table, as_model, train_table
    from train.record import write_record
    from train.teacher import starting_table
    from train.tokenizer import as_transformers, load_tokenizer

    settings = read_config(Path(chosen.config)).exit0
    tokenizer = load_tokenizer(chosen.tokenizer)
    train, held_out, report = _pairs(chosen)
    how = Augmentation()
    queries, documents = [], []
    for variant in range(chosen.variants):
        rng = random.Random(variant)
        queries.append(make_bags([augment_query(pair, rng, how) for pair in train], tokenizer))
        documents.append(make_bags([augment_code(pair, rng, how) for pair in train], tokenizer))
        print(f"variant {variant + 1} of {chosen.variants}", flush=True)
    names: dict[str, int] = {}
    sources = np.asarray(
        [names.setdefault(f"{pair.source.split('#')[0]} {pair.language}", len(names)) for pair in train]
    )
    groups = np.asarray([group_of(pair) for pair in train])
    sets = load_flat_sets(chosen.eval) if chosen.eval else []
    bags = [(one, make_bags(one.queries, tokenizer), make_bags(one.documents, tokenizer)) for one in sets]
    asked = make_bags([pair.query for pair in held_out], tokenizer)
    found = make_bags([augment_code(pair, random.Random(0), how) for pair in held_out], tokenizer)

    vectors, weights = starting_table(
        tokenizer, settings.dimension, [queries[0], documents[0]], chosen.teacher, settings.seed
    )
    table = Table(vectors, weights, torch.from_numpy(words_of(tokenizer)), settings.tf)
    curve: list[dict[str, object]] = []

    def after_epoch(epoch: int, loss: float, seconds: float) -> None:
        folded = table.folded()
        scores = {
            one.name: score_vectors(one, pool(folded, q, settings.tf), pool(folded, d, settings.tf))
            for one, q, d in bags
        }
        row: dict[str, object] = {"epoch": epoch + 1, "loss": round(loss, 4), "seconds": round(seconds, 1)}
        row["held_out_mrr"] = round(
            mrr_of_pairs(pool(folded, asked, settings.tf), pool(folded, found, settings.tf)), 4
        )
        row |= {name: round(score.ndcg, 4) for name, score in scores.items()}
        if scores:
            row["mean"] = round(mean_ndcg(scores), 4)
        curve.append(row)
        print(" ".join(f"{key} {value}" for key, value in row.items()), flush=True)

    train_table(table, queries, documents, sources, groups, settings, after_epoch)
    record = {"exit0": asdict(settings), "data": report.line(), "result": curve[-1] if curve else {}}
    as_model(table, settings, record).save_pretrained(chosen.out)
    as_transformers(tokenizer, 2048).save_pretrained(chosen.out)
    if chosen.record:
        write_record(
            chosen.record,
            {"exit0": asdict(settings), "augmentation": asdict(how), "variants": chosen.variants},
            {"files": report.files, "line": report.line()},
            curve,
            curve[-1] if curve else {},
            "python -m train exit0 " + _flags(chosen, ("config", "variants")),
        )
    return 0


def _fit(chosen: argparse.Namespace) -> int:
    import torch

    from train.bags import words_of
    from train.config import ConfigError, read_config
    from train.data import Augmentation
    from train.exit0 import start_from
    from train.loop import CURVE, Fit, merge
    from train.model import ModularStarEncoder, load_checkpoint
    from train.record import write_record
    from train.tokenizer import as_transformers, load_tokenizer

    config = read_config(Path(chosen.config))
    settings = config.fit if chosen.minutes is None else replace(config.fit, minutes=chosen.minutes)
    folder = chosen.init or chosen.tokenizer
    if folder is None:
        raise ConfigError("fit needs --init (a checkpoint of exit 0) or --tokenizer")
    tokenizer = load_tokenizer(folder)
    train, _, report = _pairs(chosen)
    torch.manual_seed(settings.seed)
    record = {"fit": asdict(settings), "augmentation": asdict(Augmentation()), "data": report.line()}
    model = ModularStarEncoder(config.model_config(vocab_size=tokenizer.get_vocab_size(), training=record))
    if chosen.init:
        start_from(model, load_checkpoint(chosen.init))
    else:
        model.bag.is_word.copy_(torch.from_numpy(words_of(tokenizer)))
    scorer = _scorer(chosen.eval, tokenizer) if chosen.eval else None
    start = {name: value.clone() for name, value in model.state_dict().items()}
    run = Fit(model, tokenizer, train, settings, chosen.out / "run", report=scorer)
    finished = run.run()
    merge(model, start, settings.merge)
    model.save_pretrained(chosen.out)
    as_transformers(tokenizer, model.config.max_position_embeddings).save_pretrained(chosen.out)
    if chosen.record:
        with (chosen.out / "run" / CURVE).open(encoding="utf-8") as stream:
            curve = list(csv.DictReader(stream))
        write_record(
            chosen.record,
            {"model": config.model, **record},
            {"files": report.files, "line": report.line()},
            curve,
            {"steps": run.step, "finished": finished, "scores": json.loads(curve[-1]["scores"] or "{}")},
            "python -m train fit " + _flags(chosen, ("config", "minutes")),
        )
    return 0 if finished else 3


def _scorer(root: Path, tokenizer: Tokenizer, sample: int = 100, longest: int = 160) -> Report:
    """Mean nDCG@10 of each exit on some of the flat sets, cheap enough to ask for now and then."""
    from train.evaluate import INTERVAL_SETS, load_flat_sets, mean_ndcg, score_vectors
    from train.loop import encode

    sets = load_flat_sets(root, sample, INTERVAL_SETS)

    def report(step: int, model: ModularStarEncoder) -> dict[str, float]:
        scores: dict[int, dict[str, Scores]] = {e: {} for e in model.depths}
        for one in sets:
            queries = encode(model, tokenizer, one.queries, longest)
            documents = encode(model, tokenizer, one.documents, longest)
            for e in model.depths:
                scores[e][one.name] = score_vectors(one, queries[e], documents[e])
        row = {f"mean_{e}": mean_ndcg(found) for e, found in scores.items()}
        return row | {
            f"{name}_{e}": score.ndcg for e, found in scores.items() for name, score in found.items()
        }

    return report


def _flags(chosen: argparse.Namespace, names: Sequence[str]) -> str:
    """The options that shape a result; folders of this machine are nobody's business."""
    return " ".join(
        f"--{name} {getattr(chosen, name)}" for name in names if getattr(chosen, name) is not None
    )


def _evaluate(chosen: argparse.Namespace) -> int:
    from train.evaluate import load_flat_sets, score_bm25, score_vectors, table
    from train.loop import encode
    from train.model import load_checkpoint
    from train.tokenizer import load_tokenizer

    model = load_checkpoint(chosen.checkpoint)
    tokenizer = load_tokenizer(chosen.checkpoint)
    exits = sorted(chosen.exits) if chosen.exits else model.depths
    sets = load_flat_sets(chosen.eval, chosen.sample)
    columns: dict[str, dict] = {"BM25": {}} | {f"exit {e}": {} for e in exits}
    if chosen.cross:
        columns |= {f"{a} asks {b}": {} for a in exits for b in exits if a != b}
    for one in sets:
        began = time.monotonic()
        columns["BM25"][one.name] = score_bm25(one)
        queries = encode(model, tokenizer, one.queries, chosen.longest, exits)
        documents = encode(model, tokenizer, one.documents, chosen.longest, exits)
        for a in exits:
            columns[f"exit {a}"][one.name] = score_vectors(one, queries[a], documents[a])
            for b in exits if chosen.cross else []:
                if a != b:
                    columns[f"{a} asks {b}"][one.name] = score_vectors(one, queries[a], documents[b])
        print(f"{one.name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    for metric in ("ndcg", "mrr", "recall"):
        print(f"\n{metric}@10, {'up to ' + str(chosen.sample) if chosen.sample else 'all'} queries a set\n")
        print(table(columns, metric))
    if chosen.out:
        found = {
            system: {name: asdict(score) for name, score in scores.items()}
            for system, scores in columns.items()
        }
        chosen.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def _plan(chosen: argparse.Namespace) -> int:
    from train import plan

    return plan.main([chosen.config])


if __name__ == "__main__":
    sys.exit(main())
