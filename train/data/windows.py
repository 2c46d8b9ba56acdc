"""Repository windows: pieces of code that lie in one repository, for the in-context loss.

A line is {snippets: [code, ...], paths: [...], src, lang, licence}: up to SNIPPETS chunks of neighbouring
files, in reading order. Half of one window and half of another make an example of two repositories.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from modstar_lsp.chunking import chunk_file

# Chunks a window holds; the product's are some 1,000 characters, so a window is about 2,000 tokens.
SNIPPETS = 8
# Windows taken of one source: variety of repositories is worth more than much of one.
MOST_WINDOWS = 150
# What is read of one folder and of one file, and the shortest chunk that says anything (characters).
FILES_A_FOLDER = 40
CHUNKS_A_FILE = 6
SHORTEST = 120


def windows(root: Path, files: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    """(snippets, paths) of each window, folder by folder; the order of folders is the hash of their names."""
    folders: dict[str, list[str]] = {}
    for path in files:
        folders.setdefault(path.rpartition("/")[0], []).append(path)
    snippets: list[str] = []
    paths: list[str] = []
    made = 0
    for folder in sorted(folders, key=lambda one: hashlib.sha1(one.encode("utf-8", "replace")).digest()):
        for path in folders[folder][:FILES_A_FOLDER]:
            text = (root / path).read_text(encoding="utf-8", errors="replace")
            found = [chunk.text for chunk in chunk_file(path, text) if len(chunk.text) >= SHORTEST][
                :CHUNKS_A_FILE
            ]
            snippets += found
            paths += [path] * len(found)
            while len(snippets) >= SNIPPETS:
                yield snippets[:SNIPPETS], paths[:SNIPPETS]
                del snippets[:SNIPPETS], paths[:SNIPPETS]
                made += 1
                if made >= MOST_WINDOWS:
                    return
    if len(snippets) >= 2:
        yield snippets, paths
