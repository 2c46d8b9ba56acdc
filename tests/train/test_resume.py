"""A run that is really killed goes on to the very weights it would have had."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from tokenizers import Tokenizer
from train.config import read_config
from train.data import Pair
from train.loop import Fit
from model.encoder import ModularStarEncoder
from train.tokenizer import train_tokenizer

folder, cached, pause = Path(sys.argv[1]), sys.argv[2] == "cached", float(sys.argv[3])
words = "open close sort find sum list file user date page tree node".split()
pairs = [
    Pair("text", f"{a} the {b}", f"def {b}_{a}(x): return {a}", "python", source=b)
    for a in words
    for b in words
]
kept = folder.parent / "tokenizer.json"  # training it is not repeatable to the letter: ties
if not kept.is_file():
    train_tokenizer([text for pair in pairs for text in (pair.query, pair.code)], 200).save(str(kept))
tokenizer = Tokenizer.from_file(str(kept))
config = read_config(Path("tiny"))
changed = dict(steps=12, batch=24, slice_tokens=128, workers=2, cached=cached, checkpoint_minutes=0.0)
settings = replace(config.fit, **changed)
torch.manual_seed(0)
shape = dict(vocab_size=tokenizer.get_vocab_size(), residual=True, bag_dropout=0.3)

class Slowly(Fit):
    def train_step(self):
        import time
        time.sleep(pause)
        return super().train_step()

run = Slowly(ModularStarEncoder(config.model_config(**shape)), tokenizer, pairs, settings, folder)
print("from", run.step, flush=True)
run.run()
run.model.save_pretrained(folder / "done")
"""


def begin(folder: Path, mode: str, pause: float = 0.0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(folder), mode, str(pause)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def states(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("state-*"))


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return out


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is a POSIX affair")
def test_a_run_killed_with_no_warning_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, cut, mode = tmp_path / "whole", tmp_path / "cut", "cached"
    finish(begin(whole, mode))
    killed = begin(cut, mode, pause=0.3)
    deadline = time.monotonic() + 600
    while not states(cut) or states(cut)[-1] < "state-00000003":
        assert time.monotonic() < deadline and killed.poll() is None, killed.stderr and killed.stderr.read()
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (cut / "done").exists()
    (cut / "new-state-00000099").mkdir()  # a state begun and not ended, as by a full disk
    assert "from 0" not in finish(begin(cut, mode))
    ours, theirs = (load_file(folder / "done" / "model.safetensors") for folder in (cut, whole))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert states(cut) == ["state-00000012"]
    curves = [(folder / "curve.csv").read_text().splitlines()[1:] for folder in (cut, whole)]
    assert [line.rsplit(",", 2)[0] for line in curves[0]] == [line.rsplit(",", 2)[0] for line in curves[1]]
