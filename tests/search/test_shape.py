"""Find-similar knows a copy under other names by its shape."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from modstar_lsp.search.shape import LONGEST_SHAPED, shapes_in_common
from modstar_lsp.workspace import Workspace
from modstar_lsp.workspace.question import Question

ORDERS = """\
def late_orders(orders, today, grace=2):
    late = []
    for order in orders:
        if order.due is None or order.paid:
            continue
        days = (today - order.due).days
        if days > grace:
            late.append((days, order.number))
    return sorted(late, reverse=True)
"""
# The same under other names, and others that speak of orders and days.
COPY = """\
def thirsty_plants(garden, now, limit=9):
    dry = []
    for plant in garden:
        if plant.watered is None or plant.dead:
            continue
        gap = (now - plant.watered).days
        if gap > limit:
            dry.append((gap, plant.label))
    return sorted(dry, reverse=True)
"""
DECOYS = """\
def print_orders(orders, today):
    for order in orders:
        print(order.number, "due", order.due, "paid" if order.paid else "late", today)


def order_days(order, today, grace):
    return max((today - order.due).days - grace, 0)
"""


def test_a_copy_under_other_names_stands_before_code_with_the_same_words(tmp_path: Path) -> None:
    for name, text in {"orders.py": ORDERS, "garden.py": COPY, "report.py": DECOYS}.items():
        (tmp_path / name).write_text(text)
    with Workspace.open(tmp_path, index_dir=tmp_path.parent / "index") as workspace:
        workspace.refresh()
        origin = ("orders.py", 1, ORDERS.count("\n"))
        results = workspace.ask(Question.of_code(ORDERS, origin=origin))
    assert results.hits[0].path == "garden.py"
    assert results.hits[0].explanation["shape"] > 0


NAMES = st.from_regex(r"[a-z]{3,8}_[a-z]{3,8}", fullmatch=True)


@given(st.lists(NAMES, min_size=12, max_size=12, unique=True))
def test_names_change_no_shape(names: list[str]) -> None:
    of_word = iter(names)
    other: dict[str, str] = {}

    def renamed(word: re.Match[str]) -> str:
        if word[0] in ("def", "for", "in", "if", "is", "None", "or", "continue", "return", "True"):
            return word[0]
        return other.setdefault(word[0], next(of_word, "else_where"))

    copy = re.sub(r"[A-Za-z_]+", renamed, ORDERS)
    assert shapes_in_common(ORDERS, [copy]) == shapes_in_common(ORDERS, [ORDERS])


@given(st.text(max_size=400), st.text(max_size=400))
def test_any_two_texts_have_a_share_of_their_shapes_in_common(one: str, other: str) -> None:
    (there,), (back,) = shapes_in_common(one, [other]), shapes_in_common(other, [one])
    assert there == back and 0 <= there < 1


def test_a_text_without_end_is_looked_at_up_to_a_bound() -> None:
    long = "x = (" * LONGEST_SHAPED
    assert shapes_in_common(long, [long * 2]) == shapes_in_common(long, [long])
