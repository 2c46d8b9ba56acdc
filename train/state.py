"""What a run leaves in its folder: the state to go on from, and snapshots of the model along the way.

A state is a folder `state-00000120`, written beside its predecessor under another name, flushed to the disk,
renamed, and only then is the predecessor removed: whenever the process dies, one whole state is there.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from torch.distributed.checkpoint import CheckpointException

from model.encoder import ModularStarEncoder

STATE = "state-"
SNAPSHOT = "snapshot-"
_HEAD = "run.json"
# What torch, safetensors and accelerate make of a full disk, and of files cut short or of another model.
FAULTS = (
    *(OSError, ValueError, KeyError, EOFError, RuntimeError),
    *(pickle.UnpicklingError, SafetensorError, CheckpointException),
)


class StateError(Exception):
    """The state of a run cannot be used; the message is one line for the user."""


def save_state(accelerator: Accelerator, folder: Path, step: int, head: dict[str, Any]) -> None:
    """Keep model, optimiser and `head` as the state after `step` steps.

    StateError when it cannot be written; the state before it is still there then.
    """
    target = folder / f"{STATE}{step:08}"
    temporary = folder / f"new-{target.name}"
    if accelerator.is_main_process:
        shutil.rmtree(temporary, ignore_errors=True)
    accelerator.wait_for_everyone()
    try:
        accelerator.save_state(str(temporary), safe_serialization=True)
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            (temporary / _HEAD).write_text(json.dumps(head | {"step": step}), encoding="utf-8")
            _flush(temporary)
    except FAULTS as error:
        room = shutil.disk_usage(folder).free / 1e6
        shutil.rmtree(temporary, ignore_errors=True)
        raise StateError(
            f"{target}: not written ({_first_line(error)}) with {room:.1f} MB left on the disk; "
            "make room and run the same again: it goes on from the state before"
        ) from error
    if accelerator.is_main_process:
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
        for old in folder.glob(f"{STATE}*"):
            if old != target:
                shutil.rmtree(old, ignore_errors=True)
    accelerator.wait_for_everyone()


def load_state(accelerator: Accelerator, folder: Path) -> dict[str, Any] | None:
    """Go back to the newest state in the folder; its head, or None when there is no state."""
    found = sorted(folder.glob(f"{STATE}*"))
    if not found:
        return None
    state = found[-1]
    try:
        head = json.loads((state / _HEAD).read_text(encoding="utf-8"))
        accelerator.load_state(str(state))
    except FAULTS as error:
        said = _first_line(error)
        raise StateError(
            f"{state}: not a state of this run ({said}); remove the folder {folder} to start anew"
        ) from error
    return head


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def save_snapshot(
    model: ModularStarEncoder,
    folder: Path,
    step: int,
    scores: dict[str, float],
    finish: Callable[[Path], object] | None = None,
) -> Path:
    """Keep the model alone, in half precision, as a checkpoint `snapshot-<step>` with its scores."""
    target = folder / f"{SNAPSHOT}{step:08}"
    temporary = folder / f"new-{target.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    halved = {
        name: value.half() if value.dtype == torch.float32 else value
        for name, value in model.state_dict().items()
    }
    model.save_pretrained(temporary, state_dict=halved)
    if finish:
        finish(temporary)
    (temporary / "scores.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    if target.exists():
        shutil.rmtree(target)
    temporary.rename(target)
    return target


def _flush(folder: Path) -> None:
    """Have the disk hold what the files of a folder say, before a rename makes them count."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+") as stream:
                os.fsync(stream.fileno())
