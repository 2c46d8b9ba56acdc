"""The tokenizer: uncased WordPiece over the words of `modstar_lsp.encoder.words.split_words`.

The words of a text are the same for lexical search, exit 0 and the deeper exits. tokenizer.json therefore
says in its own terms what `split_words` says in Python: the normaliser opens a gap at every case border and
lowers the case, the pre-tokenizer takes runs of letters, runs of digits, every other visible character alone
(modstar_lsp/encoder/token_words.py).
"""

from __future__ import annotations

import errno
import json
from pathlib import Path

from tokenizers import Tokenizer, models, processors
from transformers import PreTrainedTokenizerFast

from modstar_lsp.encoder.token_words import SHARED
from modstar_lsp.encoder.words import CONTINUATION, split_words

SPECIALS = ["<pad>", "<unk>", "<sep>", "<cls>", "<mask>"]
# A longer word is one <unk> (WordPiece's own limit; such runs are base64 or minified, not words).
LONGEST_WORD = 100


def empty_tokenizer(vocabulary: dict[str, int] | None = None) -> Tokenizer:
    """The tokenizer around a WordPiece vocabulary: `<sep>` text `<cls>`, the order of the paper."""
    ids = vocabulary or {token: index for index, token in enumerate(SPECIALS)}
    tokenizer = Tokenizer(
        models.WordPiece(vocab=ids, unk_token="<unk>", max_input_chars_per_word=LONGEST_WORD)  # type: ignore[call-arg]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<sep> $A <cls>",
        pair="<sep> $A <sep> $B <cls>",
        special_tokens=[("<sep>", ids["<sep>"]), ("<cls>", ids["<cls>"])],
    )
    words = {"normalizer": SHARED.normalizer, "pre_tokenizer": SHARED.pre_tokenizer}
    return Tokenizer.from_str(json.dumps({**json.loads(tokenizer.to_str()), **words}))


def of_words(tokenizer: Tokenizer) -> Tokenizer:
    """The same pieces, but of the words that all of modstar shares: how exit 0 hears a foreign tokenizer."""
    heard, ours = Tokenizer.from_str(tokenizer.to_str()), empty_tokenizer()
    heard.normalizer, heard.pre_tokenizer = ours.normalizer, ours.pre_tokenizer
    return heard


def is_word(token: str) -> bool:
    """Whether exit 0 counts a token: pieces of words and numbers, no specials, no punctuation."""
    return token not in SPECIALS and bool(split_words(token.removeprefix(CONTINUATION)))


def as_transformers(tokenizer: Tokenizer, max_length: int) -> PreTrainedTokenizerFast:
    """The same for `save_pretrained`, with its specials and its maximal length."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        pad_token="<pad>",
        unk_token="<unk>",
        sep_token="<sep>",
        cls_token="<cls>",
        mask_token="<mask>",
        padding_side="right",
        model_input_names=["input_ids", "attention_mask"],
    )


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a checkpoint, without transformers around it."""
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise FileNotFoundError(errno.ENOENT, "no tokenizer here", str(file))
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()  # sentence-transformers leaves both on
    tokenizer.no_truncation()
    return tokenizer
