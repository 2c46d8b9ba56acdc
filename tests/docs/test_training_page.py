"""The commands of the page about training have the options that it gives them."""

from __future__ import annotations

import argparse
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs/training.md"
# Where a program's parser stands, by its module as typed.
PARSERS = {
    "train": "train.__main__",
    "train.data": "train.data.__main__",
    "bench.published": "bench.published",
}
COMMAND = re.compile(r"^(?:accelerate launch \S+ \S+ |python )-m (\S+) (.+)$", re.MULTILINE)


def commands() -> list[tuple[str, str]]:
    return [found for found in COMMAND.findall(PAGE.read_text("utf-8")) if found[0] in PARSERS]


@pytest.mark.parametrize(("module", "words"), commands())
def test_the_options_on_the_page_are_the_programs(module: str, words: str) -> None:
    parser: argparse.ArgumentParser = import_module(PARSERS[module])._parser()
    parser.parse_args(shlex.split(words))  # SystemExit where it knows an option not


def test_the_page_has_every_step() -> None:
    asked = {f"{module} {words.split()[0]}" for module, words in commands()}
    stages = ("tokenizer", "exit0", "mine", "fit", "evaluate", "rerank", "pretrain", "plan", "clones")
    assert {f"train {stage}" for stage in stages} <= asked
    sets = ("codesearchnet", "advtest", "cosqa", "coir", "codetransocean", "poj-104", "bigclonebench")
    assert {f"bench.published {name}" for name in sets} <= asked
