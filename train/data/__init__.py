"""The corpus: what a line is, how it is read, changed for training, and made (`python -m train.data`)."""

from __future__ import annotations

from train.data.augmentation import (
    Augmentation,
    augment,
    augment_code,
    augment_query,
    drop_comments,
    first_sentence,
    header,
    rename,
    rename_identifiers,
)
from train.data.corpus import (
    HELD_OUT,
    LONGEST_CODE,
    CorpusReport,
    Excluded,
    Pair,
    digest_of,
    group_of,
    held_out_sources,
    read_corpus,
    repository_of,
    split_by_source,
    stream_corpus,
)
from train.data.lines import CorpusError, read_lines

__all__ = [
    "HELD_OUT",
    "LONGEST_CODE",
    "Augmentation",
    "CorpusError",
    "CorpusReport",
    "Excluded",
    "Pair",
    "augment",
    "augment_code",
    "augment_query",
    "digest_of",
    "drop_comments",
    "first_sentence",
    "group_of",
    "header",
    "held_out_sources",
    "read_corpus",
    "read_lines",
    "rename",
    "rename_identifiers",
    "repository_of",
    "split_by_source",
    "stream_corpus",
]
