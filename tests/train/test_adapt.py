"""A bundle for one repository: measured on what was held out, written beside and never over."""

from __future__ import annotations

import json
import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from modstar_lsp.encoder import Encoder, open_bundle
from train.adapt import main
from train.record import write_record

# A house language that no general model can know: what a thing is called, and how the code calls it.
HOUSE = {
    "the ledger": "zarquon",
    "a voyage": "blorptide",
    "the crew": "quenkmate",
    "each harbour": "vindlehaven",
    "some cargo": "mubblewort",
    "the weather": "skronkfall",
}
VERBS = {"opens": "grimble", "counts": "twizzle", "sorts": "plonk", "sends": "fwoosh", "checks": "drindle"}


def lay_out(root: Path, files: int = 60) -> Path:
    rng = random.Random(4)
    for number in range(files):
        functions = []
        for _ in range(4):
            thing, verb = rng.choice(list(HOUSE)), rng.choice(list(VERBS))
            other = rng.choice(list(HOUSE))
            name = f"{VERBS[verb]}_{HOUSE[thing]}_{rng.randrange(99)}"
            functions.append(
                f'def {name}(target):\n    """It {verb} {thing} before {other} is closed."""\n'
                f"    {HOUSE[other]} = target.{HOUSE[thing]}\n    return {VERBS[verb]}({HOUSE[other]})\n"
            )
        (root / f"module_{number}.py").write_text("\n\n".join(functions), encoding="utf-8")
    return root


def test_a_repository_with_words_of_its_own_is_answered_better(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "house"
    tree.mkdir()
    out = tmp_path / "adapted"
    monkeypatch.setattr("train.adapt.STEPS", 60)
    monkeypatch.setattr("train.adapt.write_record", partial(write_record, root=tmp_path / "records"))
    assert main([str(lay_out(tree)), "--out", str(out), "--record", "adapt"]) == 0
    shown = capsys.readouterr().out
    assert "| exit | before | after | gain |" in shown and str(out) in shown
    (kept,) = (tmp_path / "records").iterdir()
    told = json.loads((kept / "result.json").read_text(encoding="utf-8"))
    mean, low, high = told["repositories"]["house"]["gain"]["0"]
    assert low < mean < high and told["mean_gain"]["0"][0] == mean
    assert "| house" in (kept / "README.md").read_text(encoding="utf-8")
    bundle = open_bundle(out)
    bundle.verify()
    assert bundle.name.endswith("-house") and bundle.provenance["adapted"]["pairs"] > 60

    def nearness(encoder: Encoder) -> float:
        prose, code = encoder.encode(list(HOUSE)), encoder.encode(list(HOUSE.values()))
        return float(np.einsum("nd,nd->n", prose, code).mean())

    assert nearness(Encoder(bundle)) > nearness(Encoder(open_bundle(None))) + 0.05
    assert main([str(tree), "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(tree), str(tree), "--out", str(tmp_path / "two")])


def test_a_repository_that_says_nothing_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text("x = 1\n", encoding="utf-8")
    assert main([str(tmp_path), "--out", str(tmp_path / "new")]) == 2
    told = capsys.readouterr().err.strip()
    assert told.startswith("train.adapt: ") and "\n" not in told and not (tmp_path / "new").exists()
    assert main([str(tmp_path / "nowhere")]) == 2
