"""Trains a reranker: questions with what a search answered, right and wrong, and pairs beside them.

Each question meets every code of its batch at every exit: those that the search confused its answer with, and
everybody else's. The deepest exit learns from which is right; the shallower ones from that and from how
the deepest ranks them (self-distillation, as in arXiv 2503.03008). What a search ranked is what
`python -m train.data.questions lists` writes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from accelerate import Accelerator
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from model.encoder import ModularStarEncoder
from model.reranker import Reading, Reranker, RerankerConfig, load_reranker
from modstar_lsp.encoder.reranker import spread_identifiers, takes_part
from train.data import Pair
from train.data.lines import CorpusError, read_lines
from train.encoding import Slice, tokenize
from train.pretrained import PretrainedError, load_bert, load_fast_tokenizer
from train.run import Report, Run, RunSettings, TrainingError

# Of the encoder that is given, what a reranker has as it is.
SHAPE = (
    "vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads "
    "max_position_embeddings norm_epsilon norm positions activation embedding_norm final_norm "
    "initializer_range"
).split()
# What a code's score is lowered by where it answers the question too, and is not the one drawn.
ANOTHER_ANSWER = -1e4
# Of the wrong answers, the first in rank are drawn this much more often.
HARDEST = 8


@dataclass(frozen=True, slots=True)
class RerankSettings(RunSettings):
    """What a run is told; a JSON file in configs/ holds the same names under "rerank"."""

    steps: int = 600
    lr: float = 5e-5
    warmup: int = 20
    exits: tuple[int, ...] = (2, 4, 6)
    dimension: int = 128  # values of a token's vector
    questions: int = 16  # of a batch
    rivals: int = 4  # wrong answers beside each
    pairs: int = 8  # of a batch, as in "pairs of a sentence and its code"
    pair_weight: float = 0.5  # of a pair's loss, a question's being 1
    question_tokens: int = 40
    code_tokens: int = 176
    frozen: int = 3  # first layers that stay as they are, as the embedding does
    head_lr: float = 8.0  # of the heads, in learning rates of the layers
    shallow: float = 0.33  # weight of a shallower exit's loss, the deepest's being 1
    distil: float = 0.33  # weight of what a shallower exit learns from the deepest


class Example(NamedTuple):
    """A question, the texts of chunks that answer it, and of those a search gave that do not, best first."""

    question: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]


def read_examples(file: Path) -> list[Example]:
    """The examples in a file of `lists`: {text, right, wrong} a line. CorpusError for another file."""
    found = []
    for number, line in enumerate(read_lines(file), 1):
        try:
            row = json.loads(line)
            one = Example(str(row["text"]), tuple(row["right"]), tuple(row["wrong"]))
        except (ValueError, KeyError, TypeError) as error:
            raise CorpusError(f"{file}:{number}: not a question with its answers ({error})") from error
        if one.right and one.question.strip():
            found.append(one)
    if not found:
        raise CorpusError(f"{file}: no question with an answer in it")
    return found


def start_reranker(
    backbone: Path, settings: RerankSettings, texts: Sequence[str], **told: Any
) -> tuple[Reranker, Tokenizer]:
    """A reranker with the layers and the vocabulary of the BERT-family encoder in `backbone`, or that there.

    A token's vector begins as its state's strongest directions among `texts`, so that late interaction works
    untrained as well as it can. PretrainedError in one line for a folder that is none.
    """
    if _is_reranker(backbone):
        return _go_on_from(backbone, settings, told)
    encoder = load_bert(backbone, [max(settings.exits)])
    tokenizer: Tokenizer = load_fast_tokenizer(backbone).backend_tokenizer
    tokenizer.no_padding()
    tokenizer.no_truncation()
    shape = {name: getattr(encoder.config, name) for name in SHAPE}
    shape["num_hidden_layers"] = max(settings.exits)
    config = RerankerConfig(
        **shape,
        exit_layers=list(settings.exits),
        dimension=settings.dimension,
        nested_dimensions=[],
        pooling="mean",
        training={
            "question_tokens": settings.question_tokens,
            "code_tokens": settings.code_tokens,
            **told,
        },
    )
    model = Reranker(config)
    layers = {name: one for name, one in encoder.state_dict().items() if not name.startswith("heads.")}
    model.load_state_dict(layers, strict=False)
    _lay_heads(model, tokenizer, texts, settings.code_tokens)
    return model, tokenizer


def _is_reranker(folder: Path) -> bool:
    """Whether a folder holds a trained reranker rather than an encoder to make one of."""
    try:
        told = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False  # `load_bert` says what is wrong with it
    return isinstance(told, dict) and told.get("model_type") == RerankerConfig.model_type


def _go_on_from(folder: Path, settings: RerankSettings, told: dict[str, Any]) -> tuple[Reranker, Tokenizer]:
    """The reranker in a folder, to be trained further; PretrainedError when it has other exits."""
    try:
        model = load_reranker(folder)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # tokenizers raises a class of its own
        raise PretrainedError(f"{folder}: {error}") from error
    if model.depths != list(settings.exits) or model.config.dimension != settings.dimension:
        raise PretrainedError(
            f"{folder}: a reranker of exits {model.depths} and {model.config.dimension} values, "
            f"the configuration says {list(settings.exits)} and {settings.dimension}"
        )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    model.config.training = {
        "question_tokens": settings.question_tokens,
        "code_tokens": settings.code_tokens,
        **told,
        "before": model.config.training,
    }
    return model, tokenizer


@torch.no_grad()
def _lay_heads(model: Reranker, tokenizer: Tokenizer, texts: Sequence[str], longest: int) -> None:
    """Projections onto the first principal directions of unit token states; all tokens count alike."""
    model.eval()
    width = model.config.hidden_size
    sums = {depth: torch.zeros(width, width) for depth in model.depths}
    for ids in tokenize(tokenizer, [spread_identifiers(text) for text in texts], longest):
        row = torch.tensor([ids])
        for depth, states in model.states(row, torch.ones_like(row), model.depths[-1]):
            if depth in sums:
                unit = F.normalize(states[0], dim=-1)
                sums[depth] += unit.T @ unit
    for depth, total in sums.items():
        head = model.head(depth)
        if texts:
            head.proj.weight.copy_(
                torch.linalg.eigh(total).eigenvectors.flip(1)[:, : head.proj.out_features].T
            )
        else:
            nn.init.orthogonal_(head.proj.weight)
        head.weigh.weight.zero_()
        head.weigh.bias.zero_()


class Batch(NamedTuple):
    """Texts of a step. answers: the place of each question's code. others: places that answer it too."""

    questions: list[str]
    codes: list[str]
    answers: list[int]
    others: list[tuple[int, int]]
    weights: list[float]


class Rerank(Run):
    """A run on examples and pairs."""

    def __init__(
        self,
        model: Reranker,
        tokenizer: Tokenizer,
        examples: Sequence[Example],
        pairs: Sequence[Pair],
        settings: RerankSettings,
        folder: Path,
        report: Report | None = None,
        accelerator: Accelerator | None = None,
    ):
        if not examples:
            raise TrainingError("no examples to train on")
        if max(settings.question_tokens, settings.code_tokens) > model.config.max_position_embeddings:
            raise TrainingError(
                f"texts of {settings.code_tokens} tokens in a model of "
                f"{model.config.max_position_embeddings} positions"
            )
        self.reranker, self.examples, self.pairs, self.settings = model, examples, pairs, settings
        self.meets = torch.tensor(
            [takes_part(tokenizer.id_to_token(number)) for number in range(model.config.vocab_size)]
        ).float()
        for special in tokenizer.get_added_tokens_decoder():
            self.meets[special] = 0.0
        model.embed_tokens.requires_grad_(False)
        if model.embed_positions is not None:
            model.embed_positions.requires_grad_(False)
        model.embedding_norm.requires_grad_(False)
        for layer in model.blocks[: settings.frozen]:
            layer.requires_grad_(False)
        # The base class knows encoders; of this one it asks no more than weights and a configuration.
        super().__init__(
            model, cast(ModularStarEncoder, model), tokenizer, settings, folder, report, accelerator
        )
        if self.accelerator.num_processes > 1:
            raise TrainingError("a reranker is trained by one process")

    def _parameter_groups(self, module: nn.Module) -> tuple[list[dict[str, Any]], list[float]]:
        layers = [p for name, p in module.named_parameters() if p.requires_grad and "heads." not in name]
        heads = [p for name, p in module.named_parameters() if p.requires_grad and "heads." in name]
        decay, rate = self.plan.weight_decay, self.plan.lr
        groups = [{"params": layers, "weight_decay": decay}, {"params": heads, "weight_decay": 0.0}]
        return groups, [rate, rate * cast(RerankSettings, self.plan).head_lr]

    def quantities(self) -> list[str]:
        return ["loss", *(f"loss_{depth}" for depth in self.reranker.depths), "first"]

    def adjust_gradients(self) -> None:
        """Nothing to change: what stays as it is has none."""

    def batch(self) -> Batch:
        """The texts of step `self.step`."""
        settings = self.settings
        rng = random.Random(f"{settings.seed} {self.step}")
        found = Batch([], [], [], [], [])
        rights: list[tuple[str, ...]] = []
        for place in self._drawn(len(self.examples), settings.questions, "examples"):
            one = self.examples[place]
            near = list(one.wrong[:HARDEST])
            far = list(one.wrong[HARDEST:])
            wrong = rng.sample(near, min(len(near), settings.rivals - settings.rivals // 4))
            wrong += rng.sample(far, min(len(far), settings.rivals - len(wrong)))
            found.questions.append(one.question)
            found.answers.append(len(found.codes))
            found.codes.extend([rng.choice(one.right), *wrong])
            found.weights.append(1.0)
            rights.append(one.right)
        for place in self._drawn(len(self.pairs), settings.pairs, "pairs"):
            pair = self.pairs[place]
            found.questions.append(pair.query)
            found.answers.append(len(found.codes))
            found.codes.append(pair.code)
            found.weights.append(settings.pair_weight)
            rights.append((pair.code,))
        for question, right in enumerate(rights):
            for place, code in enumerate(found.codes):
                if place != found.answers[question] and code in right:
                    found.others.append((question, place))
        return found

    def _drawn(self, n: int, count: int, what: str) -> list[int]:
        """`count` of n things at this step: each once before any comes again, in an order by the seed."""
        count = min(count, n)
        found = []
        for at in range(self.step * count, (self.step + 1) * count):
            order = random.Random(f"{self.plan.seed} {what} {at // n}").sample(range(n), n)
            found.append(order[at % n])
        return found

    def gradients(self) -> tuple[dict[str, float], int]:
        """The gradients of the loss by what was read, then backwards slice by slice."""
        settings, batch = self.settings, self.batch()
        asked = [spread_identifiers(text) for text in batch.questions]
        found = [spread_identifiers(text) for text in batch.codes]
        lists = [
            *tokenize(self.tokenizer, asked, settings.question_tokens),
            *tokenize(self.tokenizer, found, settings.code_tokens),
        ]
        parts = self.sliced(lists)
        kept = self.each(parts, self._read)
        leaves = [
            {
                depth: Reading(*(one.detach().float().requires_grad_() for one in reading))
                for depth, reading in some.items()
            }
            for some in kept
        ]
        loss, row = self.losses(leaves, parts, lists, batch)
        loss.backward()

        def back(module: nn.Module, number: int, part: Slice) -> None:
            made, slopes = [], []
            for depth, reading in kept[number].items():
                for one, leaf in zip(reading, leaves[number][depth], strict=True):
                    if leaf.grad is not None and one.requires_grad:
                        made.append(one)
                        slopes.append(leaf.grad.to(one.dtype))
            kept[number] = {}
            torch.autograd.backward(made, slopes)

        self.each(parts, back)
        return {"loss": loss.item(), **row}, sum(map(len, lists))

    def _read(self, module: nn.Module, number: int, part: Slice) -> dict[int, Reading]:
        self.reseed(number, module)  # for dropout
        with self.autocast():
            found: dict[int, Reading] = module(
                part.input_ids.to(self.device), part.attention_mask.to(self.device)
            )
            return found

    def losses(
        self,
        leaves: Sequence[dict[int, Reading]],
        parts: Sequence[Slice],
        lists: Sequence[Sequence[int]],
        batch: Batch,
    ) -> tuple[Tensor, dict[str, float]]:
        """(what is minimised, its parts) of what was read: the questions, then the codes."""
        settings, n = self.settings, len(batch.questions)
        meets = torch.nn.utils.rnn.pad_sequence(
            [self.meets[torch.tensor(list(ids))] for ids in lists], batch_first=True
        ).to(self.device)
        answers = torch.tensor(batch.answers, device=self.device)
        weights = torch.tensor(batch.weights, device=self.device)
        masked = torch.zeros(n, len(batch.codes), device=self.device)
        for question, place in batch.others:
            masked[question, place] = ANOTHER_ANSWER
        logits: dict[int, Tensor] = {}
        for depth in self.reranker.depths:
            whole = joined([some[depth] for some in leaves], parts, meets.shape[1])
            asked, codes = (Reading(*(one[half] for one in whole)) for half in (slice(n), slice(n, None)))
            logits[depth] = masked + self.reranker.scores(depth, asked, meets[:n], codes, meets[n:])
        deepest = self.reranker.depths[-1]
        goal = logits[deepest].detach().softmax(dim=-1)
        total, row = torch.zeros((), device=self.device), {}
        for depth, one in logits.items():
            each = F.cross_entropy(one, answers, reduction="none")
            loss = (each * weights).sum() / weights.sum()
            row[f"loss_{depth}"] = loss.item()
            if depth == deepest:
                total = total + loss
            else:
                taught = F.kl_div(one.log_softmax(dim=-1), goal, reduction="batchmean")
                total = total + settings.shallow * loss + settings.distil * taught
        row["first"] = _first(logits[deepest].detach(), batch)
        return total, row


def joined(readings: Sequence[Reading], parts: Sequence[Slice], width: int) -> Reading:
    """What was read of all slices, in the order of the texts, each `width` tokens long."""
    back = torch.cat([part.places for part in parts]).argsort()

    def wide(one: Tensor) -> Tensor:
        missing = width - one.shape[1]
        return F.pad(one, (0, 0, 0, missing) if one.ndim == 3 else (0, missing))

    return Reading(
        torch.cat([wide(one.vectors) for one in readings])[back],
        torch.cat([wide(one.weights) for one in readings])[back],
        torch.cat([one.mean for one in readings])[back],
    )


def _first(logits: Tensor, batch: Batch) -> float:
    """The share of the questions with rivals whose answer is ahead of its own rivals."""
    ends = [*batch.answers[1:], len(batch.codes)]
    own = [
        float(logits[question, start:end].argmax() == 0)
        for question, (start, end) in enumerate(zip(batch.answers, ends, strict=True))
        if end - start > 1
    ]
    return sum(own) / max(len(own), 1)
