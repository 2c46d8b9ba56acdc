"""A published checkpoint's exits laid in one space: each finds what the deepest embedded, at a told cost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from model.encoder import load_checkpoint
from model.tokenizer import load_tokenizer
from tests.train.foreign import bpe_tokenizer, save_published
from tests.train.trained import in_other_words, save_trained
from train.__main__ import main
from train.one_space import BesideWords
from train.published import load_published
from train.word_table import word_pieces


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(a checkpoint in the published layout, trained a little, its weights in two files; sources)."""
    return save_trained(tmp_path_factory.mktemp("hub"))


def test_every_exit_finds_what_the_deepest_embedded_and_the_loss_is_told(
    hub: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "wrapped"
    assert main(["wrap", str(hub[0]), str(out), "--one-space", "--sources", str(hub[1])]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in told[:4]] == ["exit 0", "exit 1", "exit 2", "exit 4"]
    # Every word of these comments is in its function: nothing can do better than words alone.
    assert "exit 0: left out, words do better without it" in told[0]
    assert told[4].endswith("exits 1, 2, 4, dimension 32") and not (out / "exit0").exists()
    model = load_checkpoint(out)
    noted = model.config.training
    assert noted["shared_space"] and noted["paired_prompts"]
    costs = noted["one_space"]
    assert costs["4"]["cosine"] == pytest.approx(1.0, abs=1e-4) and costs["4"]["own"] == costs["4"]["laid"]
    for depth in ("1", "2"):
        # Two dozen functions are kept apart: at random a comment has .12 among them.
        assert costs[depth]["cosine"] > 0.5 and costs[depth]["among_deepest"] > 0.2, costs
        assert costs[depth]["laid"] > 0.8 * costs[depth]["own"], costs
    # The deepest exit answers as it was published.
    given, _ = load_published(hub[0])
    ids = torch.arange(5, 25)[None]
    mask = torch.ones_like(ids)
    torch.testing.assert_close(model(ids, mask, [4])[4], given(ids, mask, [4])[4])


def test_where_words_find_little_an_exit_0_is_fitted_and_kept(
    hub: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources, out = in_other_words(hub[1], tmp_path / "sources"), tmp_path / "wrapped"
    assert main(["wrap", str(hub[0]), str(out), "--one-space", "--sources", str(sources)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("exit 0: comments find their functions")
    assert told[4].endswith("exits 0, 1, 2, 4, dimension 32")
    noted = load_checkpoint(out).config.training["exit0"]
    assert noted["both"] >= noted["words"] and noted["cosine"] > 0.5, noted
    exit0 = load_checkpoint(out / "exit0")
    assert exit0.depths == [0] and exit0.config.dimension == 32
    assert load_tokenizer(out / "exit0").encode("appleStall").tokens[1:-1] != ["<unk>"]


def test_an_exit_0_with_which_words_find_less_is_left_out_and_said_so() -> None:
    weak = BesideWords(cosine=0.1, exit0=0.2, among_deepest=0.2, words=0.9, both=0.8)
    assert not weak.helps and "left out" in weak.line()
    unknown = BesideWords(0.9, None, None, None, None)
    assert not unknown.helps and "too few comments" in unknown.line()
    assert BesideWords(0.5, 0.4, 0.3, 0.6, 0.7).helps


def test_without_comments_to_measure_by_there_is_no_exit_0(
    hub: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sources").mkdir()
    for number in range(20):
        (tmp_path / "sources" / f"part{number}.py").write_text(
            f"def part{number}(a):\n    return a + {number}\n"
        )
    out = tmp_path / "wrapped"
    assert main(["wrap", str(hub[0]), str(out), "--one-space", "--sources", str(tmp_path / "sources")]) == 0
    assert "exit 0: left out; too few comments" in capsys.readouterr().out
    assert not (out / "exit0").exists()


def test_the_pieces_of_exit_0_are_the_words_of_the_bpe() -> None:
    tokenizer = bpe_tokenizer(["<s>", "<sep>"], ["the Window the window openWindow (window) x_window"] * 9)
    pieces = word_pieces(tokenizer)
    assert {"window", "##window", "the", "w", "##7"} <= pieces.keys()
    assert not {"(", "sep", "_"} & pieces.keys() and all(piece == piece.lower() for piece in pieces)
    cases = {tokenizer.decode([number]).strip() for number in pieces["window"]}
    assert {"window", "Window"} <= cases


def test_who_chooses_an_exit_is_told_which_the_card_scores_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_published(tmp_path / "hub", num_hidden_layers=36, matryoshka_layers=[4, 9, 18, 27, 36])
    assert main(["wrap", str(tmp_path / "hub"), str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "exit 18 answers best" in told and "18 81.0" in told and "36 79.6" in told
    assert load_checkpoint(tmp_path / "out").config.training["best_exit"] == 18


def test_one_exit_and_an_encoder_that_has_one_space_are_one_line(
    hub: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_published(tmp_path / "cut", till_layer=2)
    out = str(tmp_path / "out")
    assert main(["wrap", str(tmp_path / "cut"), out, "--one-space", "--sources", str(hub[1])]) == 2
    assert "one exit alone is one space already" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["wrap", str(hub[0]), out, "--one-space", "--sources", str(tmp_path / "empty")]) == 2
    assert "no sources here" in capsys.readouterr().err
    damaged = Path(shutil.copytree(hub[0], tmp_path / "damaged"))
    next(damaged.glob("model-00002*")).unlink()
    assert main(["wrap", str(damaged), out]) == 2
    assert "model-00002-of-00002.safetensors is missing" in capsys.readouterr().err
    assert not Path(out).exists()
