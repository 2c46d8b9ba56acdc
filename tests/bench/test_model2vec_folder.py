"""The folder for peers holds exit 0's own table in the three files that model2vec reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.model2vec_folder import main
from bundle.manifest import write_manifest
from model.tokenizer import empty_tokenizer
from tests.encoder.random_bundle import DIMENSION, PIECES, make_bundle

safetensors = pytest.importorskip("safetensors.numpy")


def with_tokenizer(folder: Path) -> Path:
    make_bundle(folder)
    manifest = json.loads((folder / "modstar.json").read_text())
    del manifest["files"], manifest["format"]
    empty_tokenizer({piece: number for number, piece in enumerate(PIECES)}).save(
        str(folder / "tokenizer.json")
    )
    write_manifest(folder, {**manifest, "tokenizer": "tokenizer.json"})
    return folder


def test_the_table_is_written_as_model2vec_reads_it(tmp_path: Path) -> None:
    folder = with_tokenizer(tmp_path / "bundle")
    assert main([str(folder), str(tmp_path / "out")]) == 0
    table = safetensors.load_file(tmp_path / "out" / "model.safetensors")["embeddings"]
    assert table.shape == (len(PIECES), DIMENSION) and table.dtype == np.float32
    rows, scales = np.load(folder / "static.npy"), np.load(folder / "static-scales.npy")
    np.testing.assert_array_equal(table, rows * scales[:, None])
    assert json.loads((tmp_path / "out" / "config.json").read_text())["normalize"] is True
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


def test_no_bundle_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
