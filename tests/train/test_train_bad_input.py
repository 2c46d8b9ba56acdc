"""A bad corpus, configuration, checkpoint or disk costs a run one line, and nothing that was there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from modstar_lsp.encoder import open_bundle
from tests.train.foreign import save_bert
from tests.train.test_adapt import lay_out as lay_out_repository
from tests.train.test_command import lay_out
from train import adapt
from train.__main__ import main

STOPPED = 3


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """(a folder with tokenizer, exit 0 and configuration, `fit` without --init and --out)."""
    root = tmp_path_factory.mktemp("prepared")
    corpus, _, config = lay_out(root)
    data = ["--data", str(corpus)]
    assert main(["tokenizer", *data, "--size", "300", "--out", str(root / "tokenizer")]) == 0
    told = ["--config", str(config), "--tokenizer", str(root / "tokenizer"), "--variants", "1"]
    assert main(["exit0", *data, *told, "--out", str(root / "exit0")]) == 0
    return root, ["fit", *data, "--config", str(config)]


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    told = capsys.readouterr().err
    assert told.startswith("train: ") and told.count("\n") == 1, told
    return told


def changed(root: Path, out: Path, **sections: dict[str, Any]) -> str:
    """Another configuration, some settings of some sections changed."""
    told = json.loads((root / "mini.json").read_text(encoding="utf-8"))
    for name, values in sections.items():
        told[name] = told.get(name, {}) | values
    path = out / "changed.json"
    path.write_text(json.dumps(told), encoding="utf-8")
    return str(path)


def test_a_corpus_of_odd_lines_is_read_for_what_it_has(
    prepared: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(prepared[0] / "corpus", corpus)
    rows = [
        {"text": "", "code": "x = 1", "lang": "python"},
        {"text": "nothing below", "code": " \n", "lang": "python"},
        {"text": "a language that nobody knows", "code": "qapla' {}", "lang": "klingon"},
        {"text": "no language at all", "code": "x = 2"},
        {"text": "a language of the wrong kind", "code": "x = 3", "lang": 7},
        {"text": ["a list"], "code": "x = 4", "lang": "python"},
        {"text": "日本語の説明だけがある", "code": "x = 5", "lang": "python"},
        {"text": "a lone half \ud800", "code": "x = '\ud800'", "lang": "python"},
    ]
    odd = "\n".join(["", "{", "null", "[]", *map(json.dumps, rows)]).encode()
    (corpus / "odd.jsonl").write_bytes(odd + b'\n{"text": "cut \xff short')
    fit = ["fit", "--data", str(corpus), *prepared[1][3:], "--init", str(prepared[0] / "exit0")]
    assert main([*fit, "--out", str(tmp_path / "fit")]) == 0
    shown = capsys.readouterr()
    assert "136 pairs from 2 files" in shown.out and "broken lines" in shown.out
    assert not shown.err


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model": {"num_attention_heads": 5}}, "no multiple of num_attention_heads 5"),
        ({"model": {"exit_layers": [0, 9]}}, "must lie in 0..2"),
        ({"model": {"hiden_size": 64}}, "unknown setting 'hiden_size'"),
        ({"fit": {"batch": 0}}, "batch 0 must be more than 0"),
        ({"fit": {"steps": -1}}, "steps -1 must be more than 0"),
        ({"fit": {"slice_tokens": 0}}, "slice_tokens 0 must be more than 0"),
        ({"fit": {"code_tokens": 4096}}, "texts of 4096 tokens in a model of 128 positions"),
        ({"fit": {"exit_weights": [1.0]}}, "1 exit_weights for the exits [0, 1, 2]"),
        ({"fit": {"schedule": "linear"}}, "schedule 'linear' is none of"),
        ({"fit": {"lr": "fast"}}, "lr is"),
    ],
)
def test_an_impossible_configuration_is_one_line(
    prepared: tuple[Path, list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    wrong: dict[str, dict[str, Any]],
    message: str,
) -> None:
    config = changed(prepared[0], tmp_path, **wrong)
    told = [*prepared[1], "--config", config, "--tokenizer", str(prepared[0] / "tokenizer")]
    assert main([*told, "--out", str(tmp_path / "fit")]) == 2
    assert message in one_line(capsys)


def test_what_is_of_another_architecture_is_one_line_and_stays(
    prepared: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, fit = prepared
    save_bert(tmp_path / "bert")
    out = ["--out", str(tmp_path / "fit")]
    assert main([*fit, "--init", str(tmp_path / "bert"), *out]) == 2
    assert "a BertModel, not a ModularStarEncoder" in one_line(capsys)
    (tmp_path / "gpt").mkdir()
    (tmp_path / "gpt" / "config.json").write_text('{"model_type": "gpt2"}')
    assert main([*fit, "--init", str(root / "exit0"), "--backbone", str(tmp_path / "gpt"), *out]) == 2
    assert "a 'gpt2'; what can be wrapped is one of" in one_line(capsys)

    assert main([*fit, "--init", str(root / "exit0"), "--minutes", "1e-9", *out]) == STOPPED
    capsys.readouterr()
    state = state_of(tmp_path / "fit")
    wider = changed(root, tmp_path, model={"intermediate_size": 96})
    assert main([*fit, "--init", str(root / "exit0"), "--config", wider, *out]) == 2
    assert "not a state of this run" in one_line(capsys)
    assert state_of(tmp_path / "fit") == state
    for name in state[1]:
        damaged = Path(shutil.copytree(tmp_path / "fit", tmp_path / "damaged", dirs_exist_ok=True))
        file = damaged / "run" / state[0] / name
        file.write_bytes(file.read_bytes()[: len(state[1][name]) // 2])
        status = main([*fit, "--init", str(root / "exit0"), "--out", str(damaged)])
        if name.startswith("random_states"):  # nothing is drawn from them
            capsys.readouterr()
            shutil.rmtree(damaged)
            continue
        assert status == 2 and "not a state of this run" in one_line(capsys), name


@pytest.mark.parametrize("rows", [1, 3])
def test_a_corpus_about_one_thing_is_one_line(
    prepared: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: int
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    lines = [json.dumps({"text": "the same", "code": f"x = {i}", "lang": "python"}) for i in range(rows)]
    (corpus / "pairs.jsonl").write_text("\n".join(lines), encoding="utf-8")
    told = ["--data", str(corpus), *prepared[1][3:], "--init", str(prepared[0] / "exit0")]
    assert main(["fit", *told, "--out", str(tmp_path / "fit")]) == 2
    assert f"{rows} pairs to train on, about 1 thing" in one_line(capsys)


def test_a_run_that_goes_on_says_what_it_was_told_differently(
    prepared: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, fit = prepared
    told = [*fit, "--init", str(root / "exit0"), "--out", str(tmp_path / "fit")]
    assert main([*told, "--minutes", "1e-9"]) == STOPPED
    assert main([*told, "--minutes", "1e-9"]) == STOPPED  # the same, but for when it stops
    assert not capsys.readouterr().err
    slower = changed(root, tmp_path, fit={"lr": 0.001}, augmentation={"rename": 0.9})
    assert main([*told, "--config", slower, "--minutes", "1e-9"]) == STOPPED
    said = one_line(capsys)
    assert "goes on from step 2 with augmentation.rename 0.9, was" in said and "lr 0.001, was 0.003" in said
    more = tmp_path / "corpus"
    shutil.copytree(root / "corpus", more)
    (more / "more.jsonl").write_text('{"text": "one more", "code": "x = 1", "lang": "python"}\n')
    assert main(["fit", "--data", str(more), *told[3:], "--config", slower]) == 0
    said = one_line(capsys)
    assert "from step 3 with other data" in said and "lr" not in said


def state_of(out: Path) -> tuple[str, dict[str, bytes]]:
    """(name, files) of the one state of a run."""
    (state,) = (out / "run").glob("state-*")
    return state.name, {file.name: file.read_bytes() for file in sorted(state.iterdir())}


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes, as on a disk that is full."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(os.name == "nt", reason="limits of files are a POSIX affair")
def test_a_full_disk_is_one_line_and_the_run_goes_on_where_it_was(
    prepared: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = [*prepared[1], "--init", str(prepared[0] / "exit0"), "--out", str(tmp_path / "fit")]
    assert main([*fit, "--minutes", "1e-9"]) == STOPPED
    capsys.readouterr()
    before = state_of(tmp_path / "fit")
    with largest_file(20_000):
        assert main([*fit, "--minutes", "1e-9"]) == 2
    assert "not written" in one_line(capsys)
    assert state_of(tmp_path / "fit") == before and not list((tmp_path / "fit" / "run").glob("new-*"))
    assert main(fit) == 0
    whole = [*prepared[1], "--init", str(prepared[0] / "exit0"), "--out", str(tmp_path / "whole")]
    assert main(whole) == 0
    ours, theirs = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("fit", "whole"))
    assert ours == theirs


def test_a_bundle_of_another_version_is_not_adapted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = Path(shutil.copytree(open_bundle(None).folder, tmp_path / "bundle"))
    manifest = json.loads((bundle / "modstar.json").read_text(encoding="utf-8"))
    (bundle / "modstar.json").write_text(json.dumps(manifest | {"format": 99}), encoding="utf-8")
    (tmp_path / "house").mkdir()
    tree = lay_out_repository(tmp_path / "house")
    told = [str(tree), "--bundle", str(bundle), "--out", str(tmp_path / "new")]
    assert adapt.main(told) == 2
    error = capsys.readouterr().err
    assert error.startswith("train.adapt: ") and "format" in error and error.count("\n") == 1
    assert not (tmp_path / "new").exists()
