"""Text that is no code: sections by heading, windows that overlap."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from modstar_lsp.chunking import chunk_file
from modstar_lsp.chunking.prose import SECTION_CHARS, WINDOW_CHARS

PIECES = [
    *"#=-~` \n\ra",
    ".. _l:\n",
    ".. x:: y\n",
    "```\n",
    "\n\n",
    "words and words\n",
    "# Title\n",
    "Title\n===\n",
]

GUIDE = """# Guide

Intro text that is long enough to stand alone as a section of the guide, because short ones are joined.
It says what the guide is about, who should read it, what they need before, and what they know after it.
And it goes on for one more line so that it has more than three hundred characters, which is the limit.

## Install

```sh
# not a heading
pip install modstar
```

Installing takes a while; these lines are here so that the section is larger than the joining limit, and
so that the next heading starts a section of its own. A second sentence follows the first, and a third one.
The third one is this. Then there is a fourth one, which ends the paragraph and with it the whole section.

Usage
-----

Run the command. It prints what it found. These lines make the section long enough to stand on its own:
there are many ways to run it, and each has its own options, which the reference lists one after the other.
The exit status is that of grep: 0 when something was found, 1 when nothing was, 2 when there was an error.
"""


def test_markdown_is_cut_at_headings_and_knows_the_headings_above() -> None:
    chunks = chunk_file("guide.md", GUIDE)
    assert [(chunk.name, chunk.scope, chunk.kind) for chunk in chunks] == [
        ("Guide", "", "section"),
        ("Install", "Guide", "section"),
        ("Usage", "Guide", "section"),
    ]
    assert "# not a heading" in chunks[1].text


def test_restructured_text_is_cut_at_its_headings() -> None:
    text = "=====\nGuide\n=====\n\n" + "words " * 80 + "\n\nInstall\n-------\n\n" + "more words " * 40 + "\n"
    assert [(c.name, c.scope) for c in chunk_file("a.rst", text)] == [("Guide", ""), ("Install", "Guide")]


def test_labels_and_directives_above_a_heading_belong_to_its_section() -> None:
    long = "Some words about this setting, and more of them. " * 8
    text = (
        f"Settings\n========\n\n{long}\n\n.. _first-label:\n\n.. setting:: max_tasks\n\n``max_tasks``\n"
        f"-------------\n\n{long}\n\n.. note::\n   Beware.\n\n.. setting:: max_memory\n.. index:: memory\n\n"
        f"``max_memory``\n--------------\n\n{long}\n"
    )
    chunks = chunk_file("a.rst", text)
    assert [chunk.name for chunk in chunks] == ["Settings", "``max_tasks``", "``max_memory``"]
    assert chunks[1].text.startswith(".. _first-label:\n")
    assert chunks[1].text.endswith("   Beware.\n\n")
    assert chunks[2].text.startswith(".. setting:: max_memory\n.. index:: memory\n")


def test_labels_at_the_top_belong_to_the_title() -> None:
    (chunk,) = chunk_file("a.rst", ".. _top:\n\nTitle\n=====\n\nText.\n")
    assert (chunk.name, chunk.start_line) == ("Title", 1)


def test_front_matter_is_no_heading() -> None:
    chunks = chunk_file("post.md", "---\ntitle: x\n---\n\nSome text.\n")
    assert [chunk.name for chunk in chunks] == [""]


def test_long_sections_are_cut_at_blank_lines() -> None:
    text = "# A\n\n" + "\n\n".join("sentence after sentence " * 20 for _ in range(20)) + "\n"
    chunks = chunk_file("a.md", text)
    assert len(chunks) > 4
    assert all(len(chunk.text) <= SECTION_CHARS and chunk.name == "A" for chunk in chunks)
    assert all(chunk.text.endswith("\n\n") for chunk in chunks[:-1])


@given(st.lists(st.sampled_from(PIECES), max_size=200).map("".join))
def test_markdown_and_rst_sections_tile(text: str) -> None:
    for path in ("a.md", "a.rst"):
        chunks = chunk_file(path, text)
        assert "".join(chunk.text for chunk in chunks) == (text if text.strip() else "")
        assert all(chunk.kind == "section" for chunk in chunks)


@given(st.lists(st.text(st.sampled_from("ab "), max_size=300), max_size=60))
def test_windows_cover_every_line_and_overlap(lines: list[str]) -> None:
    text = "\n".join(lines)
    chunks = chunk_file("notes.txt", text)
    covered = {line for chunk in chunks for line in range(chunk.start_line, chunk.end_line + 1)}
    blank = {row for row, line in enumerate(lines, 1) if not line.strip()}
    assert covered | blank >= set(range(1, len(lines) + 1)) - {len(lines)} or not text.strip()
    for before, after in pairwise(chunks):
        assert before.start_line < after.start_line
        assert before.end_line < after.end_line
    for chunk in chunks:
        assert len(chunk.text) <= WINDOW_CHARS or chunk.start_line == chunk.end_line


def test_a_sentence_on_a_window_border_is_whole_in_one_window() -> None:
    text = "".join(f"line {i} of some notes\n" for i in range(200))
    chunks = chunk_file("notes.txt", text)
    assert len(chunks) > 2
    assert all(after.start_line <= before.end_line for before, after in pairwise(chunks))
