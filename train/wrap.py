"""A foreign encoder made modular without training: `wrap` writes a checkpoint to export or to train.

The deepest exit is the encoder as it was. The states of its earlier layers are laid where the deepest exit
puts the same texts, by ridge regression, and exit 0 likewise from weighted word vectors: one space from the
start, though only training makes early exits good.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from model.config import EXIT0_FOLDER
from model.encoder import ModularStarEncoder
from model.tokenizer import as_transformers, of_words
from modstar_lsp.chunking import chunk_file, embedded_text
from modstar_lsp.files import Unreadable, read_source, walk
from train.align import lay_exits, pooled_states, ridge
from train.bags import make_bags, pool
from train.one_space import documented, lay_in_one_space
from train.pretrained import FAMILIES, PretrainedError, load_bert, load_fast_tokenizer, read_config_json
from train.published import CARD_MRR, MODEL_TYPE, load_published
from train.teacher import SMOOTH
from train.word_table import WordTable

PACKAGE = Path(__file__).resolve().parent.parent / "modstar_lsp"
# Texts that the early exits are fitted on: four a column and more, some minutes on a CPU.
MOST_TEXTS = 2000
LONGEST = 128


def wrap(
    folder: Path,
    out: Path,
    exits: Sequence[int] | None = None,
    sources: Path | None = None,
    prompts: Mapping[str, str] | None = None,
    one_space: bool = False,
) -> str:
    """Write the encoder in `folder`, BERT-like or a published ModularStarEncoder, to `out`; lines about it.

    exits: None for 0 (if the tokenizer has WordPieces) and every third of the depth; a published one has its
    own. sources: a folder of code like that to be searched (None: this project's). prompts: what goes before
    a text in the role "code" or "query" (None: as sentence-transformers notes them). one_space: lay the exits
    of a published one into the space of its deepest and fit an exit 0 to it, kept in `exit0` below `out` if
    it helps, see `one_space.py`. PretrainedError in one line when the encoder is none of these or `out` is
    taken; nothing is left behind then. Memory at its peak: the encoder in float32, 4 bytes a parameter (4.2
    GB for the published billion), and up to 2 GB more for states and, with one_space, vectors and the table.
    """
    if out.exists():
        raise PretrainedError(f"{out} exists already; nothing is written over")
    kind = read_config_json(folder).get("model_type")
    lines: list[str] = []
    exit0: WordTable | None = None
    if kind == MODEL_TYPE:
        if exits is not None:
            raise PretrainedError(
                f"{folder}: a published {MODEL_TYPE} has exits of its own; leave --exits out"
            )
        model, tokenizer = load_published(folder)
        if one_space:
            chunks, asked = list(source_texts(sources or PACKAGE)), list(documented(sources or PACKAGE))
            laid = lay_in_one_space(model, tokenizer, chunks, asked, model.config.training["prompts"])
            exit0, lines = laid.exit0, laid.lines()
    elif one_space:
        raise PretrainedError(f"{folder}: the exits of a {kind!r} are laid in one space anyway")
    elif kind in FAMILIES:
        tokenizer = load_fast_tokenizer(folder).backend_tokenizer
        model = load_bert(folder, _thirds(folder, tokenizer) if exits is None else exits)
        fit_early_exits(model, tokenizer, list(source_texts(sources or PACKAGE)))
        model.config.training = {"wrapped": folder.resolve().name, "prompts": _prompts(folder)}
    else:
        known = ", ".join([MODEL_TYPE, *FAMILIES])
        raise PretrainedError(f"{folder}: a {kind!r}; what can be wrapped is one of {known}")
    if prompts is not None:
        model.config.training["prompts"] = dict(prompts)
    _save(model, tokenizer, exit0, folder, out)
    depths = [*([0] if exit0 else []), *model.depths]
    if best := model.config.training.get("best_exit"):
        figures = ", ".join(f"{depth} {mrr}" for depth, mrr in CARD_MRR.items())
        lines.append(
            f"by its card exit {best} answers best, not the deepest (MRR, each in its own space: {figures}); "
            "export's --exits chooses"
        )
    lines.append(f"{out}: exits {', '.join(map(str, depths))}, dimension {model.config.dimension}")
    return "\n".join(lines)


def source_texts(folder: Path, most: int = MOST_TEXTS) -> Iterator[str]:
    """What the product would embed of the sources in `folder`: its chunks, up to `most` spread over all."""
    chunks = []
    for file in walk(folder).files:
        try:
            text = read_source(folder, file.path)
        except Unreadable:
            continue
        chunks += [embedded_text(file.path, chunk) for chunk in chunk_file(file.path, text)]
    if not chunks:
        raise PretrainedError(f"{folder}: no sources here to fit the early exits on")
    yield from chunks[:: -(-len(chunks) // most)]


@torch.no_grad()
def fit_early_exits(model: ModularStarEncoder, tokenizer: Tokenizer, texts: Sequence[str]) -> None:
    """Lay every earlier exit of a wrapped encoder where its deepest puts the texts."""
    longest = min(LONGEST, model.config.max_position_embeddings)
    pooled = pooled_states(model, tokenizer, texts, longest, bf16=False)
    wanted = lay_exits(model, pooled, [depth for depth in model.depths[:-1] if depth])
    if 0 in model.depths and model.bag.table is not None:
        heard = of_words(tokenizer)
        bags = make_bags(texts, heard)
        counts = np.bincount(bags.ids, weights=bags.tf, minlength=model.config.vocab_size)
        weights = SMOOTH / (SMOOTH + torch.from_numpy(counts / max(counts.sum(), 1.0)).float())
        rows = model.embed_tokens.weight * (weights * model.bag.is_word)[:, None]
        given = torch.from_numpy(pool(rows, bags, model.config.exit0_tf))
        model.bag.table.copy_(rows @ ridge(given, wanted).T)


def _thirds(folder: Path, tokenizer: Tokenizer) -> list[int]:
    told = read_config_json(folder)
    layers = told.get("num_hidden_layers") or told.get("n_layers") or 0
    depths = {round(layers * share / 3) for share in (1, 2, 3)} - {0}
    return sorted(depths | ({0} if type(tokenizer.model).__name__ == "WordPiece" else set()))


def _prompts(folder: Path) -> dict[str, str]:
    """As sentence-transformers notes them; a document's, or a passage's, is that of code."""
    try:
        noted = json.loads((folder / "config_sentence_transformers.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    prompts = noted.get("prompts") or {}
    return {"query": prompts.get("query", ""), "code": prompts.get("document", prompts.get("passage", ""))}


def _save(
    model: ModularStarEncoder, tokenizer: Tokenizer, exit0: WordTable | None, folder: Path, out: Path
) -> None:
    specials = load_fast_tokenizer(folder).special_tokens_map
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        model.save_pretrained(beside)
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            model_max_length=model.config.max_position_embeddings,
            model_input_names=["input_ids", "attention_mask"],
            **{role: token for role, token in specials.items() if isinstance(token, str)},
        ).save_pretrained(beside)
        if exit0:
            exit0.model.save_pretrained(beside / EXIT0_FOLDER)
            words = as_transformers(exit0.tokenizer, model.config.max_position_embeddings)
            words.save_pretrained(beside / EXIT0_FOLDER)
        beside.chmod(0o755)
        beside.rename(out)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
