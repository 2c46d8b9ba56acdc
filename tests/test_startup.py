"""What makes a process start sooner changes nothing that it does."""

from __future__ import annotations

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


def test_what_numpy_puts_off_is_there_when_it_is_asked_for() -> None:
    program = """
from modstar_lsp import startup
startup.hasten_numpy()
import numpy as np
import io, pickle, platform
from pickle import Pickler
array = np.arange(6.0).reshape(2, 3)
assert np.array_equal(pickle.loads(pickle.dumps(array)), array)
file = io.BytesIO()
np.save(file, np.array([{"a": 1}], object), allow_pickle=True)
file.seek(0)
assert np.load(file, allow_pickle=True)[0] == {"a": 1}
assert np.allclose(np.linalg.svd(array)[1] ** 2, np.linalg.eigvalsh(array @ array.T)[::-1])
assert platform.system() and issubclass(Pickler, object)
import onnxruntime, tokenizers
"""
    python(program)


def test_finding_nothing_to_refresh_imports_no_numpy(root: Path) -> None:
    program = """
import sys
from pathlib import Path
from modstar_lsp.workspace import Workspace
with Workspace.open(sys.argv[1], index_dir=Path(sys.argv[2])) as workspace:
    assert workspace.refresh().files == 1
print(sorted({"numpy", "hashlib", "tree_sitter", "onnxruntime"} & set(sys.modules)))
"""
    assert python(program, str(root), str(root.parent / "indexes")).strip() == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="there the model is checked every time")
def test_a_model_found_right_is_not_read_through_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "_sha256", lambda path: pytest.fail(f"{path.name} was checked again"))
    with Workspace.open(root, index_dir=root.parent / "indexes") as workspace:
        workspace.refresh()
        assert workspace.search("weigh a parcel", Options(min_score=0.0)).hits
