"""What a graphics card brings, in ten minutes at most: for whoever rents one. docs/gpu.md says what is open.

    python -m bench.gpu --out FOLDER [--only vectors,throughput,billion,training] [--small]

vectors     the fp16 graph on the card against int8 on the CPU: cosines of this project's chunks, and how well
            docstrings find their functions by either.
throughput  texts a second by exit and by tokens a batch, with int8 on the CPU beside them.
billion     a random ModularStarEncoder of 1 B parameters, bf16, at each of its exits.
training    steps a second: float32, bf16, compiled, sharded (FSDP) over one process.

Each part is a process of its own with its own time, so that one that fails, hangs or breaks the card's
context leaves the others. The record is written after each. --small is the same on a CPU at tiny sizes: it
shows that all of it runs, and its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.options import names
from evaluation import metrics
from evaluation.docstrings import cut_docstrings
from evaluation.record import Record, command_line, load, table
from modstar_lsp.arrays import Floats
from modstar_lsp.encoder import Bundle, Encoder, open_bundle
from modstar_lsp.encoder.bundle import Exit
from modstar_lsp.encoder.gpu.gpu_exit import GpuExit, GpuFailure
from modstar_lsp.encoder.gpu.providers import ON_CPU, choose_provider
from modstar_lsp.encoder.graph import GraphExit
from modstar_lsp.errors import ModstarError

if TYPE_CHECKING:
    from model.encoder import ModularStarEncoder

ROOT = Path(__file__).resolve().parents[1]
# Seconds that a part may take, ten minutes together.
PARTS = {"vectors": 120, "throughput": 150, "billion": 150, "training": 180}
# The questions of one part see this many places.
FIRST = 10


class Size(NamedTuple):
    """How much is measured.

    batches: in tokens.  shape, rows: of the 1 B encoder, what differs from modstar-1b, and texts a batch.
    trained, pairs, length, steps: the encoder that is trained, on so many pairs of so many tokens.
    """

    texts: int
    questions: int
    batches: tuple[int, ...]
    shape: dict[str, Any]
    rows: int
    trained: dict[str, Any]
    pairs: int
    length: int
    steps: int


FULL = Size(
    texts=4000,
    questions=300,
    batches=(1 << 12, 1 << 14, 1 << 16, 1 << 18),
    shape={},
    rows=64,
    trained={
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "num_key_value_heads": 12,
        "exit_layers": (4, 8, 12),
    },
    pairs=128,
    length=128,
    steps=20,
)
_TINY = {
    "vocab_size": 128,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "exit_layers": (1, 2),
    "dimension": 32,
}
SMALL = Size(
    texts=12,
    questions=6,
    batches=(256,),
    shape=_TINY,
    rows=2,
    trained=_TINY,
    pairs=4,
    length=16,
    steps=2,
)

Row = list[str]


class Found(NamedTuple):
    """A part's table."""

    title: str
    header: Row
    rows: list[Row]


# -- the bundle


def vectors(size: Size, small: bool) -> Found:
    """int8 and fp16 side by side."""
    bundle = open_bundle()
    questions, right, chunks = asked_chunks(size)
    deepest = bundle.exits[-1]
    asked = bags_of(bundle, questions) * deepest.query_ground
    bags = bags_of(bundle, chunks)
    on_cpu = GraphExit(bundle, deepest)
    query_rows = on_cpu.encode(questions, bundle.prompts["query"], asked)
    card = on_card(bundle, small)
    int8, fp16 = (graph.encode(chunks, bundle.prompts["code"], bags) for graph in (on_cpu, card.exit))
    found = []
    for name, some in (("int8, CPU", int8), (f"fp16, {card.title}", fp16)):
        cosines = (int8 * some).sum(axis=1)
        gains = np.take_along_axis(right, np.argsort(-(query_rows @ some.T), kind="stable"), axis=1)
        found.append(
            [
                name,
                *(f"{value:.5f}" for value in (cosines.min(), np.quantile(cosines, 0.01), cosines.mean())),
                f"{metrics.reciprocal_rank(gains, FIRST).mean():.3f}",
            ]
        )
    title = f"Exit {deepest.depth}: {len(chunks)} chunks, {len(questions)} docstrings"
    return Found(title, ["", "least cosine to int8", "1 in 100", "mean", f"MRR@{FIRST}"], found)


def throughput(size: Size, small: bool) -> Found:
    """Texts a second of every exit but 0."""
    bundle = open_bundle()
    _, _, chunks = asked_chunks(size)
    bags = bags_of(bundle, chunks)
    rows = []

    def note(exit_: Exit, where: str, batch: str, graph: GraphExit) -> None:
        few = len(chunks) // 4  # what is made at the first use is made
        graph.encode(chunks[:few], bags=bags[:few])
        begin = time.perf_counter()
        graph.encode(chunks, bags=bags)
        rows.append([str(exit_.depth), where, batch, f"{len(chunks) / (time.perf_counter() - begin):,.0f}"])

    for one in bundle.exits[1:]:
        note(one, "int8, CPU", "1 text", GraphExit(bundle, one))
        for tokens in size.batches:
            card = on_card(bundle, small, one, tokens)
            note(one, f"fp16, {card.title}", f"{tokens:,} tokens", card.exit)
    return Found(f"Texts a second ({len(chunks)} chunks)", ["exit", "on", "batch", "texts/s"], rows)


class Card(NamedTuple):
    """An exit on the card."""

    title: str
    exit: GpuExit


def on_card(bundle: Bundle, small: bool, entry: Exit | None = None, tokens: int = 0) -> Card:
    """Raises ModstarError where there is no card, unless a CPU will do."""
    provider, notice = choose_provider()
    if provider is ON_CPU and not small:
        raise ModstarError(notice or "this onnxruntime has no GPU's provider (docs/gpu.md)")
    return Card(provider.title, GpuExit(bundle, provider, entry, tokens))


def bags_of(bundle: Bundle, texts: Sequence[str]) -> Floats:
    """Exit 0's rows, which the deeper exits build on."""
    return Encoder(bundle, dimension=bundle.dimension).encode(texts)


def asked_chunks(size: Size) -> tuple[list[str], NDArray[np.float64], list[str]]:
    """(docstrings, which chunks are right for each [questions, chunks], this project's chunks without)."""
    from modstar_lsp.chunking import chunk_file, embedded_text

    with tempfile.TemporaryDirectory() as folder:
        questions = cut_docstrings(ROOT / "modstar_lsp", Path(folder), size.questions)
        files = {
            file.relative_to(folder).as_posix(): file.read_text("utf-8")
            for file in sorted(Path(folder).rglob("*.py"))
        }
    # Those that answer first, so that fewer texts leave no question without its own.
    answering = {question.path for question in questions}
    paths = sorted(files, key=lambda path: path not in answering)
    found = [(path, chunk) for path in paths for chunk in chunk_file(path, files[path])][: size.texts]
    right = np.array(
        [
            [path == asked.path and chunk.start_line <= asked.line <= chunk.end_line for path, chunk in found]
            for asked in questions
        ],
        np.float64,
    )
    return [one.text for one in questions], right, [embedded_text(path, chunk) for path, chunk in found]


# -- torch


def billion(size: Size, small: bool) -> Found:
    """Texts a second at each exit of the paper's encoder, its weights random."""
    import torch

    device = torch_device(small)
    settings = json.loads((ROOT / "train" / "configs" / "modstar-1b.json").read_text("utf-8"))["model"]
    encoder = random_encoder({**settings, "nested_dimensions": (), **size.shape}, device).eval()
    encoder.to(torch.bfloat16)
    length = min(512, encoder.config.max_position_embeddings)
    ids = torch.randint(1, encoder.config.vocab_size, (size.rows, length), device=device)
    mask = torch.ones_like(ids)
    rows = []
    for depth in encoder.depths:
        exit_ = encoder.truncated(depth)
        parameters = sum(parameter.numel() for parameter in exit_.parameters())
        with torch.inference_mode():
            a_second = rate(partial(exit_, ids, mask), size.steps, device)
        rows.append(
            [
                str(depth),
                f"{parameters / 1e6:,.0f} M",
                f"{a_second * size.rows:,.1f}",
                f"{a_second * ids.numel():,.0f}",
                peak(device),
            ]
        )
    title = f"ModularStarEncoder, random, bf16 on {device}: {size.rows} texts of {length} tokens a batch"
    return Found(title, ["exit", "parameters", "texts/s", "tokens/s", "peak memory"], rows)


def training(size: Size, small: bool) -> Found:
    """Steps a second of contrastive training at all exits."""
    device = torch_device(small)
    rows = []
    for way in WAYS:
        try:
            rows.append([way, f"{steps_a_second(way, size, device, small):.2f}", peak(device)])
        except Exception as error:  # torch's and its compiler's are many; the other ways go on
            rows.append([way, f"failed: {first_line(error)}", ""])
    title = f"Training on {device}: {size.pairs} pairs of {size.length} tokens a step"
    return Found(title, ["way", "steps/s", "peak memory"], rows)


WAYS = ("float32", "bf16", "bf16, torch.compile", "bf16, FSDP of one process")


def steps_a_second(way: str, size: Size, device: str, small: bool) -> float:
    """AdamW on the paper's loss, one batch again and again."""
    import torch

    from train.losses import Contrastive, MultiExitContrastive, exit_weights

    encoder = random_encoder({**size.trained, "nested_dimensions": ()}, device).train()
    config = encoder.config
    loss_of = MultiExitContrastive(
        Contrastive(20.0), exit_weights(encoder.depths, config.num_hidden_layers, 0.5)
    )
    ids = torch.randint(1, config.vocab_size, (2 * size.pairs, size.length), device=device)
    mask = torch.ones_like(ids)
    with sharded(encoder, device) if "FSDP" in way else nullcontext():
        module: Any = encoder
        if "compile" in way:
            module = torch.compile(encoder, backend="eager" if small else "inductor")
        optimiser = torch.optim.AdamW(encoder.parameters(), lr=1e-4)

        def step() -> None:
            with torch.autocast(device, dtype=torch.bfloat16, enabled="bf16" in way):
                both = module(ids, mask)
            halves = {depth: rows.float().split(size.pairs) for depth, rows in both.items()}
            loss, _ = loss_of({e: q for e, (q, _) in halves.items()}, {e: d for e, (_, d) in halves.items()})
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

        return rate(step, size.steps, device)


@contextmanager
def sharded(encoder: ModularStarEncoder, device: str) -> Iterator[None]:
    """The encoder's weights as shards of a group of this process alone."""
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{folder}/meeting"
        backend = "nccl" if device == "cuda" else "gloo"
        dist.init_process_group(backend, init_method=meeting, rank=0, world_size=1)
        try:
            mesh = init_device_mesh(device, (1,))
            for layer in encoder.layers:
                fully_shard(layer, mesh=mesh)
            fully_shard(encoder, mesh=mesh)
            yield
        finally:
            dist.destroy_process_group()


def torch_device(small: bool) -> str:
    """Raises ModstarError where torch sees no card, unless a CPU will do."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if not small:
        raise ModstarError(f"torch {torch.__version__} sees no GPU")
    return "cpu"


def random_encoder(shape: dict[str, Any], device: str) -> ModularStarEncoder:
    """An encoder that knows nothing, made on the device."""
    import torch

    from model.config import ModularStarConfig
    from model.encoder import ModularStarEncoder

    torch.manual_seed(0)
    with torch.device(device):
        return ModularStarEncoder(ModularStarConfig(**shape))


def rate(work: Callable[[], object], times: int, device: str) -> float:
    """How often a second `work` is done, after two that do not count."""
    import torch

    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(2):
        work()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    wait()
    begin = time.perf_counter()
    for _ in range(times):
        work()
    wait()
    return times / (time.perf_counter() - begin)


def peak(device: str) -> str:
    """Of the card's memory, since the last measurement began."""
    import torch

    return f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if device == "cuda" else ""


# -- a process a part


def run_part(name: str, small: bool) -> Found:
    """A part in a process of its own. Raises PartError, in one line."""
    command = [sys.executable, "-m", "bench.gpu", "--part", name, *(["--small"] if small else [])]
    seconds = PARTS[name] * (5 if small else 1)  # a busy machine is no reason for a test to fail
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise PartError(f"not done in {seconds} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise PartError(lines[-1][:200] if lines else f"ended with {done.returncode}")
    return Found(*json.loads(done.stdout.splitlines()[-1]))


class PartError(Exception):
    """Why a part has no table."""


def first_line(error: Exception) -> str:
    """What went wrong, in a line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def card_in_words() -> str:
    """The graphics card and its driver, as its own program tells."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "none that nvidia-smi knows"


def make_parser() -> argparse.ArgumentParser:
    """What the command line may hold."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m bench.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results", metavar="FOLDER")
    parser.add_argument(
        "--only", type=names, default=tuple(PARTS), metavar="PARTS", help="commas between them"
    )
    parser.add_argument("--small", action="store_true", help="tiny sizes, on a CPU where there is no GPU")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and record; 2 when a part has no table."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.part:
        part: Callable[[Size, bool], Found] = globals()[args.part]
        try:
            print(json.dumps(part(SMALL if args.small else FULL, args.small)))
        except (ModstarError, GpuFailure) as error:
            print(error, file=sys.stderr)
            return 2
        return 0
    if unknown := [name for name in args.only if name not in PARTS]:
        parser.error(f"no part is called {unknown[0]!r}: {', '.join(PARTS)}")
    command = command_line("bench.gpu", sys.argv[1:] if argv is None else argv)
    record = Record("gpu", command, open_bundle().digest, {})
    record.notes = [f"graphics card: {card_in_words()}", load()]
    if args.small:
        record.notes.append("tiny sizes: the figures mean nothing")
    for name in args.only:
        try:
            found = run_part(name, args.small)
            record.results[name] = found._asdict()
            record.tables.append(table(found.title, found.header, found.rows))
        except PartError as error:
            record.results[name] = {"failed": str(error)}
            record.tables.append(f"## {name}\n\nfailed: {error}")
        print(record.tables[-1] + "\n", flush=True)
        written = record.write(args.out)
    print(written)
    return 2 if any("failed" in found for found in record.results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
