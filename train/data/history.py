"""A git history -> (commit subject, function it changed): what people wrote about code without looking at it.

Only commits that changed one or two functions in a few files say what those functions do.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modstar_lsp.encoder.words import split_words
from train.data.functions import Described, definitions, parsed_language
from train.data.prose import COMMON_WORDS, worth_reading
from train.data.sources import Blobs, git, git_command, is_wanted

# Newest commits whose subjects are looked at.
MOST_SUBJECTS = 30_000
# Every changed file is parsed whole, so large ones (bytes) cost the most and yield no more.
LARGEST_CHANGED = 100_000
# Letters of a word that count when a subject is compared with a function: "closing" is like "close".
STEM = 4
# Commits asked of one git process: their names fit into a pipe that nobody reads yet.
COMMITS_AT_ONCE = 200
# A commit that changes more files or functions is about none of them.
MOST_CHANGED_FILES = 3
MOST_CHANGED_FUNCTIONS = 2

_PREFIX = re.compile(
    r"^(?:\[[^\]]{1,40}\]\s*[:-]?\s*|\(?#\d+\)?:?\s*|[A-Z][A-Z0-9]+-\d+[:\s.-]+\s*|(?:fix(?:es|ed)?|closes?"
    r"|resolves?)\s+(?:gh-|[\w/]*#)\d+[:,.-]?\s*"
    r"|(?:feat|fix|chore|docs?|style|refactor|perf|test|build|ci|revert|minor|hotfix|bugfix|bug|trivial"
    r"|improvement|core|misc|feature|internal)"
    r"(?:\([^)]*\))?!?:\s*|[\w./-]+(?:\([^)]*\))?:\s+|:\w+:\s*"
    r"|[\U0001F300-\U0001FAFF\u2600-\u27BF]\uFE0F?\s*)"
)
_SUFFIX = re.compile(
    r"\s*(?:\((?:[\w/-]*#|GH-|gh-|[A-Z]+-)\d+\)|\[[A-Z]+-\d+\]|(?:fixes|closes|refs?|see)?\s*[\w/]*#\d+"
    r"|\[(?:skip )?ci[^\]]*\])\.?\s*$",
    re.I,
)
_SAYS_NOTHING = re.compile(
    r"""^(?:merge|revert|bump|release|prepare|version|update\s+(?:to|version|dependenc|changelog|readme
        |copyright|licen|docs?\b|submodule|snapshot)
        |upgrade\b|fix(?:ed|es|ing)?\s+(?:a\s+|the\s+|some\s+|more\s+|minor\s+)?(?:typos?|tests?|build|lint
            |warnings?|formatting|indent|whitespace|style|ci|docs?|spelling|compil|javadoc
            |grammar|comments?|import|flaky|nits?|code\s+style|doc)
        |typos?|whitespace|formatt?(?:ing)?|lint|indent|clean(?:\s|-)?up|cosmetic|code\s+(?:clean|review
            |format|style)|review\b|address(?:ed|es)?\s+(?:review|comments|feedback|pr)
        |wip|initial|first\s+commit|more\s+(?:work|tests?|fixes)|minor\b|small\s+(?:fix|change)|misc
            |various|several|remove\s+(?:unused|dead|debug|whitespace|trailing|print|obsolete|deprecated)
        |add(?:ed|s|ing)?\s+(?:a\s+|some\s+|more\s+|missing\s+|unit\s+|the\s+)*(?:tests?\b|comments?
            |docs?\b|documentation|javadoc|changelog|license|copyright|todo|type\s+(?:hints|annot)|typing
            |newline|logging|debug)
        |rename|refactor(?:ed|ing)?\b|move(?:d|s)?\b|reformat|regenerate|sync\b|backport|cherry
            |apply\s+(?:suggest|review|style|spotless|code|fixes)|run\s+|use\s+f-strings|python\s*3|pep\s*8
            |rubocop|spotless|ktlint
        |prettier|deprecate\b|copyright|silence|suppress|disable\s+(?:flaky|test)|enable\s+test|cs\s+fix
            |psalm|phpstan|mypy|pylint|flake8|clang|nit\b|tweak|improve\s+(?:docs?|comments?|documentation
            |test|readab|code)
        |don't\s+use\s+deprecated|replace\s+deprecated|simplify\b|make\s+\w+\s+(?:private|public|final
            |internal|static|const)\b|inline\b|extract\b|convert\s+\w+\s+to\s+kotlin|split\b|switch\s+to\b
            |migrate\b|port\b)
    | \b(?:CI|workflow|formatting|warnings?|consisten(?:t|cy)
        |co-authored|signed-off|dependabot|renovate|changelog|typo|readme|whitespace|checkstyle|lint(?:er
        |ing)?|indentation|reviewer|pull\s+request|code\s+review|travis|github\s+actions|docstring
        |javadoc)\b""",
    re.X | re.I,
)
_HUNK = re.compile(rb"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")


@dataclass(frozen=True, slots=True)
class Change:
    """A function as a commit left it."""

    subject: str
    commit: str
    path: str
    language: str
    function: Described


def subject_of(line: str) -> str:
    """What a commit's subject says about the code, "" when it says nothing that could be searched for."""
    text = line.strip()
    for _ in range(3):
        text = _SUFFIX.sub("", _PREFIX.sub("", text, count=1))
    text = text.strip(" .:-")
    if _SAYS_NOTHING.search(text) or not worth_reading(text):
        return ""
    return text


def is_about(subject: str, function: Described) -> bool:
    """Whether a subject and a function have a word in common; those that have none are rarely so."""
    said = {word[:STEM] for word in split_words(subject) if len(word) >= 3 and word not in COMMON_WORDS}
    return any(word[:STEM] in said for word in split_words(f"{function.name} {function.code}"))


def changes(repository: Path, most: int) -> Iterator[Change]:
    """What the newest `most` commits whose subject says something changed, newest first.

    A commit whose diff or blob the copy lacks is passed over.
    """
    listed = git(repository, "log", "--no-merges", f"-n{MOST_SUBJECTS}", "--format=%H %s", "HEAD")
    subjects: dict[str, str] = {}
    for line in listed.split("\n"):
        commit, _, said = line.partition(" ")
        subject = subject_of(said)
        if subject:
            subjects[commit] = subject
            if len(subjects) >= most:
                break
    if not subjects:
        return
    with Blobs(repository) as blobs:
        for commit, files in _diffs(repository, list(subjects)):
            if len(files) <= MOST_CHANGED_FILES:
                yield from _changed(blobs, subjects[commit], commit, files)


def _changed(
    blobs: Blobs, subject: str, commit: str, files: list[tuple[str, str, list[tuple[int, int]]]]
) -> Iterator[Change]:
    found: list[Change] = []
    for path, blob, rows in files:
        if not is_wanted(path):
            continue
        data = blobs.read(blob)
        language = parsed_language(path, data)
        if not language or len(data) > LARGEST_CHANGED:
            continue
        for function in definitions(language, data):
            if function.kind in ("function", "method") and any(
                function.first <= last and first <= function.last for first, last in rows
            ):
                found.append(Change(subject, commit, path, language, function))
        if len(found) > MOST_CHANGED_FUNCTIONS:
            return
    yield from (change for change in found if is_about(subject, change.function))


def _diffs(
    repository: Path, commits: list[str]
) -> Iterator[tuple[str, list[tuple[str, str, list[tuple[int, int]]]]]]:
    """(commit, [(path, blob, changed rows of the new file, from 0)]); files that were changed, not added."""
    command = git_command(
        repository, "diff-tree", "--stdin", "-r", "-p", "-U0", "--full-index", "--no-ext-diff",
        "--no-textconv",
        "--no-color", "--no-renames", "--diff-filter=M",
    )  # fmt: skip
    for start in range(0, len(commits), COMMITS_AT_ONCE):
        listed = ("\n".join(commits[start : start + COMMITS_AT_ONCE]) + "\n").encode()
        yield from _read_diffs(command, listed)


def _read_diffs(
    command: list[str], commits: bytes
) -> Iterator[tuple[str, list[tuple[str, str, list[tuple[int, int]]]]]]:
    """Line by line: a commit that changed a vendored library can be gigabytes of diff."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write(commits)
        process.stdin.close()
        commit = ""
        files: list[tuple[str, str, list[tuple[int, int]]]] = []
        blob = path = ""
        for line in process.stdout:
            line = line.rstrip(b"\n")
            if line[:1] == b"@":
                match = _HUNK.match(line)
                if match and files:
                    first, count = int(match[1]), int(match[2] or 1)
                    files[-1][2].append((first - 1, first - 1 + max(count - 1, 0)))
            elif len(line) == 40 and not line.strip(b"0123456789abcdef"):
                if commit:
                    yield commit, files
                commit, files = line.decode(), []
            elif line.startswith(b"diff --git "):
                path = blob = ""
            elif line.startswith(b"index "):
                blob = line.split(b" ")[1].split(b"..")[1].decode()
            elif line.startswith(b"+++ b/") and blob:
                path = line[6:].decode("utf-8", "replace").rstrip("\t\r")
                files.append((path, blob, []))
                blob = ""
        if commit:
            yield commit, files
