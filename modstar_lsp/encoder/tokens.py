"""Texts as the numbers that the graphs read, by a bundle's tokenizer.json.

We read the two kinds that our own bundles hold: each cuts a text into words (`token_words.py`), and each word
into the longest pieces that the vocabulary has. Any other is left to the package `tokenizers`, which a bundle
of one's own may need; it brings a client of a hub with it, so it is no part of modstar. The numbers are those
of that package.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from modstar_lsp.encoder.token_words import WORD_KINDS, WordKind
from modstar_lsp.encoder.words import CONTINUATION, longest_pieces
from modstar_lsp.errors import BundleError, reason
from modstar_lsp.installation import INSTALL_TOKENIZERS

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Package

# Words remembered with their pieces; some 5 MB when full. Then the memory starts afresh.
MAX_WORDS_KEPT = 20_000


class Tokens(NamedTuple):
    """One text's tokens. Its names are those of the package's own class, which may stand for it."""

    ids: Sequence[int]
    tokens: Sequence[str]
    special_tokens_mask: Sequence[int]  # 1 for what is around the text, not of it


class Tokenizer(Protocol):
    """Safe to use from several threads."""

    def encode(self, text: str, limit: int, before: str = "") -> Tokens:
        """The first `limit` tokens, those around the text counted; of two texts with one `before`.

        No special token comes out of a text: "<mask>" in a source file is text.
        """


def open_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in a bundle's file. Raises BundleError, also when the package is needed and not there."""
    try:
        content = path.read_text("utf-8")
        return _ours(json.loads(content)) or _OfPackage(content)
    except ModuleNotFoundError:
        problem = f"is of a kind that modstar does not read by itself: {INSTALL_TOKENIZERS}"
    except MemoryError:
        raise
    except OSError as error:
        problem = f"cannot be read ({reason(error)})"
    except Exception as error:  # the package raises nothing else
        problem = f"is no tokenizer ({error}); export it again"
    raise BundleError(f"bundle {path.parent}: {path.name} {problem}")


class _WordPiece:
    """Words, each cut into the longest pieces that the vocabulary has.

    unknown: the piece that stands for a word of others, or of more than `longest_word` characters.
    frames: the special tokens before, between and behind one text and two.
    """

    def __init__(
        self,
        kind: WordKind,
        vocabulary: dict[str, int],
        unknown: str,
        longest_word: int,
        frames: Sequence[Sequence[Sequence[str]]],
    ) -> None:
        self._words = kind.words
        self._pieces = _Pieces(vocabulary, unknown, longest_word)
        self._names = list(vocabulary)
        self._frames = [[[vocabulary[name] for name in names] for names in frame] for frame in frames]

    def encode(self, text: str, limit: int, before: str = "") -> Tokens:
        texts = [before, text] if before else [text]
        frame = self._frames[len(texts) - 1]
        room = max(0, limit - sum(map(len, frame)))
        if before:  # the shorter keeps what it has, up to half of the room
            parts = [self._ids(one) for one in texts]
            short, long = sorted(parts, key=len)
            if len(short) + len(long) > room:
                del short[room // 2 :], long[room - min(len(short), room // 2) :]
        else:
            parts = [self._ids(text, room)[:room]]
        ids, mask = list(frame[0]), [1] * len(frame[0])
        for part, behind in zip(parts, frame[1:], strict=True):
            ids += part + behind
            mask += [0] * len(part) + [1] * len(behind)
        return Tokens(ids, [self._names[number] for number in ids], mask)

    def _ids(self, text: str, room: int = sys.maxsize) -> list[int]:
        """The pieces of a text: all, or at least as many as there is room for."""
        if len(self._pieces) > MAX_WORDS_KEPT:
            self._pieces.clear()
        ids: list[int] = []
        for pieces in map(self._pieces.__getitem__, self._words(_whole(text))):
            ids += pieces
            if len(ids) >= room:
                break
        return ids


class _Pieces(dict[str, list[int]]):
    """word -> its pieces; a word that is asked for the first time is cut on the way."""

    def __init__(self, vocabulary: dict[str, int], unknown: str, longest_word: int) -> None:
        self._id_of = vocabulary.get
        self._unknown = [vocabulary[unknown]]
        self._longest_word = longest_word
        self._longest = max(map(len, vocabulary))

    def __missing__(self, word: str) -> list[int]:
        short = len(word) <= self._longest_word
        pieces = (longest_pieces(word, self._id_of, self._longest) if short else []) or self._unknown
        self[word] = pieces
        return pieces


class _OfPackage:
    """Any other kind."""

    def __init__(self, content: str) -> None:
        from tokenizers import Tokenizer as Package

        @cache
        def cut_at(limit: int) -> Package:
            tokenizer = Package.from_str(content)
            tokenizer.encode_special_tokens = True
            tokenizer.no_padding()
            tokenizer.enable_truncation(limit)
            return tokenizer

        Package.from_str(content)
        self._cut_at = cut_at

    def encode(self, text: str, limit: int, before: str = "") -> Tokens:
        texts = [before, text] if before else [text]
        found: Tokens = self._cut_at(limit).encode(*map(_whole, texts))
        return found


def _whole(text: str) -> str:
    """`text` without halves of surrogate pairs, which a file of broken encoding leaves."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _ours(raw: Any) -> _WordPiece | None:
    """The tokenizer that a file describes; None when a single setting of it is not as we know it."""
    try:
        model, template = raw["model"], raw["post_processor"]
        vocabulary: dict[str, int] = model["vocab"]
        unknown, longest_word = model["unk_token"], model["max_input_chars_per_word"]
        frames = [_frame(template["single"], "A"), _frame(template["pair"], "AB")]
        specials = {name for frame in frames for names in frame for name in names}
        plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        settings = {
            "version": "1.0",
            "added_tokens": [
                {"id": vocabulary[added["content"]], "content": added["content"], **plain, "special": True}
                for added in raw["added_tokens"]
            ],
            "post_processor": {
                **{"type": "TemplateProcessing", "single": template["single"], "pair": template["pair"]},
                "special_tokens": {
                    name: {"id": name, "ids": [vocabulary[name]], "tokens": [name]} for name in specials
                },
            },
            "model": {
                **{"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": CONTINUATION},
                **{"max_input_chars_per_word": longest_word, "vocab": vocabulary},
            },
            # How the file would cut, fill up and decode is no matter here.
            **{name: raw[name] for name in ("truncation", "padding", "decoder")},
        }
        if list(vocabulary.values()) != list(range(len(vocabulary))) or type(longest_word) is not int:
            return None
        for kind in WORD_KINDS:
            if raw == {**settings, "normalizer": kind.normalizer, "pre_tokenizer": kind.pre_tokenizer}:
                return _WordPiece(kind, vocabulary, unknown, longest_word, frames)
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    return None


def _frame(template: Any, texts: str) -> list[list[str]]:
    """The special tokens before, between and behind the texts, which are to come in this order."""
    frame: list[list[str]] = [[]]
    order = []
    for step in template:
        ((kind, told),) = step.items()
        if kind == "SpecialToken":
            frame[-1].append(told["id"])
        else:
            order.append(told["id"])
            frame.append([])
        if kind not in ("SpecialToken", "Sequence") or set(told) != {"id", "type_id"}:
            raise ValueError("a step of another kind")
    if order != list(texts):
        raise ValueError("not each text once")
    return frame
