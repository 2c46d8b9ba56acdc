"""What several benchmarks read from their command lines."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from evaluation.sets import SetError
from modstar_lsp.encoder import Bundle


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between them, for argparse."""
    try:
        return tuple(int(part) for part in text.split(",") if part)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 0,4,6") from None


def positive(text: str) -> int:
    """A whole number from 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them, for argparse."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def history(text: str) -> tuple[str, Path]:
    """NAME=GIT, a repository's name and its history, for argparse."""
    name, _, path = text.partition("=")
    if not (name and path and Path(path).is_dir()) or "/" in name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FOLDER with a folder that is there")
    return name, Path(path)


def depths(asked: tuple[int, ...], bundle: Bundle) -> list[int]:
    """The exits that were asked for, all when none was. Raises BundleError for one that is not there."""
    return [bundle.exit(depth).depth for depth in asked] or [one.depth for one in bundle.exits]


def trees_of(folder: Path, asked: Sequence[str]) -> list[Path]:
    """The trees in a folder, all when none is asked for. Raises SetError for one that is not there."""
    if not folder.is_dir():
        raise SetError(f"{folder}: no such folder")
    found = [folder / name for name in asked] or sorted(one for one in folder.iterdir() if one.is_dir())
    for one in found:
        if not one.is_dir():
            raise SetError(f"{one}: no such tree")
    if not found:
        raise SetError(f"{folder}: no trees in it")
    return found
