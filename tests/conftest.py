"""For all tests: one profile of property tests, one thread, a Ctrl-C that can be sent, a tiny bundle."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.bare import Bare
    from tests.export.tiny_checkpoint import Exported

# No example is timed: a busy machine is no fault of the product.
settings.register_profile("modstar", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("modstar")

# What is computed here is small: threads would wait for each other longer than they compute. Numpy and torch
# read this when they are imported, here and in the processes that tests start.
os.environ["OMP_NUM_THREADS"] = "1"
# Hundreds of processes are started: what each imports is compiled once.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell has what it puts in the background ignore Ctrl-C, and the programs under test would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def source_text() -> str:
    """Some code to train a tokenizer on and to validate with: the product's own."""
    package = Path(__file__).resolve().parents[1] / "modstar_lsp" / "encoder"
    return "\n\n".join(path.read_text("utf-8") for path in sorted(package.glob("*.py")))


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, source_text: str) -> Exported:
    """A tiny random model of several exits and its bundle, which no test changes. Making them needs torch."""
    from export.__main__ import main
    from tests.export.tiny_checkpoint import Exported, make_checkpoint

    folder = tmp_path_factory.mktemp("export")
    checkpoint = make_checkpoint(folder / "checkpoint", source_text)
    texts = folder / "texts.txt"
    texts.write_text(source_text, "utf-8")
    bundle = folder / "bundle"
    assert main([str(checkpoint), str(bundle), "--validate", str(texts), "--name", "tiny"]) == 0
    return Exported(checkpoint, bundle, texts)


@pytest.fixture(scope="session")
def bare_machine(tmp_path_factory: pytest.TempPathFactory) -> Bare:
    """A machine with a clone, for the tests that install it by one command or another."""
    from tests.bare import Bare

    return Bare(tmp_path_factory.mktemp("bare"))
