"""What makes a process start sooner changes nothing that it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from modstar_lsp.encoder import bundle
from modstar_lsp.search import Options
from modstar_lsp.workspace import Workspace


def python(program: str, *arguments: str) -> str:
    """What a new process prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "scale.py").write_text("def weigh_parcel(parcel):\n    return parcel.mass\n")
    os.utime(folder / "scale.py", (1_700_000_000, 1_700_000_000))  # a file just written is read once more
    with Workspace.open(folder, index_dir=tmp_path / "indexes") as workspace:
        workspace.refresh()
    return folder


# What a process has of numpy: its names, what it computes with them, and whether a docstring was attached.
NUMPY = """
import io, json, pickle
import numpy as np
array = np.arange(6.0).reshape(2, 3)
file = io.BytesIO()
np.save(file, np.array([{"a": 1}], object), allow_pickle=True)
file.seek(0)
import onnxruntime
print(json.dumps({
    "names": [sorted(dir(part)) for part in (np, np.linalg, np.random, np.ndarray, np.dtype, np.float32)],
    "values": [
        pickle.loads(pickle.dumps(array)).tolist(),
        np.load(file, allow_pickle=True).tolist(),
        np.linalg.svd(array)[1].tolist(),
        np.packbits(array > 2).tolist(),
        np.argpartition(array, 1).tolist(),
        (array.astype(np.int8) @ array.T.astype(np.float32)).tolist(),
        np.random.default_rng(7).standard_normal(3).tolist(),
        str(np.dtype("<i4")), repr(np.float32(1.5)), np.finfo(np.float32).eps.item(),
    ],
    "documented": np.ndarray.sort.__doc__ is not None,
}))
"""


def test_numpy_without_its_docstrings_is_numpy_otherwise() -> None:
    plain = json.loads(python(NUMPY))
    hastened = json.loads(python("from modstar_lsp.startup import hasten_numpy; hasten_numpy()" + NUMPY))
    assert plain.pop("documented") and not hastened.pop("documented"), (
        "numpy attaches its docstrings elsewhere"
    )
    assert hastened == plain


def test_finding_nothing_to_refresh_imports_no_numpy(root: Path) -> None:
    program = """
import sys
from pathlib import Path
from modstar_lsp.workspace import Workspace
with Workspace.open(sys.argv[1], index_dir=Path(sys.argv[2])) as workspace:
    assert workspace.refresh().files == 1
print(sorted({"numpy", "tree_sitter", "onnxruntime"} & set(sys.modules)))
"""
    assert python(program, str(root), str(root.parent / "indexes")).strip() == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="there the model is checked every time")
def test_a_model_found_right_is_not_read_through_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "sha256_of", lambda path: pytest.fail(f"{path.name} was checked again"))
    with Workspace.open(root, index_dir=root.parent / "indexes") as workspace:
        workspace.refresh()
        assert workspace.search("weigh a parcel", Options(min_score=0.0)).hits
