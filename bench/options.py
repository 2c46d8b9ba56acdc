"""What several benchmarks read from their command lines."""

from __future__ import annotations

import argparse
from pathlib import Path

from modstar_lsp.encoder import Bundle


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between them, for argparse."""
    try:
        return tuple(int(part) for part in text.split(",") if part)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 0,4,6") from None


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
