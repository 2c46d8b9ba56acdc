"""The scripts of components and pages are code, with the file's lines; the rest is searched in windows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modstar_lsp.chunking import chunk_file, outline
from modstar_lsp.chunking.lines import TextRows

LONG = "  total += 1;\n" * 80
VUE = f"""<script setup lang="ts">
import {{ ref }} from 'vue'

export function fetchUsers(url: string): number {{
  let total = 0;
{LONG}  return total;
}}

const reload = () => fetchUsers('x')
</script>

<template>
  <button @click="reload">Reload</button>
</template>

<style scoped>
button {{ color: red }}
</style>
"""


def defined(path: str, text: str) -> set[tuple[str, int]]:
    return {
        pair
        for chunk in chunk_file(path, text)
        for pair in zip(chunk.symbols, chunk.symbol_lines, strict=True)
    }


def assert_cut_from_the_file(path: str, text: str) -> None:
    rows = TextRows(text)
    covered = set()
    for chunk in chunk_file(path, text):
        assert chunk.text == rows.slice(chunk.start_line - 1, chunk.end_line)
        assert all(chunk.start_line <= line <= chunk.end_line for line in chunk.symbol_lines)
        covered |= set(range(chunk.start_line, chunk.end_line + 1))
    assert covered >= {row + 1 for row in range(rows.count) if rows.slice(row, row + 1).strip()}


def test_the_script_of_a_vue_component_is_code() -> None:
    assert_cut_from_the_file("a.vue", VUE)
    assert defined("a.vue", VUE) == {("fetchUsers", 4), ("reload", 89)}
    kinds = [(chunk.kind, chunk.start_line) for chunk in chunk_file("a.vue", VUE)]
    assert ("function", 1) not in kinds[1:]
    assert kinds[-1][0] == "text"
    assert [(found.name, found.start_line) for found in outline("a.vue", VUE)] == [
        ("fetchUsers", 4),
        ("reload", 89),
    ]


@pytest.mark.parametrize(
    ("path", "text", "names"),
    [
        ("a.svelte", "<script>\n  function go() {}\n</script>\n\n<h1>x</h1>\n", {("go", 2)}),
        ("a.astro", "---\nconst go = () => 1;\n---\n<h1>{go()}</h1>\n", {("go", 2)}),
        ("a.html", "<h1>x</h1>\n<script>\nfunction go() {}\n</script>\n", {("go", 3)}),
        ("a.erb", "<h1><%= x %></h1>\n<script type='module'>\nfunction go() {}\n</script>\n", {("go", 3)}),
        (
            "a.razor",
            "<h1>x</h1>\n@code {\n    private int Go(int a)\n    {\n        return a;\n    }\n}\n",
            {("Go", 3)},
        ),
        ("a.jsp", "<h1>x</h1>\n<%!\n  int go(int a) { return a; }\n%>\n", {("go", 3)}),
        ("a.html", "<script type='text/template'>\n<b>function go() {}</b>\n</script>\n", set()),
        ("a.html", "<script src='x.js'></script>\n<p>function go() {}</p>\n", set()),
        ("a.vue", "<script>\nfunction go() {}\n", set()),
    ],
)
def test_scripts_are_found_where_they_stand(path: str, text: str, names: set[tuple[str, int]]) -> None:
    assert defined(path, text) == names
    assert_cut_from_the_file(path, text)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["a.vue", "a.astro", "a.razor", "a.jsp"]),
    st.lists(
        st.sampled_from(
            ["<script>\n", "</script>\n", "---\n", "@code {\n", "}\n", "<%!\n", "%>\n", "\n", "x\r\n", "f(\n"]
        ),
        max_size=30,
    ).map("".join),
)
def test_whatever_the_tags_every_line_is_searched(path: str, text: str) -> None:
    assert_cut_from_the_file(path, text)
