"""One command asks a published set of BM25, a bundle and a checkpoint, and writes what came of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench import published
from bench.baselines import CheckpointEncoder
from tests.evaluation.test_published_sets import authors, beir, big_clone_bench, graphcodebert, write
from tests.export.tiny_checkpoint import make_checkpoint
from tests.train.foreign import save_published
from train.wrap import wrap

SOURCE = "def parse_json(text):\n    return loads(text)\n\ndef open_window(title): show(title)\n"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("model") / "checkpoint", SOURCE, residual=True)


def asked(*argv: str | Path, out: Path) -> dict[str, object]:
    """What a run writes."""
    assert published.main([*map(str, argv), "--out", str(out)]) == 0
    (written,) = out.glob("*.json")
    return json.loads(written.read_text("utf-8"))


def test_every_language_is_asked_and_their_mean_told(tmp_path: Path) -> None:
    authors(tmp_path / "csn")
    graphcodebert(tmp_path / "other")
    (tmp_path / "other/python").rename(tmp_path / "csn/go")
    found = asked("codesearchnet", tmp_path / "csn", out=tmp_path / "out")["results"]["sets"]  # type: ignore
    assert set(found) == {"codesearchnet python", "codesearchnet go", "mean"}
    each = [found[name]["BM25"]["MRR"] for name in ("codesearchnet python", "codesearchnet go")]
    assert found["mean"]["BM25"]["MRR"] == pytest.approx(sum(each) / 2, abs=1e-4)


def test_a_bundle_and_its_checkpoint_are_asked_at_every_exit(checkpoint: Path, tmp_path: Path) -> None:
    beir(tmp_path / "task")
    options = ["--bundle", "default", "--exits", "0", "--code-asks"]
    record = asked("coir", tmp_path / "task", *options, out=tmp_path / "a")
    assert list(record["results"]["sets"]["task"]) == ["BM25", "exit 0"]  # type: ignore[index]
    assert record["bundle"] and "task/corpus.jsonl" in record["inputs"]  # type: ignore[operator]
    record = asked("coir", tmp_path / "task", "--checkpoint", checkpoint, out=tmp_path / "b")
    assert len(record["results"]["sets"]["task"]) >= 3  # type: ignore[index]
    assert str(tmp_path) not in json.dumps(record)


def test_pairs_are_told_by_a_cosine(checkpoint: Path, tmp_path: Path) -> None:
    big_clone_bench(tmp_path / "pairs")
    record = asked(
        "bigclonebench", tmp_path / "pairs", "--checkpoint", checkpoint, "--exits", "0", out=tmp_path / "out"
    )
    (found,) = record["results"]["pairs"].values()  # type: ignore[attr-defined]
    assert set(found) == {"f1", "precision", "recall"}


def test_the_published_prompts_stand_before_questions_and_code_with_its_language(tmp_path: Path) -> None:
    save_published(tmp_path / "hub")
    wrap(tmp_path / "hub", tmp_path / "checkpoint")
    encoder = CheckpointEncoder(tmp_path / "checkpoint", 64)
    plain, python = (encoder.reading(language) for language in ("", "python"))
    depth = encoder.depths[-1]
    asked, held, of_python = (
        one.encode([SOURCE], depth, role)  # type: ignore[arg-type]
        for one, role in ((plain, "query"), (plain, "code"), (python, "code"))
    )
    assert not np.allclose(asked, held) and not np.allclose(held, of_python)
    assert plain.digest != python.digest
    assert np.allclose(python.encode([SOURCE], depth, "query"), asked)


def test_a_sample_keeps_all_documents(tmp_path: Path) -> None:
    rows = [{"docstring": f"number {at}", "code": f"def f{at}(): pass"} for at in range(20)]
    write(tmp_path / "test.jsonl", rows)
    whole = published.load_advtest(tmp_path)
    some = published.sampled(whole, 5)
    assert len(some.queries) == 5 and some.documents == whole.documents
    for text, answer in zip(some.queries, some.relevant, strict=True):
        assert some.documents[next(iter(answer))] == f"def f{text.split()[1]}(): pass"
    assert published.sampled(whole, 0) is whole is published.sampled(whole, 20)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["codesearchnet", "nowhere"], "no CodeSearchNet at nowhere"),
        (["codesearchnet", ".", "--languages", "cobol"], "no 'cobol'"),
        (["advtest", "nowhere"], "test.jsonl is missing"),
        (["coir", "nowhere"], "no set at nowhere"),
        (["bigclonebench", "nowhere"], "data.jsonl is missing"),
    ],
)
def test_what_is_not_there_is_one_line_and_status_2(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert published.main(argv) == 2
    told = capsys.readouterr().err
    assert message in told and len(told.splitlines()) == 1


def test_pairs_need_vectors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert published.main(["bigclonebench", str(big_clone_bench(tmp_path))]) == 2
    assert "give --bundle, --checkpoint or --baseline" in capsys.readouterr().err
