"""The main job on real input: this project's own tree, asked what a newcomer would ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modstar_lsp.search import Options
from modstar_lsp.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
SHOWN = 10

QUESTIONS = {
    "which files does git ignore": "modstar_lsp/files/ignore.py",
    "watch the folder for changed files": "modstar_lsp/files/watch.py",
    "split camelCase identifiers into words": "modstar_lsp/encoder/words.py",
    "verify the digest of a model file": "modstar_lsp/encoder/bundle.py",
    "greedy longest match word piece": "modstar_lsp/encoder/static.py",
    "session of the onnx runtime": "modstar_lsp/encoder/graph.py",
    "BM25 of chunks and files": "modstar_lsp/search/lexical.py",
    "expand a word to its inflected forms": "modstar_lsp/search/lexical.py",
    "penalise test files in the ranking": "modstar_lsp/search/ranking.py",
    "turn a raw score into a probability": "modstar_lsp/search/calibrate.py",
    "merge posting segments": "modstar_lsp/index/words/segments.py",
    "nearest neighbours by exact scan": "modstar_lsp/index/vectors/neighbours.py",
    "where is the index stored": "modstar_lsp/index/store/location.py",
    "headings of a markdown document": "modstar_lsp/chunking/prose.py",
    "split long functions at statement borders": "modstar_lsp/chunking/code.py",
    "draw a progress bar on the terminal": "modstar_lsp/cli/progress.py",
    "project_root": "modstar_lsp/workspace/workspace.py",
    "Workspace.similar": "modstar_lsp/workspace/workspace.py",
    "grouped query attention": "model/modules.py",
    "symmetric contrastive loss": "train/losses.py",
    "rename identifiers in the training pairs": "train/data/augmentation.py",
    "train the tokenizer": "train/tokenizer.py",
    "quantise embedding rows to int8": "export/quantise.py",
    "validate retrieval of an exported exit": "export/validate.py",
    "bootstrap confidence interval": "evaluation/metrics.py",
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with Workspace.open(ROOT, index_dir=tmp_path_factory.mktemp("indexes")) as opened:
        opened.refresh()
        yield opened


def rank(workspace: Workspace, question: str, path: str) -> int | None:
    hits = workspace.search(question, Options(k=50, min_score=0.0)).hits
    files = list(dict.fromkeys(hit.path for hit in hits))[:SHOWN]
    return files.index(path) + 1 if path in files else None


def test_a_newcomer_finds_the_room(workspace: Workspace) -> None:
    ranks = {question: rank(workspace, question, path) for question, path in QUESTIONS.items()}
    first = sum(place == 1 for place in ranks.values())
    reciprocal = sum(1 / place for place in ranks.values() if place) / len(ranks)
    assert first >= 0.7 * len(ranks), ranks
    assert reciprocal >= 0.8, ranks
