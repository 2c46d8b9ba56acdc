"""A word of a comment that is written without blanks finds its place, and its line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modstar_lsp.search.snippet import marks
from modstar_lsp.workspace import Workspace
from modstar_lsp.workspace.question import Question

FILES = {
    "queue/worker.py": '''
def run(task):
    """执行任务。"""
    task.start()
    # 任务失败后重试，使用指数退避
    again(task)
''',
    "shop/price.py": '''
def total(items):
    """消費税込みの価格を計算する関数"""
    return sum(items) * 1.1
''',
    "shop/order.py": '''
def place(order):
    """주문을 저장하고 결제를 요청합니다"""
    save(order)
''',
    "shop/other.py": '''
def cancel(order):
    """注文を取り消す"""
    drop(order)
''',
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    root = tmp_path_factory.mktemp("unspaced")
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, "utf-8")
    with Workspace.open(root, index_dir=Path(tmp_path_factory.mktemp("cache"))) as opened:
        opened.refresh()
        yield opened


@pytest.mark.parametrize(
    ("word", "path"),
    [
        ("重试", "queue/worker.py"),
        ("指数退避", "queue/worker.py"),
        ("消費税", "shop/price.py"),
        ("価格", "shop/price.py"),
        ("결제", "shop/order.py"),
        ("取り消す", "shop/other.py"),
    ],
)
def test_a_word_within_a_clause_is_found_and_shown(workspace: Workspace, word: str, path: str) -> None:
    hits = workspace.search(word).hits
    assert hits
    assert hits[0].path == path


def test_its_line_is_shown_and_the_word_marked(workspace: Workspace) -> None:
    words = Question("重试").words()
    found = workspace.describe(workspace.search("重试").hits[0], words).snippet(words, 3)
    line = next(line for line in found.lines if "重试" in line)
    assert [line[start:end] for start, end in marks(line, words)] == ["重试"]
