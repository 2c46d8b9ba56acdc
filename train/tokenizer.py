"""Trains the tokenizer's vocabulary; what the tokenizer is stands in model/tokenizer.py."""

from __future__ import annotations

from collections.abc import Iterable
from string import ascii_lowercase, digits

from tokenizers import Tokenizer, trainers

from model.tokenizer import SPECIALS, empty_tokenizer


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> Tokenizer:
    """A vocabulary from the given code and prose: every ASCII character, frequent words, then pieces."""
    tokenizer = empty_tokenizer()
    printable = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary_size,
        special_tokens=SPECIALS,
        initial_alphabet=printable,
        limit_alphabet=256,
        continuing_subword_prefix="##",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    found = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    tokens = [token for token, _ in found]
    # Letters and digits must continue any word, or a rare word would be lost whole as <unk>.
    missing = [f"##{char}" for char in ascii_lowercase + digits if f"##{char}" not in tokenizer.get_vocab()]
    tokens = tokens[: vocabulary_size - len(missing)] + missing
    return empty_tokenizer({token: index for index, token in enumerate(tokens)})
