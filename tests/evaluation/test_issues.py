"""The functions that a fix changed are read off its hunks, and found again in a later version."""

from __future__ import annotations

from evaluation.issues import Hunk, changed_functions, found_again, functions
from evaluation.sets import Function

BEFORE = """\
import os

LIMIT = 3


class Cart:
    def __init__(self):
        self.items = []

    @property
    def total(self):
        def rounded(price):
            return round(price, 2)

        prices = [item.price for item in self.items]
        return rounded(sum(prices))

    @total.setter
    def total(self, value):
        raise AttributeError


def pay(cart):
    first = cart.total
    second = cart.total
    third = cart.total
    return first
"""
PATH = "shop/cart.py"


def changed(start: int, length: int) -> list[str]:
    """The names of what a hunk of BEFORE changes."""
    return [one.name for one in changed_functions(functions(PATH, BEFORE), [Hunk(PATH, start, length)])]


def test_functions_and_methods_have_qualified_names_and_their_decorators() -> None:
    assert [(one.name, one.start, one.end) for one in functions(PATH, BEFORE)] == [
        ("Cart.__init__", 7, 8),
        ("Cart.total", 10, 16),
        ("Cart.total.rounded", 12, 13),
        ("Cart.total#2", 18, 20),
        ("pay", 23, 27),
    ]


def test_a_file_without_a_grammar_has_no_functions() -> None:
    assert functions("notes.txt", BEFORE) == []


def test_the_innermost_function_counts_and_the_context_does_not() -> None:
    assert changed(10, 7) == ["Cart.total.rounded"]
    assert changed(12, 7) == ["Cart.total"]
    assert changed(17, 7) == ["Cart.total#2"]


def test_a_change_outside_all_functions_is_of_none() -> None:
    assert changed(1, 6) == []  # an import put in
    assert changed(1, 7) == []  # a line between definitions
    assert changed(19, 6) == []  # a function put in between two


def test_lines_put_into_a_function_change_it() -> None:
    assert changed(22, 6) == ["pay"]


def test_a_change_across_functions_is_of_each() -> None:
    assert set(changed(13, 11)) == {"Cart.total", "Cart.total#2"}


def test_functions_are_found_again_by_name_where_they_stand_now() -> None:
    now = "\n\n" + BEFORE.replace("def pay(", "def charge(")
    known = [one for one in functions(PATH, BEFORE) if one.name in ("Cart.total#2", "pay")]
    found = {one.name: place for one, place in found_again(known, PATH, now)}
    assert found == {"Cart.total#2": Function(PATH, 20, 22), "pay": None}
