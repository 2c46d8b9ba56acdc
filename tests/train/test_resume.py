"""A run that is really killed goes on to the very weights it would have had."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from model.encoder import ModularStarEncoder
from train.config import read_config
from train.data import Pair
from train.loop import Fit
from train.tokenizer import train_tokenizer

ROOT = Path(__file__).parents[2]
WORDS = "open close sort find sum list file user date page tree node".split()
PAIRS = [
    Pair("text", f"{a} the {b}", f"def {b}_{a}(x): return {a}", "python", source=b)
    for a in WORDS
    for b in WORDS
]
STEPS = 12
# The run in a process of its own, slow enough to be killed within.
SLOWLY = """
import sys, time
from pathlib import Path
from tests.train.test_resume import begin
from train.loop import Fit

step = Fit.train_step

def slow_step(run):
    time.sleep(0.3)
    return step(run)

Fit.train_step = slow_step
begin(Path(sys.argv[1]), Path(sys.argv[2])).run()
"""


def begin(folder: Path, tokenizer_file: Path) -> Fit:
    """The run in a folder, from its state where there is one."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    config = read_config(Path("tiny"))
    changed = {"steps": STEPS, "batch": 24, "slice_tokens": 128, "workers": 2, "cached": True}
    settings = replace(config.fit, **changed, checkpoint_minutes=0.0)  # type: ignore[arg-type]
    torch.manual_seed(0)
    shape = {"vocab_size": tokenizer.get_vocab_size(), "residual": True, "bag_dropout": 0.3}
    return Fit(ModularStarEncoder(config.model_config(**shape)), tokenizer, PAIRS, settings, folder)


def states(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("state-*"))


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is a POSIX affair")
def test_a_run_killed_with_no_warning_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, cut, tokenizer = tmp_path / "whole", tmp_path / "cut", tmp_path / "tokenizer.json"
    train_tokenizer([text for pair in PAIRS for text in (pair.query, pair.code)], 200).save(str(tokenizer))
    undisturbed = begin(whole, tokenizer)
    assert undisturbed.run()
    killed = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, str(cut), str(tokenizer)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 600
    while not states(cut) or states(cut)[-1] < "state-00000003":
        assert time.monotonic() < deadline and killed.poll() is None, killed.stderr and killed.stderr.read()
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert states(cut)[-1] < f"state-{STEPS:08}"
    (cut / "new-state-00000099").mkdir()  # a state begun and not ended, as by a full disk
    resumed = begin(cut, tokenizer)
    assert 3 <= resumed.step < STEPS and resumed.run()
    ours, theirs = resumed.model.state_dict(), undisturbed.model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert states(cut) == [f"state-{STEPS:08}"]
    curves = [(folder / "curve.csv").read_text().splitlines()[1:] for folder in (cut, whole)]
    assert [line.rsplit(",", 2)[0] for line in curves[0]] == [line.rsplit(",", 2)[0] for line in curves[1]]
