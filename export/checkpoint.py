"""Reading a checkpoint: a `save_pretrained` folder of model/encoder.py with its tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from tokenizers import Tokenizer

from evaluation.record import file_digest
from export.errors import ExportError
from model.config import EXIT0_FOLDER, ModularStarConfig
from model.encoder import ModularStarEncoder
from model.tokenizer import of_words

# More tokens than any text has.
WHOLE_TEXT = 1 << 20
WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded model, ready to be exported.

    words: exit 0 as a checkpoint of its own, for a model that reads other pieces than words.
    """

    folder: Path
    model: ModularStarEncoder
    tokenizer_json: str
    digest: str  # of the weights
    words: Checkpoint | None = None

    @property
    def config(self) -> ModularStarConfig:
        return cast(ModularStarConfig, self.model.config)

    @property
    def exit0(self) -> Checkpoint | None:
        """The checkpoint that holds exit 0: this one, the one in its folder, or none."""
        return self if 0 in self.config.exit_layers else self.words

    @property
    def depths(self) -> list[int]:
        """The exits, shallowest first."""
        return [*([0] if self.words else []), *self.model.depths]

    def word_tokenizer(self) -> Tokenizer:
        """The tokenizer as exit 0 hears it: its pieces, of the words that all of modstar shares."""
        tokenizer = of_words(self.tokenizer(WHOLE_TEXT))
        tokenizer.encode_special_tokens = True
        return tokenizer

    def tokenizer(self, max_tokens: int) -> Tokenizer:
        """The tokenizer as the runtime sets it up: cut at `max_tokens`, no special tokens out of a text."""
        tokenizer = Tokenizer.from_str(self.tokenizer_json)
        tokenizer.encode_special_tokens = True
        tokenizer.enable_truncation(max_tokens)
        tokenizer.no_padding()
        return tokenizer


def load_checkpoint(folder: Path) -> Checkpoint:
    """Load the checkpoint in `folder`; ExportError in one line when it is none of ours."""
    found = _load(folder)
    if 0 in found.config.exit_layers or not (folder / EXIT0_FOLDER).is_dir():
        return found
    words = _load(folder / EXIT0_FOLDER)
    if words.model.depths != [0] or words.config.dimension != found.config.dimension:
        raise ExportError(
            f"{words.folder} is no exit 0 for {folder}: it has exits {words.model.depths} of dimension "
            f"{words.config.dimension}, where 0 of dimension {found.config.dimension} is needed"
        )
    return replace(found, words=words)


def _load(folder: Path) -> Checkpoint:
    if not folder.is_dir():
        raise ExportError(f"no checkpoint folder at {folder}")
    for name in (CONFIG, WEIGHTS, TOKENIZER):
        if not (folder / name).is_file():
            raise ExportError(f"{folder} is no checkpoint: {name} is missing")
    config = _json(folder / CONFIG)
    if config.get("model_type") != ModularStarConfig.model_type:
        raise ExportError(
            f"{folder} holds a {config.get('model_type', 'model of unknown type')!r}, "
            f"not a {ModularStarConfig.model_type!r} checkpoint"
        )
    tokenizer_json = (folder / TOKENIZER).read_text("utf-8")
    try:
        model, notes = ModularStarEncoder.from_pretrained(folder, output_loading_info=True)
        Tokenizer.from_str(tokenizer_json)
    except OSError:
        raise
    except Exception as error:  # safetensors, transformers and tokenizers each raise classes of their own
        raise ExportError(f"{folder} cannot be loaded: {_first_line(error)}") from error
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if notes[problem]:
            raise ExportError(
                f"{folder}: {WEIGHTS} has {problem.replace('_', ' ')}: {sorted(notes[problem])[0]}, ..."
            )
    if model.config.vocab_size > model.embed_tokens.num_embeddings:
        raise ExportError(f"{folder}: config.json and {WEIGHTS} differ in vocabulary size")
    return Checkpoint(folder, model.eval().float(), tokenizer_json, file_digest(folder / WEIGHTS))


def vocabulary_of(tokenizer: Mapping[str, Any], size: int) -> list[str]:
    """The pieces of a tokenizer.json in the order of their ids; ExportError when it is no WordPiece."""
    model = tokenizer.get("model", {})
    if model.get("type") != "WordPiece" or model.get("continuing_subword_prefix") != "##":
        raise ExportError("tokenizer.json is no WordPiece with '##' continuations, which exit 0 needs")
    pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
    if len(pieces) > size or any(model["vocab"][piece] != number for number, piece in enumerate(pieces)):
        raise ExportError(f"tokenizer.json has {len(pieces)} pieces where the checkpoint has {size} rows")
    if any("\n" in piece for piece in pieces):
        raise ExportError("tokenizer.json has a piece with a line break, which vocabulary.txt cannot hold")
    return pieces


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ExportError(f"{path} is not valid JSON")
    return content


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
