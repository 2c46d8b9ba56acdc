"""What training sees of a pair: changed in vocabulary, never in structure."""

from __future__ import annotations

import ast
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modstar_lsp.chunking.grammars import parse
from train.data import Augmentation, Pair, augment, drop_comments, rename_identifiers
from train.data.augmentation import FREQUENT

PYTHON = """
def group_rows(rows, key="rows"):
    # rows are kept in order
    groups = {}
    for row in rows:
        value = getattr(row, key)
        groups.setdefault(value, []).append(row)
    self.rows = rows
    return {value: np.array(groups[value]) for value in groups}
"""
SOURCES = {
    "python": PYTHON,
    "rust": "fn longest<'a>(left: &'a str, right: &'a str) -> &'a str {\n"
    "    if left.len() > right.len() { left } else { right }\n}\n",
    "java": "int sum(int[] items) { int total = 0; for (int item : items) { total += item; } "
    "char c = 'x'; return total + items.length; }",
    "javascript": "function load(path) { const data = read(path, 'path'); cache[path] = `${data}`; "
    "return data; }",
    "go": "func Sum(values []int) (total int) {\n\tfor _, value := range values {\n\t\ttotal += value\n\t}\n"
    "\treturn total // total of values\n}\n",
    "cpp": "#include <vector>\nint f(vector<int> vector_, int n) { int n2 = n; return n + n2 + vector_[n]; }",
    "lua": "local function add(list, item)\n  -- item goes last\n  list[#list + 1] = item\n"
    "  return list, item\nend\n",
    "haskell": "go x x' = if x > x' then go x' x else x + x'\n",
}
WORDS = st.sampled_from("alpha beta row rows Total MAX_SIZE x y2 _hidden value size".split())


def shape(language: str, code: str) -> list[str]:
    """The types of all nodes of the tree, in order."""
    tree = parse(language, code.encode())
    assert tree is not None
    types, stack = [], [tree.root_node]
    while stack:
        node = stack.pop()
        types.append(node.type)
        stack.extend(node.children)
    return types


@pytest.mark.parametrize("language", SOURCES)
def test_renaming_keeps_the_tree(language: str) -> None:
    code = SOURCES[language]
    for seed in range(20):
        renamed = rename_identifiers(code, language, random.Random(seed))
        assert shape(language, renamed) == shape(language, code)
    assert renamed != code


@settings(max_examples=150, deadline=None)
@given(
    names=st.lists(WORDS, min_size=1, max_size=6, unique=True),
    seed=st.integers(0, 2**32),
    times=st.integers(1, 5),
)
def test_renaming_is_one_to_one_and_takes_every_use(names: list[str], seed: int, times: int) -> None:
    body = "\n".join(f"    {name} = g({', '.join(names)})" for name in names for _ in range(times))
    code = f"def f():\n{body}\n    return 'alpha beta'  # row rows\n"
    renamed = rename_identifiers(code, "python", random.Random(seed))
    ast.parse(renamed)
    old, new = (re.findall(r"[^\W\d]\w*", one.split("'")[0]) for one in (code, renamed))
    mapping = dict(zip(old, new, strict=True))
    assert [mapping[name] for name in old] == new, "one name, one replacement"
    assert len(set(mapping.values())) == len(mapping), "two names never become one"
    for name in names:
        uses = old.count(name)
        assert (mapping[name] != name) == (uses >= FREQUENT), f"{name} stands {uses} times"
    assert renamed.endswith("'alpha beta'  # row rows\n"), "strings and comments stay"


def test_a_name_asked_of_a_library_stays_and_rare_names_stay() -> None:
    code = "a = np.array(b)\nc = np.array(d)\ne = np.array(f)\n"
    renamed = rename_identifiers(code, "python", random.Random(1))
    assert renamed.count("array") == 3 and "np" not in renamed and "b)" in renamed


def test_the_same_seed_gives_the_same_names() -> None:
    assert rename_identifiers(PYTHON, "python", random.Random(4)) == rename_identifiers(
        PYTHON, "python", random.Random(4)
    )
    assert rename_identifiers(PYTHON, "python", random.Random(4)) != rename_identifiers(
        PYTHON, "python", random.Random(5)
    )


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.sampled_from([*SOURCES, "php", "bash", ""]), st.integers(0, 9))
def test_any_text_survives(text: str, language: str, seed: int) -> None:
    how = Augmentation(rename=1.0, identifiers=1.0, drop_comments=1.0)
    augment(Pair("text", "asks", text, language, name="x"), random.Random(seed), how)


def test_renaming_can_be_switched_off() -> None:
    pair = Pair("text", "asks", PYTHON, "python", name="group_rows")
    how = Augmentation(rename=0.0, identifiers=0.0, drop_comments=0.0, header=0.0)
    assert augment(pair, random.Random(0), how)[1] == PYTHON


@pytest.mark.parametrize(
    ("language", "code", "bare"),
    [
        ("lua", 'x = "--a" -- gone\n', 'x = "--a" \n'),
        ("haskell", "f x = x -- gone\n{- gone -}g = 1", "f x = x \ng = 1"),
        (
            "rust",
            "fn f<'a>(x: &'a str) {} // it's gone\nlet c = '\\'';",
            "fn f<'a>(x: &'a str) {} \nlet c = '\\'';",
        ),
        ("php", "$a = '#b'; # gone\n// gone", "$a = '#b'; \n"),
    ],
)
def test_comments_go_in_every_language(language: str, code: str, bare: str) -> None:
    assert drop_comments(code, language) == bare
