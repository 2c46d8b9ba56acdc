"""What is exported is the checkpoint: every exit against torch, weights shared, and failures in one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from export import validate
from export.__main__ import main
from export.bundle import check_bundle
from export.checkpoint import load_checkpoint
from export.validate import fidelity, torch_encoder
from modstar_lsp.encoder import Encoder, open_bundle
from modstar_lsp.encoder.gpu.gpu_exit import GpuExit
from modstar_lsp.encoder.gpu.providers import ON_CPU
from modstar_lsp.encoder.graph import GraphExit
from modstar_lsp.errors import BundleError, QueryError
from tests.export.tiny_checkpoint import EXITS, Exported, make_checkpoint

TEXTS = [
    "def parse_json(path):\n    return json.load(open(path))",
    "class HTTPAdapter: pass  # naïve <mask> 日本 \U0001f600",
    "retry failed uploads",
    "x",
    "for i in range(10): total += values[i] ** 2\n" * 40,  # longer than the window
]


def one_line_error(capsys: pytest.CaptureFixture[str]) -> str:
    error = capsys.readouterr().err
    assert error.startswith("export: ") and error.count("\n") == 1, error
    return error


@pytest.mark.parametrize("depth", EXITS)
def test_every_exit_gives_the_vectors_of_torch(exported: Exported, depth: int) -> None:
    expected = torch_encoder(load_checkpoint(exported.checkpoint), depth, max_tokens=128)(TEXTS)
    rows = Encoder(open_bundle(exported.bundle)).encode(TEXTS, depth)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-6)
    assert (rows * expected).sum(axis=1).min() > (0.9999 if depth == 0 else 0.995)


def test_the_fp16_graph_gives_the_vectors_of_torch(exported: Exported) -> None:
    bundle = open_bundle(exported.bundle)
    assert bundle.gpu is not None and bundle.gpu.depth == EXITS[-1]
    expected = torch_encoder(load_checkpoint(exported.checkpoint), EXITS[-1], max_tokens=128)(TEXTS)
    rows = GraphExit(bundle, bundle.gpu).encode(TEXTS)
    assert (rows * expected).sum(axis=1).min() > 0.9999


@pytest.mark.parametrize("depth", EXITS)
def test_a_row_does_not_depend_on_its_company(exported: Exported, depth: int) -> None:
    encoder = Encoder(open_bundle(exported.bundle))
    together = encoder.encode([*TEXTS, "", *TEXTS[::-1]], depth)
    alone = np.vstack([encoder.encode([text], depth) for text in TEXTS])
    assert np.array_equal(together[: len(TEXTS)], alone)
    assert np.array_equal(together[len(TEXTS) + 1 :], alone[::-1])


@pytest.mark.parametrize("depth", EXITS)
def test_odd_texts_are_encoded_without_a_word(exported: Exported, depth: int) -> None:
    encoder = Encoder(open_bundle(exported.bundle))
    rows = encoder.encode(["", "  \n", "\ud800 parse", "parse\0json", "json " * 250_000], depth)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [0, 0, 1, 1, 1], atol=1e-6)
    assert encoder.encode([], depth).shape == (0, encoder.bundle.dimension)


@pytest.mark.parametrize("depth", EXITS)
def test_an_index_may_keep_the_first_values_of_a_row(exported: Exported, depth: int) -> None:
    bundle = open_bundle(exported.bundle)._replace(indexed=16)
    for role in ("code", "query"):
        rows = Encoder(bundle).encode(["", *TEXTS], depth, role)
        whole = Encoder(bundle, dimension=bundle.dimension).encode(["", *TEXTS], depth, role)
        assert rows.shape == (len(TEXTS) + 1, 16) and whole.shape[1] == bundle.dimension
        lengths = np.linalg.norm(whole[1:, :16], axis=1, keepdims=True)
        np.testing.assert_allclose(rows[1:], whole[1:, :16] / lengths, atol=1e-6)
        assert not rows[0].any()


def test_a_batch_as_on_a_gpu_is_padded_without_a_trace(exported: Exported) -> None:
    bundle = open_bundle(exported.bundle)
    assert bundle.gpu is not None
    alone = GraphExit(bundle, bundle.gpu).encode(TEXTS)
    np.testing.assert_allclose(GpuExit(bundle, ON_CPU).encode(TEXTS), alone, atol=3e-3)


def test_the_prompt_of_a_role_goes_before_the_text(exported: Exported, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported.bundle, tmp_path / "bundle"))
    manifest = json.loads((folder / "modstar.json").read_text())
    manifest["prompts"]["query"] = "find code: "
    (folder / "modstar.json").write_text(json.dumps(manifest))
    plain, prompted = Encoder(open_bundle(exported.bundle)), Encoder(open_bundle(folder))
    asked = prompted.encode(["parse json"], 3, "query")
    assert np.array_equal(asked, plain.encode(["find code: parse json"], 3))
    assert np.array_equal(prompted.encode(["parse json"], 3), plain.encode(["parse json"], 3))
    assert prompted.bundle.digest != plain.bundle.digest


def test_an_exit_that_the_bundle_lacks_is_named_with_those_it_has(exported: Exported) -> None:
    with pytest.raises(QueryError, match="no exit 2; choose one of 0, 1, 3"):
        Encoder(open_bundle(exported.bundle)).encode(["x"], 2)


def test_what_an_index_keeps_is_said_when_exporting(exported: Exported, tmp_path: Path) -> None:
    arguments = [str(exported.checkpoint), str(tmp_path / "bundle"), "--validate", str(exported.texts)]
    assert main([*arguments, "--exits", "0", "--indexed", "16"]) == 0
    bundle = open_bundle(tmp_path / "bundle")
    assert (bundle.indexed, bundle.dimension) == (16, 48)
    assert "dimension 48 (16 indexed)" in check_bundle(tmp_path / "bundle")


def test_two_exits_cost_the_weights_of_one(exported: Exported, tmp_path: Path) -> None:
    deepest = tmp_path / "deepest"
    arguments = [str(exported.checkpoint), str(deepest), "--validate", str(exported.texts), "--no-fp16"]
    assert main([*arguments, "--exits", "0,3"]) == 0
    assert not open_bundle(deepest).gpu
    both = (exported.bundle / "weights.bin").stat().st_size
    alone = (deepest / "weights.bin").stat().st_size
    head = 48 * 64 * 4  # each exit keeps a projection of its own, in float32
    assert alone < both < alone + head + 3 * 4096
    graph = onnx.load(exported.bundle / "exit-3.onnx", load_external_data=False)
    inside = sum(len(tensor.raw_data) for tensor in graph.graph.initializer)
    assert inside < 20_000, "weights stayed in the graph"


def test_graphs_use_the_fused_operators_and_int8_products(exported: Exported) -> None:
    graph = onnx.load(exported.bundle / "exit-3.onnx", load_external_data=False)
    used = [node.op_type for node in graph.graph.node]
    assert used.count("MultiHeadAttention") == 3
    assert used.count("FastGelu") == 2 * 3  # the loud neurons of each layer have one of their own
    assert used.count("RotaryEmbedding") == 6
    assert used.count("DynamicQuantizeMatMul") == 3 * 4  # four a layer; the head stays as it is
    assert str(exported.checkpoint.parent).encode() not in (exported.bundle / "exit-3.onnx").read_bytes()


def test_the_manifest_says_how_faithful_each_graph_is_and_what_made_it(exported: Exported) -> None:
    bundle = open_bundle(exported.bundle)
    assert set(bundle.validation["exits"]) == {"0", "1", "3", "3-fp16"}
    gate = validate.GATES[bundle.validation["fidelity"]]
    for figures in bundle.validation["exits"].values():
        assert figures["min_cosine"] >= gate.min_cosine
        assert figures["recall_at_10_overlap"] >= gate.overlap
    assert {"torch", "onnxruntime", "onnx", "optimum-onnx"} <= set(bundle.validation["tools"])
    assert len(bundle.provenance["checkpoint_sha256"]) == 64
    assert check_bundle(exported.bundle).startswith("tiny ")


def test_check_accepts_a_whole_bundle_and_names_a_damaged_file(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check", str(exported.bundle)]) == 0
    folder = Path(shutil.copytree(exported.bundle, tmp_path / "bundle"))
    weights = bytearray((folder / "weights.bin").read_bytes())
    weights[1000] ^= 255
    (folder / "weights.bin").write_bytes(weights)
    capsys.readouterr()
    assert main(["--check", str(folder)]) == 2
    assert "weights.bin was altered" in one_line_error(capsys)
    assert Encoder(open_bundle(folder)).encode(["parse"], 0).any(), "exit 0 does not read that file"
    with pytest.raises(BundleError, match=r"weights\.bin was altered"):
        Encoder(open_bundle(folder)).encode(["parse"], 3)


def test_a_graph_that_onnxruntime_refuses_is_one_line(exported: Exported, tmp_path: Path) -> None:
    from bundle.manifest import write_manifest

    folder = Path(shutil.copytree(exported.bundle, tmp_path / "bundle"))
    manifest = json.loads((folder / "modstar.json").read_text())
    (folder / "exit-3.onnx").write_bytes(b"no graph")
    del manifest["files"], manifest["format"]
    write_manifest(folder, manifest)
    with pytest.raises(BundleError, match=r"refuses exit-3\.onnx") as caught:
        Encoder(open_bundle(folder)).encode(["parse"], 3)
    assert "\n" not in str(caught.value)


def test_an_unfaithful_exit_stops_the_export_and_leaves_nothing(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(validate.GATES, "strict", validate.Gate(1.1, 1.1, 1.1))
    target = tmp_path / "new" / "bundle"
    assert (
        main([str(exported.checkpoint), str(target), "--exits", "0", "--validate", str(exported.texts)]) == 2
    )
    error = one_line_error(capsys)
    assert "exit 0 in int8 is not faithful: cosine" in error and "--fidelity foreign would" in error
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("worse", "message"),
    [
        ({"min_cosine": 0.98}, "cosine 0.9800 to torch, below 0.99; --fidelity foreign"),
        ({"mean_cosine": 0.99}, "cosine 0.9900 to torch, below 0.995; --fidelity foreign"),
        ({"recall_at_10_overlap": 0.92}, "shares 92.0% of torch's first 10, below 95%; --fidelity foreign"),
        ({"min_cosine": 0.6}, "below 0.99$"),  # nothing would let it pass
        ({"min_cosine": float("nan")}, "cosine nan"),
    ],
)
def test_our_own_models_are_held_to_more_than_those_of_others(worse: dict[str, float], message: str) -> None:
    shipped = validate.Fidelity(0.9953, 0.9983, 0.02, 0.971, 400, 100)
    shipped.check("exit 6", "strict")
    with pytest.raises(validate.ExportError, match=message):
        replace(shipped, **worse).check("exit 6", "strict")


def test_fidelity_sees_other_neighbours_where_cosines_look_well() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=64)
    near = {str(n): base + 0.02 * rng.normal(size=64) for n in range(100)}
    other = {key: row + 0.02 * rng.normal(size=64) for key, row in near.items()}

    def rows(of: dict[str, np.ndarray]) -> validate.Rows:
        unit = np.stack([row / np.linalg.norm(row) for row in of.values()]).astype(np.float32)
        return validate.Rows(unit, unit)

    found = fidelity(rows(near), rows(other))
    assert found.min_cosine > 0.99 and found.recall_at_10_overlap < 0.9
    with pytest.raises(validate.ExportError, match="of torch's first 10"):
        found.check("exit 2", "foreign")


def test_an_existing_bundle_is_replaced_only_by_force(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "bundle"
    arguments = [str(exported.checkpoint), str(target), "--exits", "0", "--validate", str(exported.texts)]
    assert main(arguments) == 0
    before = (target / "modstar.json").read_bytes()
    capsys.readouterr()
    assert main([*arguments, "--name", "second"]) == 2
    assert "--force" in one_line_error(capsys)
    assert (target / "modstar.json").read_bytes() == before
    assert main([*arguments, "--name", "second", "--force"]) == 0
    assert open_bundle(target).name == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_force_does_not_replace_what_is_no_bundle(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert main([str(exported.checkpoint), str(tmp_path), "--force"]) == 2
    assert "is no bundle" in one_line_error(capsys)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: shutil.rmtree(folder), "no checkpoint folder"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors is missing"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json is missing"),
        (lambda folder: (folder / "config.json").write_text("{"), "not valid JSON"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "bert"}'), "holds a 'bert'"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "cannot be loaded"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 99), "cannot be loaded"),
        (lambda folder: change_config(folder, hidden_size=128), "cannot be loaded"),
        (lambda folder: change_config(folder, exit_layers=[0, 1, 2, 3]), "missing keys"),
        (lambda folder: change_config(folder, num_attention_heads=5), "cannot be loaded"),
        (lambda folder: change_config(folder, exit0_tf="cube"), "cannot be loaded"),
    ],
)
def test_a_checkpoint_that_is_none_is_one_line(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: object, message: str
) -> None:
    folder = Path(shutil.copytree(exported.checkpoint, tmp_path / "checkpoint"))
    damage(folder)  # type: ignore[operator]
    assert main([str(folder), str(tmp_path / "bundle")]) == 2
    assert message in one_line_error(capsys)
    assert not (tmp_path / "bundle").exists()


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--exits", "0,2"], "has no exit 2; it has 0, 1, 3"),
        (["--exits", "1"], "needs exit 0"),
        (["--indexed", "4096"], "--indexed 4096: a row has 48 values"),
        (["--validate", "nowhere.txt"], "cannot read the validation texts"),
    ],
)
def test_an_option_that_makes_no_sense_is_one_line(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str], message: str
) -> None:
    assert main([str(exported.checkpoint), str(tmp_path / "bundle"), *option]) == 2
    assert message in one_line_error(capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["x"], ["x", "y", "--check", "z"], ["x", "y", "--exits", "two"]])
def test_a_wrong_command_line_shows_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2 and "usage:" in capsys.readouterr().err


def test_a_full_disk_is_one_line_and_leaves_nothing(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bundle.static.np.save", full)
    assert main([str(exported.checkpoint), str(tmp_path / "bundle"), "--exits", "0"]) == 2
    assert "No space left on device" in one_line_error(capsys)
    assert list(tmp_path.iterdir()) == []


def test_equal_key_and_query_heads_and_a_long_window_export_too(tmp_path: Path, source_text: str) -> None:
    checkpoint = make_checkpoint(
        tmp_path / "checkpoint",
        source_text,
        num_key_value_heads=4,
        exit_layers=(0, 2),
        max_position_embeddings=2048,
    )
    (tmp_path / "texts").write_text(source_text)
    options = ["--no-fp16", "--validate", str(tmp_path / "texts"), "--max-tokens", "1024"]
    assert main([str(checkpoint), str(tmp_path / "bundle"), *options]) == 0
    assert open_bundle(tmp_path / "bundle").max_tokens == 1024


def test_deeper_exits_run_without_torch_and_without_the_package_of_tokenizers(exported: Exported) -> None:
    program = (
        "import sys; from pathlib import Path; from modstar_lsp.encoder import Encoder, open_bundle;"
        f"encoder = Encoder(open_bundle(Path({str(exported.bundle)!r})));"
        "encoder.encode(['parse json']); early = {'onnxruntime', 'tokenizers'} & set(sys.modules);"
        "vector = encoder.encode(['parse json'], 3);"
        "heavy = early | {'torch', 'transformers', 'onnx', 'optimum', 'tokenizers'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy or not vector.any() else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
