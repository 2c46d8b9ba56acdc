"""`python -m train`: all the way from pairs to a scored checkpoint, and one line for each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoModel

from bench import ablation_picture
from train.__main__ import main
from train.record import write_record

WORDS = ["open", "close", "sort", "find", "sum", "list", "file", "user", "date", "page", "tree", "node"]


def lay_out(root: Path) -> tuple[Path, Path, Path]:
    """(corpus, evaluation sets, configuration) in miniature."""
    corpus, sets = root / "corpus", root / "eval" / "odex_en"
    corpus.mkdir()
    sets.mkdir(parents=True)
    rows = [
        {
            "text": f"{a} the {b}",
            "code": f"def {a}_{b}(x):\n    return {b}.{a}(x)",
            "lang": "python",
            "name": f"{a}_{b}",
            "path": f"src/{b}.py",
            "src": f"own{len(a)}+{b}",
        }
        for a in WORDS
        for b in WORDS
        if a != b
    ]
    (corpus / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\nbroken\n", encoding="utf-8")
    queries = [{"id": f"q{i}", "text": row["text"], "lang": "python"} for i, row in enumerate(rows[:20])]
    documents = [{"id": f"d{i}", "code": row["code"], "lang": "python"} for i, row in enumerate(rows[:20])]
    (sets / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)), encoding="utf-8")
    (sets / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)), encoding="utf-8")
    qrels = ["query-id\tcorpus-id\tscore", *(f"q{i}\td{i}\t1" for i in range(20))]
    (sets / "qrels.tsv").write_text("\n".join(qrels), encoding="utf-8")
    config = root / "mini.json"
    mini = json.loads((Path(__file__).parents[2] / "train/configs/tiny.json").read_text(encoding="utf-8"))
    mini["fit"] |= {"steps": 4, "evaluate_steps": 2}
    config.write_text(json.dumps(mini), encoding="utf-8")
    return corpus, root / "eval", config


def test_the_whole_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, sets, config = lay_out(tmp_path)
    data = ["--data", str(corpus)]
    out = {stage: str(tmp_path / stage) for stage in ("tokenizer", "exit0", "fit")}
    assert main(["tokenizer", *data, "--size", "300", "--out", out["tokenizer"]]) == 0
    told = ["--config", str(config), "--eval", str(sets)]
    assert (
        main(
            ["exit0", *data, *told, "--tokenizer", out["tokenizer"], "--variants", "1", "--out", out["exit0"]]
        )
        == 0
    )
    assert main(["fit", *data, *told, "--init", out["exit0"], "--out", out["fit"], "--minutes", "1e-9"]) == 3
    assert main(["fit", *data, *told, "--init", out["exit0"], "--out", out["fit"]]) == 0
    assert "1 broken lines" in capsys.readouterr().out
    model = AutoModel.from_pretrained(out["fit"])
    assert model.depths == [0, 1, 2] and model.config.training["fit"]["steps"] == 4

    scores = tmp_path / "scores.json"
    told = ["--checkpoint", out["fit"], "--eval", str(sets), "--cross", "--out", str(scores)]
    assert main(["evaluate", *told]) == 0
    shown = capsys.readouterr().out
    assert "| odex_en |" in shown and "ahead of BM25" in shown and "| query \\ code |" in shown
    rows = {"BM25", "exit 0", "exit 2 + BM25", "exit 1 int8", "exit 2 at 16", "2 asks 0", "50% at 2"}
    assert set(json.loads(scores.read_text())) >= rows

    hard, picture = str(tmp_path / "hard.npz"), tmp_path / "curve.svg"
    assert main(["mine", *data, "--checkpoint", out["exit0"], "--out", hard]) == 0
    assert "hard negatives for" in capsys.readouterr().out
    again = ["fit", *data, "--config", str(config), "--init", out["fit"], "--hard", hard]
    assert main([*again, "--out", str(tmp_path / "more")]) == 0
    assert main(["curve", out["fit"], str(tmp_path / "more"), "--out", str(picture)]) == 0
    assert picture.read_text(encoding="utf-8").startswith("<?xml")
    assert list((tmp_path / "more" / "run" / "tensorboard").glob("events*"))


def test_the_ablation_runs_each_row_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, sets, config = lay_out(tmp_path)
    tokenizer, out = str(tmp_path / "tokenizer"), tmp_path / "ablation"
    assert main(["tokenizer", "--data", str(corpus), "--size", "300", "--out", tokenizer]) == 0
    told = ["ablate", str(config), "--data", str(corpus), "--tokenizer", tokenizer, "--eval", str(sets)]
    told += ["--steps", "2", "--out", str(out)]
    assert main(told) == 0
    shown = capsys.readouterr().out
    rows = ["everything", "without distillation", "without exit 0", "without renaming", "exit 1 alone"]
    assert all(f"| {row} |" in shown for row in rows)
    assert (out / "without-exit-0" / "row.json").is_file()
    assert main(told) == 0  # nothing is run again
    assert "==" not in capsys.readouterr().out
    assert main([*told, "--row", "everything"]) == 0
    assert "without" not in capsys.readouterr().out.partition("| nDCG@10 |")[2]
    assert main([*told, "--row", "without sleep"]) == 2
    assert "no row 'without sleep'" in capsys.readouterr().err


def test_an_ablation_with_several_seeds_is_told_and_drawn_with_intervals_over_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, _, config = lay_out(tmp_path)
    tokenizer, out = str(tmp_path / "tokenizer"), tmp_path / "ablation"
    assert main(["tokenizer", "--data", str(corpus), "--size", "300", "--out", tokenizer]) == 0
    told = ["ablate", str(config), "--data", str(corpus), "--tokenizer", tokenizer, "--out", str(out)]
    told += ["--row", "everything", "--row", "exit 1 alone"]
    assert main(told) == 2
    assert "--held-out" in capsys.readouterr().err
    told += ["--held-out", "5", "--seeds", "3", "4", "--record", "seeds"]
    written: list[Path] = []
    monkeypatch.setattr(
        "train.stages.write_record",
        lambda *given: written.append(write_record(*given, root=tmp_path)),
    )
    assert main(told) == 0
    assert "| MRR@10 | exit 0 | exit 1 | exit 2 |" in capsys.readouterr().out
    assert all((out / f"seed-{seed}" / "exit-1-alone" / "row.json").is_file() for seed in (3, 4))
    said = (written[0] / "README.md").read_text()
    assert "each of the seeds [3, 4]" in said and "pairs of repositories that no row was trained on" in said
    everything = json.loads((written[0] / "result.json").read_text())["everything"]
    assert len(everything["1"]["of each seed"]["recall@1"]) == 2
    curve = (written[0] / "curve.csv").read_text()
    assert "loss_1 everything" in curve and "mean_1 exit 1 alone" in curve
    picture = tmp_path / "picture.svg"
    assert ablation_picture.main([str(written[0]), str(picture)]) == 0
    assert picture.read_text(encoding="utf-8").startswith("<?xml")
    assert ablation_picture.main([str(out), str(picture)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["tokenizer", "--data", "nowhere", "--out", "x"],
        ["plan", "no-such-config"],
        ["exit0", "--data", "nowhere", "--tokenizer", "nowhere", "--out", "x"],
        ["fit", "--data", "nowhere", "--config", "tiny", "--out", "x"],
        ["evaluate", "--checkpoint", "nowhere", "--eval", "nowhere"],
        ["pretrain", "--windows", "nowhere", "--config", "tiny", "--tokenizer", "nowhere", "--out", "x"],
        ["mine", "--data", "nowhere", "--checkpoint", "nowhere", "--out", "x.npz"],
        ["curve", "nowhere"],
        ["wrap", "nowhere", "x"],
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(Path().iterdir())
    assert main(arguments) == 2
    assert sorted(Path().iterdir()) == before
    told = capsys.readouterr().err.strip()
    assert told.startswith("train: ") or told.startswith("train.plan: ")
    assert "\n" not in told


def test_help_explains_the_stages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    assert all(stage in told for stage in ("tokenizer", "exit0", "fit", "evaluate", "plan"))
