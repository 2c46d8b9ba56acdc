"""What the stages of `python -m train` do, each from its parsed options to what it writes."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from evaluation.published.clones import load_bigclonebench
from evaluation.record import command_line
from model.encoder import CheckpointError, ModularStarEncoder, load_checkpoint
from model.tokenizer import as_transformers, load_tokenizer
from train.align import fit_gains
from train.bags import make_bags, pool, words_of
from train.batches import pair_keys, read_hard_negatives, write_hard_negatives
from train.config import read_config
from train.data import (
    CorpusError,
    CorpusReport,
    Pair,
    augment_code,
    augment_query,
    digest_of,
    group_of,
    held_out_sources,
    repository_of,
    stream_corpus,
)
from train.evaluate import (
    INTERVAL_SETS,
    Scores,
    Table,
    as_json,
    encode_sets,
    load_flat_sets,
    matrix,
    mean_ndcg,
    mrr_of_pairs,
    score_exits,
    score_vectors,
    summary,
    table,
)
from train.exit0 import Table as Exit0Table
from train.exit0 import as_model, continued, train_table
from train.logs import CURVE, counted
from train.loop import Fit
from train.merge import merge_checkpoints, merge_with_start
from train.mine import mine, vectors
from train.pretrain import Pretrain, Window, read_windows
from train.record import write_record
from train.run import Report, processes
from train.start import start_model
from train.store import Store, as_record, open_pairs, stamp_of, write_store
from train.teacher import starting_table
from train.tensors import WEIGHTS
from train.tokenizer import train_tokenizer
from train.wrap import wrap

STOPPED = 3
# Texts by which the projections of a reranker's heads are laid.
HEADS_LAID_BY = 250


# ---- what is read ---------------------------------------------------------------------------------------


def corpus(chosen: argparse.Namespace, folder: Path) -> tuple[Store[Pair], Store[Pair], dict[str, Any]]:
    """(pairs to train on, pairs of other repositories, {files, line}), kept on disk in `folder`."""
    path = folder / "pairs"
    made_of = {
        "files": _digests(chosen.data),
        "exclude": digest_of(chosen.exclude) if chosen.exclude else "",
        "decontaminate": _digests(chosen.decontaminate, "*/*.jsonl") if chosen.decontaminate else {},
    }
    known = json.loads(stamp_of(path) or "{}")
    if known.get("made_of") != made_of:
        report = CorpusReport()

        def records() -> Iterator[tuple[str, ...]]:
            pairs = stream_corpus(chosen.data, report, chosen.exclude, chosen.decontaminate)
            for pair in counted(pairs, "pairs read"):
                yield as_record(pair)

        write_store(path, records(), lambda: json.dumps({"made_of": made_of, "line": report.line()}))
        known = json.loads(stamp_of(path) or "{}")
    print(known["line"], flush=True)
    pairs = open_pairs(path)
    sources = [pair.source for pair in pairs]
    held = held_out_sources(sources)
    held_out = np.fromiter((source in held for source in sources), dtype=bool, count=len(sources))
    train = pairs.only(np.flatnonzero(~held_out))
    _check_negatives(train, chosen.data)
    data = {"files": made_of["files"], "line": known["line"]}
    return train, pairs.only(np.flatnonzero(held_out)), data


def _check_negatives(pairs: Sequence[Pair], folder: Path) -> None:
    """CorpusError for pairs that are all about one thing: of them none is a wrong answer to another."""
    groups: set[int] = set()
    for pair in pairs:
        groups.add(group_of(pair))
        if len(groups) > 1:
            return
    raise CorpusError(
        f"{folder}: {len(pairs)} pairs to train on, about {len(groups)} thing; a contrastive loss needs two "
        "or more: what is wrong is learnt from the others"
    )


def _digests(folder: Path, pattern: str = "*.jsonl*") -> dict[str, str]:
    return {
        str(file.relative_to(folder)): digest_of(file)
        for file in sorted(folder.glob(pattern))
        if file.is_file()
    }


def scorer(root: Path, tokenizer: Tokenizer, sample: int = 100, longest: int = 160) -> Report:
    """Mean nDCG@10 of each exit on some of the flat sets, cheap enough to ask for now and then."""
    sets = load_flat_sets(
        root, sample, [name for name in INTERVAL_SETS if (root / name).is_dir()] or INTERVAL_SETS
    )

    def report(step: int, model: ModularStarEncoder) -> dict[str, float]:
        scores: dict[int, dict[str, Scores]] = {e: {} for e in model.depths}
        for name, (queries, documents) in encode_sets(model, tokenizer, sets, longest).items():
            one = next(one for one in sets if one.name == name)
            for e in model.depths:
                scores[e][name] = score_vectors(one, queries[e], documents[e])
        return {f"mean_{e}": mean_ndcg(found) for e, found in scores.items()}

    return report


def command(chosen: argparse.Namespace) -> str:
    """The command as typed, folders cut down to their last names."""
    return command_line("train", chosen.typed)


def finished_curve(folder: Path) -> list[dict[str, str]]:
    """The rows of a run's curve."""
    with (folder / CURVE).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def save(model: ModularStarEncoder, tokenizer: Tokenizer, folder: Path) -> None:
    """Write a checkpoint with its tokenizer."""
    model.save_pretrained(folder)
    as_transformers(tokenizer, model.config.max_position_embeddings).save_pretrained(folder)


# ---- the stages -----------------------------------------------------------------------------------------


def run_tokenizer(chosen: argparse.Namespace) -> int:
    """corpus -> tokenizer"""
    report = CorpusReport()
    pairs = stream_corpus(chosen.data, report, chosen.exclude, chosen.decontaminate)
    texts = (text for pair in counted(pairs, "pairs read") for text in (pair.query, pair.code))
    tokenizer = train_tokenizer(texts, chosen.size)
    as_transformers(tokenizer, 2048).save_pretrained(chosen.out)
    print(report.line())
    print(f"{tokenizer.get_vocab_size()} entries in {chosen.out}")
    return 0


def run_exit0(chosen: argparse.Namespace) -> int:
    """corpus, tokenizer -> exit 0"""
    config = read_config(Path(chosen.config))
    settings, how = config.exit0, config.augmentation
    tokenizer = load_tokenizer(chosen.tokenizer)
    train, held_out, data = corpus(chosen, chosen.out / "data")
    queries, documents = [], []
    for variant in range(chosen.variants):
        rng = random.Random(variant)
        queries.append(make_bags([augment_query(pair, rng, how) for pair in train], tokenizer))
        documents.append(make_bags([augment_code(pair, rng, how) for pair in train], tokenizer))
        print(f"variant {variant + 1} of {chosen.variants}", flush=True)
    names: dict[str, int] = {}
    sources = np.asarray(
        [names.setdefault(f"{repository_of(pair)} {pair.language}", len(names)) for pair in train]
    )
    groups = np.asarray([group_of(pair) for pair in train])
    sets = load_flat_sets(chosen.eval) if chosen.eval else []
    bags = [(one, make_bags(one.queries, tokenizer), make_bags(one.documents, tokenizer)) for one in sets]
    asked = make_bags([pair.query for pair in held_out], tokenizer)
    found = make_bags([augment_code(pair, random.Random(0), how) for pair in held_out], tokenizer)

    if chosen.init:
        try:
            start = continued(load_checkpoint(chosen.init).fold_exit0(), settings.dimension, settings.seed)
        except ValueError as error:
            raise CheckpointError(f"{chosen.init}: {error}") from error
    else:
        start = starting_table(
            tokenizer, settings.dimension, [queries[0], documents[0]], chosen.teacher, settings.seed
        )
    words = Exit0Table(*start, torch.from_numpy(words_of(tokenizer)), settings.tf)
    curve: list[dict[str, object]] = []

    def after_epoch(epoch: int, loss: float, seconds: float) -> None:
        folded = words.folded()
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

    train_table(words, queries, documents, sources, groups, settings, after_epoch)
    result = curve[-1] if curve else {}
    record = {"exit0": asdict(settings), "data": data["line"], "result": result}
    save(as_model(words, settings, record), tokenizer, chosen.out)
    if chosen.record:
        told = {"exit0": asdict(settings), "augmentation": asdict(how), "variants": chosen.variants}
        write_record(chosen.record, told, data, curve, result, command(chosen))
    return 0


def run_pretrain(chosen: argparse.Namespace) -> int:
    """windows -> an encoder that knows the language of code"""
    config = read_config(Path(chosen.config))
    settings = config.pretrain if chosen.minutes is None else replace(config.pretrain, minutes=chosen.minutes)
    with processes().main_process_first():  # the others find the store that it made
        windows, data = window_store(chosen.windows, chosen.out / "data")
    told = {"model": config.model, "pretrain": asdict(settings), "data": data["line"]}
    model, tokenizer = start_model(config, [], chosen.init, None, chosen.tokenizer, told)
    run = Pretrain(model, tokenizer, windows, settings, chosen.out / "run")
    finished = run.run()
    run.save(chosen.out)
    if processes().is_main_process:
        as_transformers(tokenizer, model.config.max_position_embeddings).save_pretrained(chosen.out)
        if chosen.record:
            curve = finished_curve(chosen.out / "run")
            result = {
                "steps": run.step,
                "finished": finished,
                "hours": round(run.seconds / 3600, 2),
                "changed": run.changed,
                "last": curve[-1],
            }
            write_record(chosen.record, told, data, curve, result, command(chosen))
    return 0 if finished else STOPPED


def window_store(folder: Path, kept: Path) -> tuple[Store[Window], dict[str, Any]]:
    """(windows on disk, {files, line})."""
    made_of = {"files": _digests(folder)}
    path = kept / "windows"
    known = json.loads(stamp_of(path) or "{}")
    if known.get("made_of") != made_of:
        found = counted(read_windows(folder), "windows read")
        records = ([list(window.snippets), window.source] for window in found)
        write_store(path, records, lambda: json.dumps({"made_of": made_of}))
    windows: Store[Window] = Store(path, lambda record: Window(tuple(record[0]), record[1]))
    together = hashlib.sha256("".join(sorted(made_of["files"].values())).encode()).hexdigest()[:12]
    line = f"{len(windows)} windows from {len(made_of['files'])} files (digest {together})"
    print(line, flush=True)
    return windows, {"files": made_of["files"], "line": line}


def run_fit(chosen: argparse.Namespace) -> int:
    """corpus, a start -> the multi-exit encoder"""
    config = read_config(Path(chosen.config))
    if chosen.minutes is not None:
        config = config.changed(fit={"minutes": chosen.minutes})
    with processes().main_process_first():  # the others find the store that it made
        train, held_out, data = corpus(chosen, chosen.out / "data")
    told: dict[str, Any] = {"fit": asdict(config.fit), "augmentation": asdict(config.augmentation)}
    told |= {"data": data["line"], **config.prompts.told()}
    model, tokenizer = start_model(
        config, train, chosen.init, chosen.backbone, chosen.tokenizer, told, chosen.exit0
    )
    start = (
        {name: value.clone() for name, value in model.state_dict().items()} if config.fit.merge < 1 else {}
    )
    run = Fit(
        model,
        tokenizer,
        train,
        config.fit,
        chosen.out / "run",
        config.augmentation,
        scorer(chosen.eval, tokenizer) if chosen.eval else None,
        read_hard_negatives(chosen.hard, train) if chosen.hard else None,
    )
    finished = run.run()
    model = run.whole()
    if processes().is_main_process:
        if start:
            merge_with_start(model, start, config.fit.merge)
        if finished and model.config.residual and len(held_out):
            gains = fit_gains(model, tokenizer, held_out[:])
            print("gains " + ", ".join(f"exit {depth} {gain}" for depth, gain in gains.items()), flush=True)
        save(model, tokenizer, chosen.out)
        if chosen.record:
            curve = finished_curve(chosen.out / "run")
            scores = json.loads(curve[-1]["scores"] or "{}")
            result = {
                "steps": run.step,
                "finished": finished,
                "hours": round(run.seconds / 3600, 2),
                "changed": run.changed,
                "scores": scores,
            }
            write_record(chosen.record, {"model": config.model, **told}, data, curve, result, command(chosen))
    return 0 if finished else STOPPED


def run_rerank(chosen: argparse.Namespace) -> int:
    """questions with a search's answers, an encoder -> the reranker"""
    from train.rerank import Rerank, read_examples, start_reranker

    settings = read_config(Path(chosen.config)).rerank
    if chosen.minutes is not None:
        settings = replace(settings, minutes=chosen.minutes)
    examples = read_examples(chosen.answers)
    train, _, data = corpus(chosen, chosen.out / "data")
    data["files"] |= {chosen.answers.name: digest_of(chosen.answers)}
    texts = [one.right[0] for one in examples[:: max(len(examples) // HEADS_LAID_BY, 1)]]
    told = {"rerank": asdict(settings), "data": data["line"], "examples": len(examples)}
    model, tokenizer = start_reranker(chosen.backbone, settings, texts, **told)
    run = Rerank(model, tokenizer, examples, train, settings, chosen.out / "run")
    finished = run.run()
    model.save_pretrained(chosen.out)
    tokenizer.save(str(chosen.out / "tokenizer.json"))
    if chosen.record:
        curve = finished_curve(chosen.out / "run")
        hours = round(run.seconds / 3600, 2)
        result = {"steps": run.step, "finished": finished, "hours": hours, "changed": run.changed}
        write_record(chosen.record, told, data, curve, result, command(chosen))
    return 0 if finished else STOPPED


def run_clones(chosen: argparse.Namespace) -> int:
    """BigCloneBench, a checkpoint -> F1 at every exit"""
    from train.clones import Clones, line

    settings = read_config(Path(chosen.config)).clones
    if chosen.minutes is not None:
        settings = replace(settings, minutes=chosen.minutes)
    known = load_bigclonebench(chosen.data)
    known.pairs("test")  # missing, it is better told before the training than after it
    model, tokenizer = load_checkpoint(chosen.checkpoint), load_tokenizer(chosen.checkpoint)
    run = Clones(model, tokenizer, known, settings, chosen.out / "run")
    if not run.run():
        return STOPPED
    found = run.told_apart("test")
    print(line(found))
    result = {str(depth): asdict(one) for depth, one in found.items()}
    (chosen.out / "clones.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if chosen.record:
        data = {"files": known.digests, "line": f"{len(run.pairs)} pairs to train on"}
        hours = {"steps": run.step, "hours": round(run.seconds / 3600, 2), "changed": run.changed}
        curve = finished_curve(chosen.out / "run")
        told = {"clones": asdict(settings)}
        write_record(chosen.record, told, data, curve, hours | {"exits": result}, command(chosen))
    return 0


def run_merge(chosen: argparse.Namespace) -> int:
    """checkpoints -> their average"""
    made = merge_checkpoints(
        chosen.checkpoints,
        chosen.out,
        chosen.shares or (),
        dict(chosen.gain or ()),
        command(chosen),
        chosen.backbone,
        dict(chosen.above or ()),
    )
    shown = ", ".join(f"{one['share']:.4g} of {one['checkpoint']}" for one in made["averaged"])
    print(f"{chosen.out}: {shown}")
    if chosen.record:
        files = {f"{one['checkpoint']}/{WEIGHTS}": one["sha256"] for one in made["averaged"]}
        write_record(chosen.record, made, {"files": files, "line": shown}, [], {}, command(chosen))
    return 0


def run_mine(chosen: argparse.Namespace) -> int:
    """corpus, a checkpoint -> hard negatives"""
    model, tokenizer = load_checkpoint(chosen.checkpoint), load_tokenizer(chosen.checkpoint)
    depth = model.depths[-1] if chosen.exit is None else chosen.exit
    if depth not in model.depths:
        raise CheckpointError(f"{chosen.checkpoint} has no exit {depth}; it has {model.depths}")
    train, _, _ = corpus(chosen, chosen.out.with_suffix(".data"))
    pairs = train[:]
    if 0 < chosen.most < len(pairs):
        pairs = random.Random(0).sample(pairs, chosen.most)
    found = vectors(model, tokenizer, pairs, depth)
    mined = mine(*found, pairs, within_repository=chosen.within_repository)
    keys = pair_keys(pairs)
    negatives = np.where(mined.negatives >= 0, keys[mined.negatives], np.uint64(0))
    write_hard_negatives(chosen.out, keys, negatives)
    print(mined.line())
    return 0


def evaluated(
    model: ModularStarEncoder,
    tokenizer: Tokenizer,
    root: Path,
    sample: int,
    longest: int,
    exits: Sequence[int] | None = None,
    tell: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> Table:
    """All that `score_exits` tells of a model, on all flat sets under `root`."""
    depths = sorted(exits) if exits else model.depths
    columns: Table = {}
    began, sets = time.monotonic(), load_flat_sets(root, sample)
    vectors_of = encode_sets(model, tokenizer, sets, longest, depths)
    tell(f"encoded: {time.monotonic() - began:.0f} s")
    for one in sets:
        began = time.monotonic()
        for system, scores in score_exits(one, *vectors_of[one.name], model.config.nested_dimensions).items():
            columns.setdefault(system, {})[one.name] = scores
        tell(f"{one.name}: {time.monotonic() - began:.0f} s")
    return columns


def run_evaluate(chosen: argparse.Namespace) -> int:
    """a checkpoint -> tables"""
    model, tokenizer = load_checkpoint(chosen.checkpoint), load_tokenizer(chosen.checkpoint)
    exits = sorted(chosen.exits) if chosen.exits else model.depths
    columns = evaluated(model, tokenizer, chosen.eval, chosen.sample, chosen.longest, exits)
    plain = {
        name: scores for name, scores in columns.items() if name in {"BM25", *(f"exit {e}" for e in exits)}
    }
    drawn = f"up to {chosen.sample}" if chosen.sample else "all"
    for metric in ("ndcg", "mrr", "recall"):
        print(f"\n{metric}@10, {drawn} queries a set\n\n{table(plain, metric)}")
    shown = (
        columns if chosen.cross else {name: scores for name, scores in columns.items() if "asks" not in name}
    )
    print(f"\nmean nDCG@10 [95 % bootstrap interval]\n\n{summary(shown)}")
    if chosen.cross:
        print(f"\nmean nDCG@10 of every exit's queries against every exit's code\n\n{matrix(columns, exits)}")
    if chosen.out:
        chosen.out.write_text(as_json(columns), encoding="utf-8")
    return 0


def run_curve(chosen: argparse.Namespace) -> int:
    """runs -> a picture"""
    from train.curve import draw

    print(draw(chosen.runs, chosen.out))
    return 0


def run_plan(chosen: argparse.Namespace) -> int:
    """a configuration -> what it costs"""
    from train import plan

    return plan.main([chosen.config])


def run_wrap(chosen: argparse.Namespace) -> int:
    """a published encoder -> a checkpoint"""
    print(wrap(chosen.folder, chosen.out, chosen.exits, chosen.sources, one_space=chosen.one_space))
    return 0


def run_ablate(chosen: argparse.Namespace) -> int:
    """a configuration -> the same run without each of its parts"""
    from train.ablate import ablate

    config = read_config(Path(chosen.config)).changed(fit={"steps": chosen.steps} if chosen.steps else {})
    train, held_out, data = corpus(chosen, chosen.out / "data")
    windows = window_store(chosen.windows, chosen.out / "data")[0] if chosen.windows else None
    hard = read_hard_negatives(chosen.hard, train) if chosen.hard else None
    found = ablate(config, train, held_out, hard, windows, chosen)
    print(*found.tables, sep="\n\n")
    if chosen.record:
        typed = command(chosen)
        write_record(
            chosen.record, found.config, data, found.curve, found.result, typed, found.remarks, found.tables
        )
    return 0 if found.finished else STOPPED
