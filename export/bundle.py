"""The whole export, step by step, in a temporary folder that becomes the bundle only when all is well."""

from __future__ import annotations

import gc
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bundle.manifest import update_manifest, write_manifest
from bundle.static import NO_PIECE, write_no_static, write_static
from export.checkpoint import TOKENIZER, Checkpoint, load_checkpoint, vocabulary_of
from export.errors import ExportError
from export.tracing import Exporter, tracing_by
from export.validate import Encode, Rows, fidelity, read_texts, torch_encoder
from modstar_lsp import __version__
from modstar_lsp.encoder import Encoder, Exit, open_bundle
from modstar_lsp.encoder.bundle import MANIFEST, TF_WEIGHTS

# Chunks are at most some 200 tokens; 512 leaves room for the long ones at a quarter of the cost of 2048.
DEFAULT_MAX_TOKENS = 512

TOOLS = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime", "tokenizers", "numpy")


@dataclass(frozen=True, slots=True)
class Options:
    """What to export, and under which name."""

    exits: tuple[int, ...] | None = None  # None: all that the checkpoint has
    fp16: bool = True
    name: str = ""  # "": the checkpoint folder's
    licence: str = "Apache-2.0"
    max_tokens: int = DEFAULT_MAX_TOKENS
    indexed: int | None = None  # values of a row that an index keeps; None: all
    texts: Path | None = None
    fidelity: str = "strict"  # one of export.validate.GATES
    exporter: Exporter = "torchscript"
    force: bool = False


def export_bundle(
    source: Path, target: Path, options: Options, report: Callable[[str], None] = print
) -> None:
    """Write the bundle of checkpoint `source` to `target`; nothing is left behind when it fails."""
    if target.exists() and not options.force:
        raise ExportError(f"{target} exists already; add --force to replace it")
    if target.exists() and not (target / MANIFEST).is_file():
        raise ExportError(f"{target} exists and is no bundle; it will not be replaced")
    texts, queries = read_texts(options.texts)
    checkpoint = load_checkpoint(source)
    depths = _chosen(checkpoint, options.exits)
    if options.indexed and options.indexed > checkpoint.config.dimension:
        raise ExportError(f"--indexed {options.indexed}: a row has {checkpoint.config.dimension} values")
    config = checkpoint.config
    max_tokens = min(options.max_tokens, config.max_position_embeddings)
    scratch = tempfile.TemporaryDirectory(prefix=f".{target.name}.graphs.", dir=_made(target.parent))
    with scratch, _replacing(target) as folder:
        fields = _write_parts(checkpoint, max_tokens, options, folder)
        deeper = [depth for depth in depths if depth]
        traced = None
        if deeper:
            from export.graphs import trace, write_graphs

            with tracing_by(options.exporter):
                traced = trace(checkpoint, deeper, max_tokens, options.fp16, texts, Path(scratch.name))
        expected = {
            depth: Rows.of(torch_encoder(checkpoint, depth, max_tokens), texts, queries)
            for depth in depths
            if depth or checkpoint.exit0
        }
        # A large one leaves no room for what comes next.
        del checkpoint
        gc.collect()
        if traced:
            graphs, fields["gpu"] = write_graphs(traced, config, folder)
            fields["exits"] += graphs
        write_manifest(folder, fields)
        figures = _validate(expected, folder, texts, queries, options.fidelity, report)
        validation = {"exits": figures, "fidelity": options.fidelity, "tools": _tool_versions()}
        update_manifest(folder, validation=validation)
    for name, record in open_bundle(target).files.items():
        report(f"{record.bytes / 1e6:9.2f} MB  {name}")


def check_bundle(folder: Path) -> str:
    """Verify manifest, sizes and every digest, and encode once at each exit; one line that says so."""
    bundle = open_bundle(folder)
    bundle.verify()
    encoder = Encoder(bundle)
    vocabulary = bundle.verified(bundle.static.vocabulary).read_text("utf-8")
    for candidate in bundle.exits[1:] if vocabulary == NO_PIECE else bundle.exits:
        if not encoder.encode(["read a json file"], candidate.depth).any():
            raise ExportError(f"{folder}: exit {candidate.depth} answers with nothing")
    depths = ", ".join(str(candidate.depth) for candidate in bundle.exits)
    size = f"{sum(record.bytes for record in bundle.files.values()) / 1e6:.1f} MB"
    indexed = f" ({bundle.indexed} indexed)" if bundle.indexed < bundle.dimension else ""
    what = f"exits {depths}, dimension {bundle.dimension}{indexed}, {size}"
    return f"{bundle.name} {bundle.version}: {what}, every digest right"


def _chosen(checkpoint: Checkpoint, wanted: Sequence[int] | None) -> list[int]:
    have = checkpoint.depths
    depths = have if wanted is None else sorted(set(wanted))
    missing = [depth for depth in depths if depth not in have]
    if missing:
        raise ExportError(f"{checkpoint.folder} has no exit {missing[0]}; it has {', '.join(map(str, have))}")
    if len(depths) > 1 and not checkpoint.config.training.get("shared_space", True):
        best = checkpoint.config.training.get("best_exit")
        choice = f"--exits {best}, the best by its card" if best in depths else f"--exits {depths[-1]}"
        raise ExportError(
            f"{checkpoint.folder}: each exit has a space of its own; choose one, e.g. {choice}, "
            "or wrap it with --one-space"
        )
    if checkpoint.exit0 is None:
        return depths
    if 0 not in depths:
        raise ExportError("a bundle needs exit 0: the first answer comes from it")
    tf = checkpoint.exit0.config.exit0_tf
    if tf not in TF_WEIGHTS:
        raise ExportError(f"the runtime does not know exit 0's tf weight {tf!r}")
    return depths


def _write_parts(checkpoint: Checkpoint, max_tokens: int, options: Options, folder: Path) -> dict[str, Any]:
    """Write every file but the graphs and the manifest; returns the manifest's fields."""
    config = checkpoint.config
    tokenizer = json.loads(checkpoint.tokenizer_json)
    (folder / TOKENIZER).write_text(json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")), "utf-8")
    exit0 = checkpoint.exit0
    static = _write_exit0(exit0, folder) if exit0 else write_no_static(folder, config.dimension)
    exits = [{"depth": 0, "dimension": config.dimension, "precision": "int8", "file": static["table"]}]
    return {
        "name": options.name or checkpoint.folder.resolve().name,
        "version": __version__,
        "licence": options.licence,
        "dimension": config.dimension,
        **({"indexed": options.indexed} if options.indexed else {}),
        "max_tokens": max_tokens,
        "prompts": {role: config.training.get("prompts", {}).get(role, "") for role in ("code", "query")},
        "paired_prompts": bool(config.training.get("paired_prompts", False)),
        "tokenizer": TOKENIZER,
        "static": static,
        "exits": exits,
        "gpu": None,
        "calibration": {},
        "provenance": {
            "checkpoint": checkpoint.folder.resolve().name,
            "checkpoint_sha256": checkpoint.digest,
            **({"exit0_sha256": checkpoint.words.digest} if checkpoint.words else {}),
            "training": config.training,
        },
        "validation": {},
    }


def _write_exit0(checkpoint: Checkpoint, folder: Path) -> dict[str, Any]:
    """Write the table and the vocabulary of exit 0; the manifest's `static` section."""
    tokenizer = json.loads(checkpoint.tokenizer_json)
    pieces = vocabulary_of(tokenizer, checkpoint.config.vocab_size)
    return write_static(
        folder,
        checkpoint.model.fold_exit0().numpy()[: len(pieces)],
        pieces,
        checkpoint.config.exit0_tf,
        tokenizer["model"]["max_input_chars_per_word"],
    )


def _validate(
    expected: dict[int, Rows],
    folder: Path,
    texts: list[str],
    queries: list[str],
    gate: str,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Figures for each exit of the bundle in `folder`, as the runtime loads it; ExportError if one fails.

    expected: the checkpoint's own rows by depth. One exit is open at a time.
    """
    bundle = open_bundle(folder)
    bag = Encoder(bundle, dimension=bundle.dimension).encode

    def encoder(entry: Exit) -> Encode:
        if entry.depth == 0:
            return bag
        from modstar_lsp.encoder.graph import GraphExit

        graph = GraphExit(bundle, entry)
        return lambda texts: graph.encode(texts, bags=bag(texts) if entry.residual else None)

    candidates = {str(one.depth): one for one in bundle.exits if one.depth in expected}
    if bundle.gpu is not None:
        candidates[f"{bundle.gpu.depth}-fp16"] = bundle.gpu
    if 0 not in expected:
        report(
            "exit 0: none in this checkpoint; until it has deepened an index is searched by its words alone"
        )
    figures = {}
    for name, one in candidates.items():
        found = fidelity(expected[one.depth], Rows.of(encoder(one), texts, queries))
        report(
            f"exit {one.depth} {one.precision}: cosine {found.min_cosine:.5f} at least, "
            f"{found.mean_cosine:.5f} mean; {found.recall_at_10_overlap:.1%} of torch's first ten"
        )
        found.check(f"exit {one.depth} in {one.precision}", gate)
        figures[name] = found.figures()
    return figures


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target` that takes its place at the end, or vanishes on an error."""
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=_made(target.parent)))
    old = folder.with_name(folder.name + ".old")
    try:
        yield folder
        folder.chmod(0o755)
        if target.exists():
            target.rename(old)
        folder.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _tool_versions() -> dict[str, str]:
    found = {}
    for tool in TOOLS:
        try:
            found[tool] = version(tool)
        except PackageNotFoundError:
            continue
    return found
