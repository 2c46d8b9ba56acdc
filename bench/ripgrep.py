"""ripgrep asked with the words of a question: what `bench.agents` puts beside the search tool.

`rg` itself does not rank. Here it is given more than an agent has from it:

- The words are the question's words and names as typed, three letters and more, without the function words
  that the product leaves out too. Each is looked for as it stands, whatever its case, anywhere in a line.
- *all words*: one call with all of them. A line counts by how many distinct words are within NEAR lines of
  it, then by its own, then by its file's. The best are shown, one for each neighbourhood.
- *rarest word*: one call with the word that fewest lines of the tree hold, at least one (which an agent would
  first have to count). The lines stand in the order of their files.

An answer names each file once, above `line: text`, and ends where it is as long as was asked for.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from evaluation.sets import SetError
from modstar_lsp.search.query import STOP_WORDS

# Lines to both sides that count as one place: a function of the usual length.
NEAR = 10
# As in the answers of the search tool: longer lines are data.
LINE_CHARS = 200
# More words than any question has: a whole issue is asked by its beginning, as in the product.
MOST_WORDS = 256

_WORD = re.compile(r"[^\W\d]\w{2,}")


class Line(NamedTuple):
    """A line that holds some of the words. words: which, a bit each."""

    path: str
    number: int
    text: str
    words: int


def words_of(question: str) -> list[str]:
    """The words that are looked for, lower case, in order."""
    found = (word.lower() for word in _WORD.findall(question))
    return [word for word in dict.fromkeys(found) if word not in STOP_WORDS][:MOST_WORDS]


def program() -> str:
    """The path of `rg`. Raises SetError where it is not installed."""
    found = shutil.which("rg")
    if found is None:
        raise SetError("rg is not on the PATH: install ripgrep")
    return found


def lines_with(words: Sequence[str], tree: Path) -> list[Line]:
    """Every line of the tree that `rg` finds for any of the words. Raises SetError where it fails."""
    if not words:
        return []
    command = [program(), "--line-number", "--null", "--no-heading", "--ignore-case", "--fixed-strings"]
    command += ["--sort", "path", "--color", "never", "--no-config"]
    for word in words:
        command += ["-e", word]
    ran = subprocess.run([*command, "./"], cwd=tree, capture_output=True, check=False)
    if ran.returncode not in (0, 1):
        raise SetError(f"rg failed in {tree.name}: {ran.stderr.decode(errors='replace').strip()[:200]}")
    return list(_lines(ran.stdout.decode("utf-8", "replace"), words))


def _lines(output: str, words: Sequence[str]) -> Iterator[Line]:
    for row in output.split("\n"):
        path, _, rest = row.partition("\0")
        number, _, text = rest.partition(":")
        if number.isdigit():  # else a note, such as that a binary file matches
            lower = text.lower()
            held = sum(1 << bit for bit, word in enumerate(words) if word in lower)
            yield Line(path.removeprefix("./"), int(number), text, held)


def by_all_words(found: Iterable[Line]) -> list[Line]:
    """The lines around which most of the words are, best first, one for each neighbourhood."""
    files: dict[str, list[Line]] = defaultdict(list)
    for line in found:
        files[line.path].append(line)
    scored: list[tuple[int, int, int, Line]] = []
    for lines in files.values():
        held = 0
        for line in lines:
            held |= line.words
        for line, near in zip(lines, _near(lines), strict=True):
            scored.append((-near.bit_count(), -line.words.bit_count(), -held.bit_count(), line))
    scored.sort(key=lambda one: (*one[:3], one[3].path, one[3].number))
    shown: dict[str, set[int]] = defaultdict(set)
    best = []
    for *_, line in scored:
        if line.number not in shown[line.path]:
            shown[line.path].update(range(line.number - NEAR, line.number + NEAR + 1))
            best.append(line)
    return best


def _near(lines: Sequence[Line]) -> Iterator[int]:
    """The words within NEAR lines of each of a file's lines."""
    first = last = 0
    for line in lines:
        while lines[first].number < line.number - NEAR:
            first += 1
        while last < len(lines) and lines[last].number <= line.number + NEAR:
            last += 1
        near = 0
        for one in lines[first:last]:
            near |= one.words
        yield near


def by_rarest_word(found: Sequence[Line], words: Sequence[str]) -> list[Line]:
    """The lines with the word that fewest hold, as `rg` has them."""
    counts = [sum(line.words >> bit & 1 for line in found) for bit in range(len(words))]
    held = [(count, bit) for bit, count in enumerate(counts) if count]
    if not held:
        return []
    rarest = min(held)[1]
    return [line for line in found if line.words >> rarest & 1]


def shown(best: Iterable[Line], chars: float) -> tuple[str, list[Line]]:
    """(answer, the lines in it): as many of the best as `chars` characters have room for, at least one."""
    files: dict[str, list[str]] = {}
    inside: list[Line] = []
    for line in best:
        text = f"{line.number}: {line.text[:LINE_CHARS].rstrip()}"
        chars -= len(text) + 1 + (0 if line.path in files else len(line.path) + 1)
        if chars < 0 and inside:
            break
        files.setdefault(line.path, []).append(text)
        inside.append(line)
    return "\n".join("\n".join([path, *texts]) for path, texts in files.items()), inside
