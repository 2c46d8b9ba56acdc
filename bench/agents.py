"""What an agent gets from one call: functions found, and the tokens that the answer takes, beside ripgrep.

    python -m bench.agents --eval EVAL --trees TREES [--sets asked,issue_functions] [--out FOLDER]

Asked are questions in plain words (`asked`) and whole issues (`issue_functions`, made by
`bench.issue_functions`), one call each, of `modstar mcp` as a process, by the official SDK's client. Each
tree is indexed before, at exit 0 alone: what an agent finds in its first minutes. The best thirty are read
whole, so that counts are the same on a busy machine: an idle one does that within the second that an agent
waits (`bench.cascade`).

The answer of the `search` tool is read as its text stands: a place counts as the function when its lines and
the function's share half of the shorter. Of `rg` (bench/ripgrep.py says how it is asked) a function counts as
soon as one line of it is shown. Its answers are cut at two lengths: the mean of the search tool's in the same
set, and the most that one takes. A token is four characters, for both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mcp import Client, StdioServerParameters, stdio_client

from bench import ripgrep
from bench.asking import ASKED, ISSUE_FUNCTIONS, Sources
from bench.options import names
from evaluation.metrics import Floats, Interval, bootstrap_means, interval, paired_interval
from evaluation.record import Record, command_line, progress, table
from evaluation.sets import Function, FunctionQuery, FunctionSet, SetError
from modstar_lsp.encoder import open_bundle
from modstar_lsp.errors import ModstarError
from modstar_lsp.workspace import Workspace

SETS = (ASKED, ISSUE_FUNCTIONS)
CHARS_A_TOKEN = 4
# What is given to the tool beside the question.
SEARCH, PLACES = "search", "search, places only"
TOOL_WAYS: Mapping[str, Mapping[str, Any]] = {SEARCH: {}, PLACES: {"lines": 0}}
# Longer than reading takes on any machine.
BUDGET = "60s"
# The most tokens that the search tool answers with, when nobody says otherwise.
MOST_TOKENS = 2_000
ALL_WORDS, RAREST = "rg, all words", "rg, rarest word"

# What a busy machine adds to an answer: an idle one has looked through a tree before it answers.
_HURRIED = re.compile(r"\n\([^\n]*; ask again for the rest\)")
_PLACE = re.compile(r"  lines (\d+)-(\d+)\b")


@dataclass(slots=True)
class Measured:
    """What became of each question: how many of its functions the answer shows, and the answer's tokens."""

    found: list[float] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)

    def take(self, found: int, text: str) -> None:
        """Count one answer."""
        self.found.append(found)
        self.tokens.append(len(text) / CHARS_A_TOKEN)

    @property
    def any(self) -> Floats:
        """1 where at least one function was found."""
        return (np.array(self.found) > 0).astype(float)

    def per_thousand(self) -> Interval:
        """Functions for a thousand tokens, all answers together; resampled as pairs."""
        found, tokens = (np.array(some, float) for some in (self.found, self.tokens))
        low, high = np.quantile(bootstrap_means(found) / bootstrap_means(tokens), [0.025, 0.975])
        return Interval(
            1_000 * float(found.sum() / max(tokens.sum(), 1)), 1_000 * float(low), 1_000 * float(high)
        )


def places(text: str) -> Iterator[tuple[str, int, int]]:
    """(path, first, last line) of every place that an answer of the search tool names."""
    path = ""
    for line in text.split("\n"):
        if match := _PLACE.match(line):
            yield path, int(match[1]), int(match[2])
        elif line and not line.startswith(" "):
            path = line


def shown_functions(query: FunctionQuery, text: str) -> set[Function]:
    """The functions of a question that an answer of the search tool shows."""
    return {one for at in places(text) for one in query.answers if one.is_hit(*at)}


@dataclass(slots=True)
class Server:
    """What a server said of one tree. answers: to every question, for each of TOOL_WAYS.

    standing: characters of what it says of itself before any question.  status: of its index at the end.
    """

    answers: dict[str, list[str]]
    standing: int
    status: str


async def ask_server(
    tree: Path, index_dir: Path, bundle: Path | None, questions: Sequence[str], ways: Sequence[str]
) -> Server:
    """Start `modstar mcp` over a tree and call its search tool with each question. Raises SetError."""
    words = ["-m", "modstar_lsp", "mcp", "--exit", "0", "--budget", BUDGET, "--index-dir", str(index_dir)]
    words += [] if bundle is None else ["--bundle", str(bundle)]
    command = StdioServerParameters(command=sys.executable, args=[*words, str(tree)])
    async with Client(stdio_client(command)) as client:
        tools = [tool.model_dump(exclude_none=True) for tool in (await client.list_tools()).tools]
        standing = len(client.instructions or "") + len(json.dumps(tools, ensure_ascii=False))
        answers: dict[str, list[str]] = {way: [] for way in ways}
        for question in questions:
            for way in ways:
                called = await client.call_tool("search", {"query": question, **TOOL_WAYS[way]})
                text = "".join(getattr(part, "text", "") for part in called.content)
                answers[way].append(_HURRIED.sub("", text))
        status = await client.call_tool("status", {})
        said = "".join(getattr(part, "text", "") for part in status.content).splitlines()[-1]
        return Server(answers, standing, said.partition(": ")[2])


@dataclass(slots=True)
class Asked:
    """A set that was asked. ways: name -> measured.  standing: as of `Server`.  status: tree -> its index."""

    ways: dict[str, Measured]
    standing: int = 0
    status: dict[str, str] = field(default_factory=dict)


def measure(found: FunctionSet, sources: Sources) -> Asked:
    """Ask a set of both. Raises SetError, ModstarError."""
    asked = Asked({way: Measured() for way in TOOL_WAYS})
    ripgrep.program()  # before an hour of work
    for repo, tree in found.trees.items():
        progress(f"{found.name}: {repo}")
        with Workspace.open(tree, index_dir=sources.index_dir, bundle=sources.bundle) as workspace:
            workspace.refresh()
        queries = [query for query in found.queries if query.repo == repo]
        texts = [query.text for query in queries]
        server = asyncio.run(ask_server(tree, sources.index_dir, sources.bundle, texts, list(TOOL_WAYS)))
        for way, answers in server.answers.items():
            for query, text in zip(queries, answers, strict=True):
                asked.ways[way].take(len(shown_functions(query, text)), text)
        asked.standing, asked.status[repo] = server.standing, server.status
    cuts = {"as long": float(np.mean(asked.ways[SEARCH].tokens)), f"{MOST_TOKENS} tokens": MOST_TOKENS}
    # In the order of the trees, as the tool was asked.
    for repo, tree in found.trees.items():
        for query in (query for query in found.queries if query.repo == repo):
            progress(f"{found.name}: rg, {query.id}")
            words = ripgrep.words_of(query.text)
            lines = ripgrep.lines_with(words, tree)
            ranked = {ALL_WORDS: ripgrep.by_all_words(lines), RAREST: ripgrep.by_rarest_word(lines, words)}
            for way, best in ranked.items():
                for cut, tokens in cuts.items():
                    text, inside = ripgrep.shown(best, tokens * CHARS_A_TOKEN)
                    seen = {
                        one
                        for line in inside
                        for one in query.answers
                        if line.path == one.path and one.start <= line.number <= one.end
                    }
                    asked.ways.setdefault(f"{way}, {cut}", Measured()).take(len(seen), text)
    progress("")
    return asked


def tables(of_set: str, asked: Asked) -> Iterator[str]:
    """What was found and what it took, and the search tool beside each of the others."""
    ways = asked.ways
    yield table(
        f"{of_set}: {len(ways[SEARCH].found)} asked, one call each",
        ["", "one function at least", "functions a call", "tokens a call", "functions per 1,000 tokens"],
        [
            [
                way,
                str(interval(one.any)),
                str(interval(np.array(one.found))),
                f"{np.mean(one.tokens):.0f}",
                str(one.per_thousand()),
            ]
            for way, one in ways.items()
        ],
    )
    ours = ways[SEARCH]
    yield table(
        f"{of_set}: the search tool minus the others, paired (* excludes 0)",
        ["", "one function at least", "functions a call"],
        [
            [
                way,
                paired_interval(ours.any, one.any).as_gap(),
                paired_interval(np.array(ours.found), np.array(one.found)).as_gap(),
            ]
            for way, one in ways.items()
            if way not in TOOL_WAYS
        ],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m bench.agents",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--eval", type=Path, required=True, metavar="FOLDER", help="the evaluation sets")
    add("--trees", type=Path, required=True, metavar="FOLDER", help="trees: SET/REPOSITORY/...")
    add("--sets", type=names, default=SETS, metavar="NAMES", help=f"with commas ({','.join(SETS)})")
    add("--bundle", type=Path, metavar="DIR", help="a bundle; the packaged one by default")
    add(
        "--index-dir",
        type=Path,
        metavar="DIR",
        help="keep the indexes here, deepened by what earlier runs did",
    )
    add("--out", type=Path, default=Path(__file__).parent / "results", help="where the record goes")
    args = parser.parse_args(argv)
    try:
        bundle = open_bundle(args.bundle)
        with tempfile.TemporaryDirectory(prefix="modstar-agents-") as scratch:
            sources = Sources(args.eval, args.trees, args.bundle, args.index_dir or Path(scratch))
            sets = {name: sources.functions(name) for name in args.sets}
            asked = {name: measure(found, sources) for name, found in sets.items()}
    except (SetError, ModstarError) as error:
        print(f"bench.agents: {error}", file=sys.stderr)
        return 2
    standing = max(one.standing for one in asked.values()) / CHARS_A_TOKEN
    record = Record(
        what="-".join(["agents", *sets]),
        command=command_line("bench.agents", argv),
        bundle=bundle.digest,
        inputs={key: digest for found in sets.values() for key, digest in found.digests.items()},
        results={name: _result(one) for name, one in asked.items()},
        tables=[shown for name, one in asked.items() for shown in tables(name, one)],
        notes=[
            f"a token is {CHARS_A_TOKEN} characters of an answer",
            f"instructions and tools that a client is told once a session: {standing:.0f} tokens",
            "search: a place and the function share half of the shorter; rg: a line of the function is shown",
        ],
    )
    written = record.write(args.out)
    print("\n".join(record.notes), *record.tables, f"written: {written.name}", sep="\n\n")
    return 0


def _result(asked: Asked) -> dict[str, object]:
    ways = {
        way: {
            "one": round(float(one.any.mean()), 4),
            "functions_a_call": round(float(np.mean(one.found)), 4),
            "tokens_a_call": round(float(np.mean(one.tokens)), 1),
            "functions_per_1000_tokens": round(one.per_thousand().mean, 4),
            "found": [int(count) for count in one.found],
            "tokens": [round(count) for count in one.tokens],
        }
        for way, one in asked.ways.items()
    }
    return {"ways": ways, "indexes": asked.status}


if __name__ == "__main__":
    sys.exit(main())
