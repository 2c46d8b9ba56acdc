"""What is tortured: a project that a seed makes, the questions put to it, and what counts of the answers."""

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from modstar_lsp.search import Options, Results
from modstar_lsp.workspace import Workspace

_VERBS = ("load", "parse", "send", "retry", "merge", "draw", "count", "close", "encode", "verify")
_NOUNS = ("invoice", "socket", "password", "matrix", "cursor", "session", "packet", "ledger", "token", "tree")
_PYTHON = """def {name}(value):
    '''{verb} the {noun} again when the {other} is gone.'''
    return {other}(value, {n})


"""
_GO = (
    "// {name} will {verb} every {noun} of the {other}.\nfunc {name}(v int) int {{\n\treturn v * {n}\n}}\n\n"
)
_MARKDOWN = "## {verb} a {noun}\n\nThe {other} has {n} of them; 重试 after `{name}`.\n\n"
_LANGUAGES = (("py", _PYTHON), ("go", _GO), ("md", _MARKDOWN))
_PLACES_IN_A_FILE = 6
# Longer than the longest that any of these takes on a machine with ten times the work that it can do.
HUNG_SECONDS = 120.0


@dataclass(slots=True)
class Counts:
    """What was tried of each kind, and what went wrong."""

    tried: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def fault(self, kind: str, what: str) -> None:
        """Something that must not be."""
        self.outcomes[kind] += 1
        self.faults.append(f"{kind}: {what}")

    def guarded(self, what: str, trial: Callable[[], None]) -> None:
        """Have a trial done. One that does not end, or ends with an error of ours, is a fault."""
        failure: list[BaseException] = []
        where: list[traceback.FrameSummary] = []

        def run() -> None:
            try:
                trial()
            except Exception as error:
                failure.append(error)
                where.append(traceback.extract_tb(error.__traceback__)[-1])

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(HUNG_SECONDS)
        if thread.is_alive():
            self.fault("hung", what)
        elif failure:
            place = f"{Path(where[0].filename).name}:{where[0].lineno}"
            self.fault(
                "traceback", f"{what}: {type(failure[0]).__name__} in {place}: {str(failure[0])[:200]}"
            )


class Rounds:
    """How long a part goes on: for so many seconds, or for so many tries; one at least."""

    def __init__(self, seconds: float, tries: int | None = None) -> None:
        self._end = time.monotonic() + seconds
        self._tries = tries
        self._done = 0

    def __bool__(self) -> bool:
        """Whether another round is to be done; each time it is asked counts as one."""
        self._done += 1
        if self._tries is not None:
            return self._done <= max(self._tries, 1)
        return self._done == 1 or time.monotonic() < self._end


def text_of(chance: Random, suffix: str, number: int) -> str:
    """A source file."""
    form = dict(_LANGUAGES)[suffix]
    parts = []
    for n in range(_PLACES_IN_A_FILE):
        verb, noun, other = chance.choice(_VERBS), chance.choice(_NOUNS), chance.choice(_NOUNS)
        name = f"{verb}_{noun}_{number}_{n}"
        parts.append(form.format(name=name, verb=verb, noun=noun, other=other, n=n))
    return "".join(parts)


def lay_out(root: Path, chance: Random, files: int) -> None:
    """A project of so many files."""
    for number in range(files):
        suffix = _LANGUAGES[number % len(_LANGUAGES)][0]
        write(root / f"part{number % 5}" / f"file{number}.{suffix}", text_of(chance, suffix, number))


def write(file: Path, text: str) -> None:
    """Put a file there, its folder too."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def questions(chance: Random) -> list[str]:
    """Sentences, words and names."""
    sentences = [f"where do we {verb} the {noun}" for verb, noun in zip(_VERBS, _NOUNS, strict=True)]
    return [
        *chance.sample(sentences, 4),
        "重试",
        f"{chance.choice(_VERBS)}_{chance.choice(_NOUNS)}_3_2",
        "socket",
    ]


def answer(results: Results) -> list[tuple[str, int, int, str, float]]:
    """What of an answer has to be the same."""
    return [(hit.path, hit.start_line, hit.end_line, hit.name, round(hit.score, 5)) for hit in results.hits]


def answers(workspace: Workspace, asked: list[str]) -> dict[str, object]:
    """All that the workspace answers, and how much it holds."""
    found: dict[str, object] = {
        text: answer(workspace.search(text, Options(min_score=0.0, k=20))) for text in asked
    }
    status = workspace.status()
    return {**found, "holds": (status.files, status.chunks, sorted(status.languages.items()))}
