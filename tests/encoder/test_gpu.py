"""A GPU encodes many texts where there is one; when it fails one line says so. The card is a stand-in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modstar_lsp.encoder import Encoder, open_bundle
from modstar_lsp.encoder.encoder import FEW_TEXTS, TEXTS_A_CALL, TEXTS_A_CALL_ON_GPU
from modstar_lsp.encoder.gpu import gpu_exit, kept, use
from modstar_lsp.encoder.gpu.providers import PROVIDERS, choose_provider
from modstar_lsp.encoder.runtime import onnxruntime, open_session
from modstar_lsp.errors import ProviderError
from modstar_lsp.workspace import Workspace

ALL = [provider.execution for provider in PROVIDERS]
CUDA, MIGRAPHX, DIRECTML, CORE_ML, OPENVINO, CPU = ALL
NO_DRIVER = "onnxruntime does not start it: its driver or its libraries are missing"
# Here so few are the CPU's that the tests are quick. Texts of many lengths, more than those.
FEW = 8
TEXTS = [f"def read_{n}(path):\n" + f"    total += values[{n}]\n" * (n % 7) for n in range(2 * FEW + 4)]

Run = Callable[[list[np.ndarray], dict[str, np.ndarray]], list[np.ndarray]]


class Card:
    """A stand-in for a graphics card: the CPU runs its graph, and everything it was asked is kept."""

    def __init__(self) -> None:
        self.offered = [CUDA, CPU]
        self.starts = True
        self.tokens = 1 << 30  # more at once do not fit its memory
        self.answer: Run = lambda rows, inputs: rows
        self.opened: list[dict[str, dict[str, str]]] = []
        self.shapes: list[tuple[int, int]] = []

    def open(self, graph: Path | bytes, *, threads: int, optimised: bool, before_cpu: Any) -> Any:
        self.opened.append(before_cpu)
        assert isinstance(graph, bytes) and not optimised
        self.session = session_of(graph)
        return self

    def get_providers(self) -> list[str]:
        return [*(self.opened[-1] if self.starts else []), CPU]

    def get_inputs(self) -> Any:
        return self.session.get_inputs()

    def run(self, names: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.shapes.append(inputs["input_ids"].shape)
        if inputs["input_ids"].size > self.tokens:
            raise RuntimeError("Failed to allocate memory for requested buffer of size 7\nmore of it")
        return self.answer(self.session.run(names, inputs), inputs)


@cache
def session_of(graph: bytes) -> Any:
    return open_session(graph, optimised=False)


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch, cache_folder: Path) -> Card:
    """The card, in a process that keeps its graph where the tests before it did."""
    found = Card()
    monkeypatch.setattr("modstar_lsp.encoder.encoder.FEW_TEXTS", FEW)
    monkeypatch.delenv("MODSTAR_PROVIDER", raising=False)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: found.offered)
    monkeypatch.setattr(gpu_exit, "open_session", found.open)
    keep_in(cache_folder, monkeypatch)
    return found


def keep_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(folder))


@pytest.fixture
def encoder() -> Encoder:
    return Encoder(open_bundle())


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """What the CPU makes of TEXTS."""
    encoder = Encoder(open_bundle())
    assert len(TEXTS) <= FEW_TEXTS
    return encoder.encode(TEXTS, encoder.bundle.exits[-1].depth)


def deepest(encoder: Encoder) -> int:
    return encoder.bundle.exits[-1].depth


def alike(rows: np.ndarray, expected: np.ndarray) -> bool:
    return bool((rows * expected).sum(axis=1).min() > 0.99)


# -- which one


@pytest.mark.parametrize("number", range(len(ALL)))
def test_the_first_of_the_list_that_is_there_is_chosen(card: Card, number: int) -> None:
    card.offered = ALL[number:][::-1]
    provider, notice = choose_provider()
    assert (provider.execution, notice) == (ALL[number], "")


def test_one_that_nobody_knows_leaves_the_cpu(card: Card, encoder: Encoder) -> None:
    card.offered = ["AzureExecutionProvider", CPU]
    assert (encoder.try_provider(), encoder.notice, card.opened) == ("cpu", "", [])


@pytest.mark.parametrize("name", [" DirectML ", "cpu"])
def test_the_environment_names_another(
    card: Card, encoder: Encoder, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    card.offered = [CUDA, DIRECTML, CPU]
    monkeypatch.setenv("MODSTAR_PROVIDER", name)
    assert encoder.try_provider() == name.strip().lower()
    assert [list(options) for options in card.opened] == ([] if name == "cpu" else [[DIRECTML]])
    assert encoder.notice == ""


def test_a_named_one_that_is_not_there_is_told(
    card: Card, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    card.offered = [CPU]
    monkeypatch.setenv("MODSTAR_PROVIDER", "cuda")
    assert encoder.try_provider() == "cpu"
    assert encoder.notice == "MODSTAR_PROVIDER is cuda, and this onnxruntime has cpu: the CPU is used"


def test_a_name_that_there_is_not_is_refused(
    card: Card, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODSTAR_PROVIDER", "gpu")
    with pytest.raises(ProviderError, match=r"must be one of cuda, migraphx, .*, cpu, not 'gpu'"):
        encoder.encode(TEXTS, deepest(encoder))


def test_without_the_extra_nothing_is_asked_of_a_gpu(
    card: Card, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use, "find_spec", lambda name: None)
    assert (encoder.try_provider(), encoder.notice, card.opened) == ("cpu", "", [])


def test_one_that_is_named_without_the_extra_says_what_to_install(
    made: list[Path], encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setenv("MODSTAR_PROVIDER", "cuda")
    assert encoder.try_provider() == "cpu"
    assert 'onnx is missing: pip install "onnx' in encoder.notice


# -- when it is its turn


def test_many_texts_have_the_vectors_of_the_cpu(card: Card, encoder: Encoder, expected: np.ndarray) -> None:
    assert alike(encoder.encode(TEXTS, deepest(encoder)), expected)
    assert [list(options) for options in card.opened] == [[CUDA]]
    assert (encoder.try_provider(), encoder.notice) == ("cuda", "")


def test_a_few_texts_and_other_exits_are_the_cpus(card: Card, encoder: Encoder) -> None:
    encoder.encode(TEXTS[:FEW], deepest(encoder))
    encoder.encode(["a question"], deepest(encoder), "query")
    encoder.encode(TEXTS, 0)
    encoder.encode(TEXTS, encoder.bundle.exits[1].depth)
    assert card.opened == []
    assert encoder.texts_a_call(deepest(encoder), FEW) == TEXTS_A_CALL
    assert encoder.texts_a_call(deepest(encoder), len(TEXTS)) == TEXTS_A_CALL_ON_GPU


def test_an_index_gives_it_large_batches(card: Card, tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    for number in range(TEXTS_A_CALL + FEW):
        (root / f"read_{number}.py").write_text(f"def read_{number}(path):\n    return open(path)\n")
    with Workspace.open(root, index_dir=tmp_path / "indexes") as workspace:
        workspace.refresh()
        done = workspace.deepen(deepest(workspace.encoder))
        assert done == workspace.status().depths[deepest(workspace.encoder)] > TEXTS_A_CALL
    assert max(count for count, _ in card.shapes) > TEXTS_A_CALL


# -- batches


def test_a_batch_has_as_many_tokens_as_it_may(
    card: Card, encoder: Encoder, expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_exit, "TOKENS_AT_ONCE", 256)
    assert alike(encoder.encode(TEXTS, deepest(encoder)), expected)
    assert sum(count for count, _ in card.shapes) == len(TEXTS)
    assert all(128 < count * width <= 256 for count, width in card.shapes[:-1])
    assert all(width % 32 == 0 for _, width in card.shapes)
    assert [width for _, width in card.shapes] == sorted((width for _, width in card.shapes), reverse=True)


def test_a_text_as_long_as_the_window_fits_the_graph(card: Card, encoder: Encoder) -> None:
    rows = encoder.encode(["value = other_value + 1\n" * 400, *TEXTS], deepest(encoder))
    assert card.shapes[0][1] == encoder.bundle.max_tokens and rows[0].any()


def test_memory_that_is_full_halves_the_batch_and_goes_on(
    card: Card, encoder: Encoder, expected: np.ndarray
) -> None:
    card.tokens = 300
    assert alike(encoder.encode(TEXTS, deepest(encoder)), expected)
    assert encoder.notice == ""
    sizes = [count * width for count, width in card.shapes]
    first = next(number for number, size in enumerate(sizes) if size <= 300)
    assert first > 0 and all(size <= 300 for size in sizes[first:])  # once learnt, it is not tried again
    assert all(2 * after <= before for before, after in pairwise(sizes[: first + 1]))


def test_one_text_that_does_not_fit_is_the_cpus(card: Card, encoder: Encoder, expected: np.ndarray) -> None:
    card.tokens = 10
    assert alike(encoder.encode(TEXTS, deepest(encoder)), expected)
    assert encoder.notice.startswith("CUDA fails, the CPU is used: Failed to allocate memory for")


def test_the_memory_that_it_takes_is_capped(card: Card, encoder: Encoder) -> None:
    encoder.encode(TEXTS, deepest(encoder))
    assert 2 << 30 < int(card.opened[0][CUDA]["gpu_mem_limit"]) < 3 << 30


def test_it_can_be_let_go_and_starts_again(card: Card, encoder: Encoder, expected: np.ndarray) -> None:
    encoder.encode(TEXTS, deepest(encoder))
    encoder.release_gpu()
    assert alike(encoder.encode(TEXTS, deepest(encoder)), expected)
    assert len(card.opened) == 2


# -- when it fails


def broken(rows: list[np.ndarray], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    raise RuntimeError("CUDA failure 719: unspecified launch failure ; GPU=0\nmore of it")


FAILURES: dict[str, tuple[dict[str, Any], str]] = {
    "no driver": ({"starts": False}, NO_DRIVER),
    "a run fails": ({"answer": broken}, "CUDA failure 719: unspecified launch failure ; GPU=0"),
    "wrong vectors": ({"answer": lambda rows, _: [-rows[0]]}, "its vectors are not the CPU's (cosine -"),
    "no numbers": ({"answer": lambda rows, _: [rows[0] * np.nan]}, "it gives what is no number"),
}


@pytest.mark.parametrize("what", FAILURES)
def test_one_that_fails_is_told_once_and_the_cpu_goes_on(
    card: Card, encoder: Encoder, expected: np.ndarray, what: str
) -> None:
    changes, told = FAILURES[what]
    for name, value in changes.items():
        setattr(card, name, value)
    for _ in range(2):
        assert alike(encoder.encode(TEXTS, deepest(encoder)), expected)
    assert encoder.notice.startswith(f"CUDA fails, the CPU is used: {told}") and "\n" not in encoder.notice
    assert len(card.opened) == 1
    assert encoder.texts_a_call(deepest(encoder), len(TEXTS)) == TEXTS_A_CALL


# -- the graph that is kept


@pytest.fixture
def made(card: Card, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[Path]]:
    """The graphs that were made, one after the other, in a cache that is empty at first."""
    keep_in(tmp_path / "cache", monkeypatch)
    graphs: list[Path] = []
    make = kept.half_precision

    def making(graph: Path) -> bytes:
        graphs.append(graph)
        return make(graph)

    monkeypatch.setattr(kept, "half_precision", making)
    yield graphs


def graph_files(tmp_path: Path) -> list[Path]:
    return sorted(path for path in (tmp_path / "cache").rglob("graphs/*"))


def test_the_graph_is_made_once_and_kept_for_its_user_alone(made: list[Path], tmp_path: Path) -> None:
    for _ in range(2):
        Encoder(open_bundle()).encode(TEXTS, open_bundle().exits[-1].depth)
    assert [graph.name for graph in made] == [open_bundle().exits[-1].file]
    (file,) = graph_files(tmp_path)
    if os.name == "posix":
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", ["cut short", "one bit", "empty"])
def test_a_kept_graph_that_is_not_whole_is_made_again(
    encoder: Encoder, made: list[Path], tmp_path: Path, damage: str
) -> None:
    encoder.encode(TEXTS, deepest(encoder))
    (file,) = graph_files(tmp_path)
    whole = file.read_bytes()
    flipped = whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]
    file.write_bytes({"cut short": whole[:-100], "one bit": flipped, "empty": b""}[damage])
    again = Encoder(open_bundle())
    again.encode(TEXTS, deepest(again))
    assert again.notice == "" and len(made) == 2
    assert graph_files(tmp_path) == [file] and file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_only_the_making(
    card: Card, encoder: Encoder, expected: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_in(tmp_path / "cache", monkeypatch)
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert alike(encoder.encode(TEXTS, deepest(encoder)), expected)
    assert (len(card.opened), encoder.notice) == (1, "")


# -- whole processes, which believe that they have CUDA

BELIEVE = """
import warnings
warnings.simplefilter("ignore")
import onnxruntime
onnxruntime.get_available_providers = lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
"""


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    project = tmp_path / "project"
    project.mkdir()
    for number in range(FEW_TEXTS + 6):
        (project / f"read_{number}.py").write_text(f"def read_{number}(path):\n    return open(path)\n")
    # What a workspace holds is data.
    (project / ".env").write_text("MODSTAR_PROVIDER=openvino\n")
    (tmp_path / "believe").mkdir()
    (tmp_path / "believe" / "sitecustomize.py").write_text(BELIEVE)
    path = os.pathsep.join([str(tmp_path / "believe"), str(Path(__file__).parents[2])])

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if name != "MODSTAR_PROVIDER"}
        cache = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "LOCALAPPDATA": str(tmp_path / "cache")}
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=project,
            env={**kept, **cache, "PYTHONPATH": path, **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def test_an_index_of_a_card_that_is_none_is_made_and_says_so(
    shell: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    depth = str(open_bundle().exits[-1].depth)
    indexed = shell("modstar_lsp", "index", "--exit", depth, ".")
    told = f"CUDA fails, the CPU is used: {NO_DRIVER}"
    assert (indexed.returncode, indexed.stderr) == (0, f"modstar-index: {told}\n")
    status = shell("modstar_lsp", "status", ".")
    assert f"runs on cpu: {told}\n" in status.stdout and f"{depth} (100%)" in status.stdout
    assert "runs on cpu\n" in shell("modstar_lsp", "status", ".", MODSTAR_PROVIDER="cpu").stdout
    checked = shell("modstar_lsp.server", "--check")
    assert checked.returncode == 0 and checked.stdout.endswith(f"; runs on cpu ({told})\n")


def test_a_wrong_name_is_one_line(shell: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    shell("modstar_lsp", "index", ".")
    refused = shell("modstar_lsp", "status", ".", MODSTAR_PROVIDER="gpu")
    assert (refused.returncode, refused.stdout) == (2, "")
    names = "cuda, migraphx, directml, coreml, openvino, cpu"
    assert refused.stderr == f"modstar-index: MODSTAR_PROVIDER must be one of {names}, not 'gpu'\n"
