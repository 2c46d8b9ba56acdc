"""Several processes: `accelerate launch` with sharded weights gives the run that one process gives."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from accelerate import DistributedType
from safetensors.torch import load_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from torch import Tensor

from model.encoder import ModularStarEncoder, load_checkpoint
from tests.train.test_command import WORDS, lay_out
from train.__main__ import main
from train.config import read_config
from train.data import Pair
from train.loop import Fit
from train.run import TrainingError, processes

ROOT = Path(__file__).parents[2]
FSDP = ROOT / "train" / "configs" / "accelerate-fsdp.yaml"
# accelerate shards on accelerators only; what it would do there, torch can do on CPUs, over gloo.
SCRIPT = """
import json, os, signal, sys
from accelerate import Accelerator, DistributedType
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import FullyShardedDataParallelPlugin

assert Accelerator().num_processes == 2
if os.environ.get("ACCELERATE_USE_FSDP") == "true":
    for state in (PartialState, AcceleratorState):
        state._shared_state["distributed_type"] = DistributedType.FSDP
    AcceleratorState._shared_state["fsdp_plugin"] = FullyShardedDataParallelPlugin()

from train.__main__ import leave, main
from train.loop import Fit

commands, killed_at = json.loads(sys.argv[1]), int(sys.argv[2])
step = Fit.train_step

def killed(run):
    if run.step == killed_at and "cut" in str(run.folder):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(run)

Fit.train_step = killed
for command in commands:
    assert main(command) == 0
leave(0)
"""


def launch(folder: Path, commands: list[list[str]], *options: str, killed_at: int = -1) -> tuple[int, str]:
    """(exit status, standard error) of commands of `python -m train` on two processes."""
    script = folder / "commands.py"
    script.write_text(SCRIPT, encoding="utf-8")
    # Any free port: another test's processes may have the usual one.
    command = [sys.executable, "-m", "accelerate.commands.launch", *options, "--main_process_port", "0"]
    command += ["--num_processes", "2"]
    command += [str(script), json.dumps(commands), str(killed_at)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    return done.returncode, done.stderr


class Alone(NamedTuple):
    """What one process makes of a small corpus and configuration, and by which commands."""

    pretrain: list[str]  # these without where to write
    fit: list[str]  # from what `pretrain` made here
    begun: Path
    whole: Path


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
    root = tmp_path_factory.mktemp("alone")
    corpus, sets, config = lay_out(root)
    told = json.loads(config.read_text(encoding="utf-8"))
    told["pretrain"] |= {"steps": 2}
    told["fit"] |= {"keep_exit0": True, "int8_noise": False, "slice_tokens": 128, "checkpoint_minutes": 0.0}
    config.write_text(json.dumps(told), encoding="utf-8")
    windows = [{"snippets": [f"{a} {b}", f"{b} {a}"], "src": a} for a in WORDS for b in WORDS]
    (root / "windows").mkdir()
    (root / "windows" / "w.jsonl").write_text("\n".join(map(json.dumps, windows)), encoding="utf-8")
    tokenizer = str(root / "tokenizer")
    assert main(["tokenizer", "--data", str(corpus), "--size", "300", "--out", tokenizer]) == 0
    common = ["--config", str(config)]
    pretrain = ["pretrain", *common, "--windows", str(root / "windows"), "--tokenizer", tokenizer]
    begun, whole = root / "begun", root / "whole"
    fit = ["fit", *common, "--data", str(corpus), "--eval", str(sets), "--init", str(begun)]
    assert main([*pretrain, "--out", str(begun)]) == 0
    assert main([*fit, "--out", str(whole)]) == 0
    return Alone(pretrain, fit, begun, whole)


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def losses(folder: Path) -> list[float]:
    with (folder / "run" / "curve.csv").open(encoding="utf-8", newline="") as stream:
        return [float(row["loss"]) for row in csv.DictReader(stream)]


def test_a_sharded_run_is_the_run_of_one_process_and_goes_on_after_a_kill(
    tmp_path: Path, alone: Alone
) -> None:
    begun, whole, cut = (tmp_path / name for name in ("begun", "whole", "cut"))
    fit = [*alone.fit, "--out"]
    commands = [[*alone.pretrain, "--out", str(begun)], [*fit, str(whole)], [*fit, str(cut)]]
    sharded = ("--config_file", str(FSDP))
    status, told = launch(tmp_path, commands, *sharded, killed_at=2)
    assert status != 0 and "Signal 9" in told, told
    assert (whole / "model.safetensors").is_file(), told
    assert [path.name for path in (cut / "run").glob("state-*")] == ["state-00000002"]
    status, told = launch(tmp_path, commands[-1:], *sharded)
    assert status == 0, told
    ours, theirs = weights(cut), weights(whole)
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)

    for many, one in ((begun, alone.begun), (whole, alone.whole)):
        assert losses(many) == pytest.approx(losses(one), rel=1e-4)
        loaded = load_checkpoint(many).state_dict()
        for name, value in weights(one).items():
            torch.testing.assert_close(loaded[name], value, atol=2e-3, rtol=0, msg=name)


def test_two_processes_with_all_weights_each_are_the_run_of_one(tmp_path: Path, alone: Alone) -> None:
    status, told = launch(tmp_path, [[*alone.fit, "--out", str(tmp_path / "two")]], "--multi_gpu")
    assert status == 0, told
    assert losses(tmp_path / "two") == pytest.approx(losses(alone.whole), rel=1e-4)


def test_processes_that_would_each_run_alone_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="2 processes were started and find no devices"):
        processes()


def test_what_cannot_be_sharded_is_refused_in_one_line(tmp_path: Path) -> None:
    config = read_config(Path("tiny"))
    model = ModularStarEncoder(config.model_config(residual=True))
    pairs = [Pair("text", "open the file", "def open_file(): ...", "python")]
    sharding: Any = SimpleNamespace(distributed_type=DistributedType.FSDP)
    with pytest.raises(TrainingError, match="cannot be sharded"):
        Fit(model, Tokenizer(WordPiece()), pairs, config.fit, tmp_path, accelerator=sharding)
