"""How fast the language server answers an editor, as a process at the other end of a pipe.

    python -m bench.lsp --trees FOLDER [--only start,query,...] [--work DIR]

start   from the start of the process to the answer to `initialize`.
first   from the start of the process to the first hits, in a workspace of 2,000 files never seen.
query   from request to response on a workspace of 100,000 chunks, one question after the other; also while
        its index waits to be deepened.
agent   the same questions to `modstar mcp` on the same index; and from its start to the list of its tools.
busy    the same as `query` while 1,000 files of it are indexed again, as after switching a branch.
saving  the same, ten questions a second, while a file is saved every second.
save    from writing a file of that workspace to the first answer that holds what was written: told by the
        client at once (as VS Code does), and found out by the server itself (as in Neovim).
typing  a didChange in a document of 10,000 lines: what each of a thousand adds to the next answer, and how
        long a trivial request behind one takes while questions are being answered.
end     from `exit` to the end of the process, in the middle of indexing.

The large workspace is indexed at exit 0, once for each folder that --work names, and left as it was: nobody
should sit through the deepening of 100,000 chunks. Nothing here fails on a slow machine: the table says what
was promised and whether it held.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.big_tree import Laid, lay_out
from bench.figures import Figures
from bench.speed import QUESTIONS
from evaluation.record import progress, tree_digest
from evaluation.sets import SetError
from modstar_lsp.errors import ModstarError

PARTS = ("start", "first", "query", "agent", "busy", "saving", "save", "typing", "end")
CHUNKS = 100_000
FIRST_FILES = 2_000
# Files changed at once to keep the indexer busy: what switching a branch does. It is over when what was
# written to each of some of them is found.
BUSY_FILES = 1_000
_LOOKED_FOR = 10
# Every so many questions one is about what was written, and is not timed: it has no answer at first.
_LOOK_EACH = 5
# Saves while questions are asked, how far apart, and how far apart the questions (seconds).
SAVES, _SAVE_EVERY, _ASK_EVERY = 60, 1.0, 0.1
# The rest between two saves that are timed (seconds).
_REST = 0.2
LINES = 10_000
CHANGES = 1_000
# Questions before anything is measured: the server takes its graph of neighbours up after 50.
WARM_QUESTIONS = 60
# Looks at whether a saved file is found, and how long to go on looking (seconds).
_LOOK_EVERY = 0.005
_LOOK_FOR = 60.0
_WAIT = 600.0

_NO_DEEPENING = ("--exit", "0")

# What VS Code and Neovim declare, as far as the server cares.
TELLS = {"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}}}
TELLS_NOT = {"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": False}}}


class Client:
    """A language server process and the client's end of it."""

    def __init__(self, command: Sequence[str], index_dir: Path, options: Sequence[str] = ()) -> None:
        self._ids = itertools.count(1)
        self._answers: dict[int, tuple[float, dict[str, Any]]] = {}
        self._news = threading.Condition()
        self._ended = False
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            [*command, "--index-dir", str(index_dir), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> float:
        """End the process as editors do; seconds until it is gone."""
        begin = time.perf_counter()
        with suppress(SetError):
            self.notify("exit", None)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        return time.perf_counter() - begin

    @property
    def pid(self) -> int:
        """Of the server."""
        return self._process.pid

    def cpu_seconds(self) -> float | None:
        """Processor time that the server, without its indexing process, has used; None where nobody tells."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError, AttributeError):
            return None

    def notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def ask(self, method: str, params: Any) -> tuple[int, float]:
        """Send a request: its number, and when it was sent."""
        number, now = next(self._ids), time.perf_counter()
        self._send({"id": number, "method": method, "params": params})
        return number, now

    def answer(self, number: int) -> tuple[float, dict[str, Any]]:
        """When the response came, and what it is."""
        with self._news:
            if not self._news.wait_for(lambda: number in self._answers or self._ended, _WAIT):
                raise SetError(f"no answer within {_WAIT:.0f} s")
            if number not in self._answers:
                raise SetError("the server ended")
            return self._answers.pop(number)

    def request(self, method: str, params: Any) -> tuple[float, Any]:
        """(seconds, result) of a request."""
        number, sent = self.ask(method, params)
        came, message = self.answer(number)
        if "error" in message:
            raise SetError(f"{method}: {message['error']['message']}")
        return came - sent, message["result"]

    def open(self, folder: Path, capabilities: dict[str, Any]) -> float:
        """Open a workspace; seconds from the start of the process to the answer to `initialize`."""
        number, _ = self.ask(
            "initialize",
            {
                "processId": None,
                "capabilities": capabilities,
                "workspaceFolders": [{"uri": folder.as_uri(), "name": folder.name}],
            },
        )
        came, _ = self.answer(number)
        self.notify("initialized", {})
        return came - self.started

    def ready(self) -> dict[str, Any]:
        """Wait until the workspace is indexed, at whatever exit; its coverage."""
        while True:
            coverage: dict[str, Any] = self.request("modstar/status", {})[1]["folders"][0]["coverage"]
            if coverage["state"] in ("ready", "deepening"):
                return coverage
            if coverage["state"] in ("failed", "off"):
                raise SetError("the workspace cannot be indexed")
            time.sleep(0.1)

    def search(self, query: str, **filters: Any) -> tuple[float, list[dict[str, Any]]]:
        """(seconds, hits) of a question."""
        seconds, answer = self.request("modstar/search", {"query": query, **filters})
        return seconds, answer["hits"]

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            self._process.stdin.flush()
        except OSError:
            raise SetError("the server ended") from None

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while line := stream.readline():
            length = int(line.partition(b":")[2])
            while stream.readline().strip():
                pass
            body = stream.read(length)
            now = time.perf_counter()
            message = json.loads(body)
            if "method" not in message:
                with self._news:
                    self._answers[message["id"]] = now, message
                    self._news.notify_all()
            elif "id" in message:
                with suppress(SetError):
                    self._send({"id": message["id"], "result": None})
        with self._news:
            self._ended = True
            self._news.notify_all()


@dataclass(slots=True, kw_only=True)
class Bench(Figures):
    """What the parts share: the command, where to work, how much to do, and what was found."""

    server: list[str]
    trees: Path
    rounds: int
    chunks: int
    first_files: int
    questions: int
    inputs: dict[str, str] = field(default_factory=dict)
    _indexed: bool = False

    def spread(
        self, what: str, seconds: Sequence[float], p50: float | None = None, p95: float | None = None
    ) -> None:
        """Keep the median and the 95th percentile (promised, in ms: `p50`, `p95`)."""
        self.raw[what] = [round(second * 1e3, 3) for second in seconds]
        median = statistics.median(seconds) * 1e3
        high = statistics.quantiles(seconds, n=20, method="inclusive")[-1] * 1e3
        promises = [f"p50 under {p50:g} ms"] if p50 is not None else []
        promises += [f"p95 under {p95:g} ms"] if p95 is not None else []
        held = (p50 is None or median < p50) and (p95 is None or high < p95)
        self.note(
            f"{what} ({len(seconds)})",
            f"p50 {median:.2f} ms, p95 {high:.2f} ms, worst {max(seconds) * 1e3:.1f} ms",
            ", ".join(promises),
            held if promises else None,
        )

    def median(self, name: str, what: str, seconds: Sequence[float], promised: float) -> None:
        """Note the median of `seconds`, kept whole as `name`, and whether it is below what is promised."""
        self.raw[name] = list(seconds)
        median = statistics.median(seconds)
        self.note(f"{what} ({len(seconds)})", f"{median:.3f} s", f"under {promised} s", median < promised)

    def client(self, index_dir: Path, options: Sequence[str] = ()) -> Client:
        return Client(self.server, index_dir, options)

    def laid_out(self, name: str, *, chunks: int = 0, files: int = 0) -> tuple[Path, Laid]:
        """A workspace of that size, and what it holds."""
        tree = self.work / name
        laid = lay_out(self.trees, tree, chunks=chunks, files=files)
        if name not in self.inputs:
            self.inputs[name] = tree_digest(tree)
        return tree, laid

    def big(self, capabilities: dict[str, Any] | None = None) -> tuple[Client, Path]:
        """A server that has indexed the large workspace at exit 0 and answered some questions; its folder."""
        tree, _ = self.laid_out(f"chunks-{self.chunks}", chunks=self.chunks)
        if not self._indexed:  # whole, so that no part begins while another's leftovers are done
            progress(f"indexing {tree.name}")
            index = [sys.executable, "-m", "modstar_lsp.cli.index", "--index-dir", str(self.work / "indexes")]
            done = subprocess.run([*index, str(tree)], capture_output=True, text=True, check=False)
            if done.returncode:
                raise SetError(f"{tree.name} cannot be indexed: {done.stderr.strip()}")
            progress("")
            self._indexed = True
        client = self.client(self.work / "indexes", _NO_DEEPENING)
        try:
            client.open(tree, capabilities or TELLS)
            client.ready()
            _warm(client)
        except BaseException:
            client.end()
            raise
        return client, tree


def start(bench: Bench) -> None:
    """From the start of the process to the answer to `initialize`."""
    folder = bench.empty()
    seconds = []
    for _ in range(2 * bench.rounds + 1):
        with bench.client(bench.empty()) as client:
            seconds.append(client.open(folder, TELLS))
    bench.median("start", "process start to the answer to initialize", seconds, 0.9)


def first(bench: Bench) -> None:
    """From the start of the process to the first hits in a workspace never seen."""
    tree, laid = bench.laid_out(f"files-{bench.first_files}", files=bench.first_files)
    seconds, shares, whole = [], [], []
    for turn in range(bench.rounds + 1):
        progress(f"first: round {turn}")
        with bench.client(bench.empty()) as client:
            client.open(tree, TELLS)
            hits: list[dict[str, Any]] = []
            while not hits:
                number, _ = client.ask("modstar/search", {"query": QUESTIONS[0], "minScore": 0})
                came, message = client.answer(number)
                hits = message["result"]["hits"]
            if turn:  # one unmeasured, so that the files are in the system's cache in all the others
                seconds.append(came - client.started)
                shares.append(message["result"]["coverage"]["share"])
            client.ready()
            if turn:
                whole.append(time.perf_counter() - client.started)
    bench.raw["first"] = {"seconds": seconds, "shares": shares, "whole": whole}
    median = statistics.median(seconds)
    bench.note(
        f"process start to the first hits, {laid.files:,} files never seen ({len(seconds)})",
        f"{median:.2f} s, with {statistics.median(shares):.0%} known",
        "under 2 s",
        median < 2,
    )
    bench.note("  and until all of it is known", f"{statistics.median(whole):.1f} s")


class Edits:
    """Writes to files of a workspace, and leaves them as they were."""

    def __init__(self) -> None:
        self._sizes: dict[Path, int] = {}

    def __enter__(self) -> Edits:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path, size in self._sizes.items():
            os.truncate(path, size)

    def append(self, path: Path) -> str:
        """Add a line to a file; the word in it, which nothing else holds."""
        self._sizes.setdefault(path, path.stat().st_size)
        word = _unheard_of()
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n# {word}\n")
        return word


def _warm(client: Client) -> None:
    for query in itertools.islice(itertools.cycle(QUESTIONS), WARM_QUESTIONS):
        client.search(query)


def query(bench: Bench) -> None:
    """Questions over the pipe on the large workspace."""
    client, tree = bench.big()
    with client:
        chunks = client.ready()["chunks"]
        before = client.cpu_seconds()
        seconds = _ask(client, bench.questions)
        after = client.cpu_seconds()
        taken = [client.request("modstar/search", {"query": text})[1]["took"] / 1e3 for text in QUESTIONS]
    bench.spread(f"query over stdio, {chunks:,} chunks", seconds, 15, 40)
    bench.note("  of which inside the server", f"p50 {statistics.median(taken) * 1e3:.2f} ms")
    if before is not None and after is not None:
        each = (after - before) / bench.questions
        bench.note("  processor time of the server, a question", f"mean {each * 1e3:.2f} ms")
    # Of a copy: deepening changes the index.
    indexes = bench.empty() / "indexes"
    shutil.copytree(bench.work / "indexes", indexes)
    with bench.client(indexes) as client:
        client.open(tree, TELLS)
        client.ready()
        _warm(client)
        seconds = _ask(client, bench.questions)
    bench.spread("  and while its deepening waits for the questions to end", seconds, 15, 40)


def _ask(client: Client, count: int) -> list[float]:
    """The seconds that each of so many questions took."""
    return [client.search(text)[0] for text in itertools.islice(itertools.cycle(QUESTIONS), count)]


class Agent:
    """A `modstar mcp` process and the client's end of it. tools: seconds from its start to their list."""

    def __init__(self, index_dir: Path, tree: Path) -> None:
        begin = time.perf_counter()
        options = (*_NO_DEEPENING, "--budget", "0", "--index-dir", str(index_dir))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "modstar_lsp", "mcp", *options, str(tree)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        who = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "b", "version": ""},
        }
        self.request("initialize", who)
        self.request("tools/list", {})
        self.tools = time.perf_counter() - begin

    def __enter__(self) -> Agent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()  # it ends with its input
        self._process.wait(_WAIT)

    def request(self, method: str, params: Any) -> float:
        """Seconds until the answer, which is no error. Raises SetError."""
        assert self._process.stdin is not None and self._process.stdout is not None
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        begin = time.perf_counter()
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or b"{}")
        if "result" not in answer or answer["result"].get("isError"):
            raise SetError(f"modstar mcp: {method}: {answer}")
        return time.perf_counter() - begin

    def search(self, query: str) -> float:
        """Seconds that a question takes."""
        return self.request("tools/call", {"name": "search", "arguments": {"query": query}})


def agent(bench: Bench) -> None:
    """The questions of `query` to the server for agents, which looks for what has changed before each."""
    starts = []
    for _ in range(2 * bench.rounds + 1):
        with Agent(bench.empty(), bench.empty()) as one:
            starts.append(one.tools)
    bench.median("agent start", "modstar mcp: process start to the list of its tools", starts, 0.5)
    client, tree = bench.big()
    with client:
        chunks = client.ready()["chunks"]
    with Agent(bench.work / "indexes", tree) as one:
        for text in itertools.islice(itertools.cycle(QUESTIONS), WARM_QUESTIONS):
            one.search(text)
        seconds = [one.search(text) for text in itertools.islice(itertools.cycle(QUESTIONS), bench.questions)]
    bench.spread(f"modstar mcp: search over its pipe, {chunks:,} chunks", seconds, 15, 40)


def busy(bench: Bench) -> None:
    """Questions while part of the large workspace is indexed again."""
    seconds: list[float] = []
    client, tree = bench.big()
    with client, Edits() as edits:
        chunks = client.ready()["chunks"]
        changed = _sources(tree, BUSY_FILES)
        questions = itertools.cycle(QUESTIONS)
        for _ in range(bench.rounds):
            words = {path: edits.append(path) for path in changed}
            tell(client, changed)
            awaited = changed[:: max(1, len(changed) // _LOOKED_FOR)]
            deadline = time.perf_counter() + _WAIT
            while awaited:
                if time.perf_counter() > deadline:
                    raise SetError(f"{awaited[0]} was changed and is not found")
                seconds += [client.search(next(questions))[0] for _ in range(_LOOK_EACH)]
                awaited = [path for path in awaited if not _holds(client, words[path], path, tree)[1]]
    bench.spread(f"query while {len(changed):,} files are indexed again, {chunks:,} chunks", seconds, 15, 40)


def saving(bench: Bench) -> None:
    """Questions while files of the large workspace are saved, one after the other."""
    seconds: list[float] = []
    client, tree = bench.big()
    with client, Edits() as edits:
        chunks = client.ready()["chunks"]
        changed = _sources(tree, min(SAVES, 12 * bench.rounds))
        questions = itertools.cycle(QUESTIONS)
        begin = time.perf_counter()
        for number, path in enumerate(changed, 1):
            edits.append(path)
            tell(client, [path])
            while time.perf_counter() < begin + number * _SAVE_EVERY:
                asked = time.perf_counter()
                seconds.append(client.search(next(questions))[0])
                time.sleep(max(0.0, asked + _ASK_EVERY - time.perf_counter()))
    bench.spread(f"query while a file is saved every second, {chunks:,} chunks", seconds, 15, 40)


def save(bench: Bench) -> None:
    """From writing a file to the first answer with what was written."""
    for what, capabilities, told in (
        ("saved to searchable, told by the client", TELLS, True),
        ("saved to searchable, watched by the server", TELLS_NOT, False),
    ):
        seconds = []
        client, tree = bench.big(capabilities)
        with client, Edits() as edits:
            time.sleep(1.0 if told else 5.0)  # setting the watches of a large tree up takes a while
            for path in _sources(tree, 10 * bench.rounds):
                begin = time.perf_counter()
                word = edits.append(path)
                if told:
                    tell(client, [path])
                seconds.append(_found(client, word, path, tree) - begin)
                time.sleep(_REST)
        bench.spread(what, seconds, None, 300)


def _holds(client: Client, word: str, path: Path, tree: Path) -> tuple[float, bool]:
    """(when the answer came, whether `path` is among the hits for a word)."""
    number, _ = client.ask("modstar/search", {"query": word, "minScore": 0, "limit": 20})
    came, message = client.answer(number)
    name = path.relative_to(tree).as_posix()
    return came, any(hit["path"] == name for hit in message["result"]["hits"])


def _found(client: Client, word: str, path: Path, tree: Path) -> float:
    """When the answer came that first held `path` for `word`."""
    deadline = time.perf_counter() + _LOOK_FOR
    while time.perf_counter() < deadline:
        came, held = _holds(client, word, path, tree)
        if held:
            return came
        time.sleep(_LOOK_EVERY)
    raise SetError(f"{path} was saved and is not found")


def typing(bench: Bench) -> None:
    """What a didChange costs the server, alone and while it answers questions."""
    client, tree = bench.big()
    path = tree / "typing.py"
    text = "".join(f"value_{n} = compute({n}, other_{n})\n" for n in range(LINES))
    with client:
        document = {"uri": path.as_uri(), "languageId": "python", "version": 1, "text": text}
        client.notify("textDocument/didOpen", {"textDocument": document})
        version = itertools.count(2)

        def type_a_key() -> None:
            number = next(version)
            at = {"line": LINES // 2, "character": 0}
            client.notify(
                "textDocument/didChange",
                {
                    "textDocument": {"uri": path.as_uri(), "version": number},
                    "contentChanges": [{"range": {"start": at, "end": at}, "text": "x"}],
                },
            )

        def trivial() -> float:
            """Seconds for the refusal of an unknown request: what any message waits for."""
            number, sent = client.ask("modstar/nothing", {})
            return client.answer(number)[0] - sent

        alone = [trivial() for _ in range(200)]
        each = []
        for _ in range(bench.rounds):
            begin = time.perf_counter()
            for _ in range(CHANGES):
                type_a_key()
            trivial()
            each.append((time.perf_counter() - begin) / CHANGES)
        behind = []
        stop = threading.Event()
        asking = threading.Thread(target=_ask_on, args=(client, stop), daemon=True)
        asking.start()
        for _ in range(200):
            type_a_key()
            behind.append(trivial())
            time.sleep(0.01)
        stop.set()
        asking.join()
    bench.raw["typing"] = {"each": each, "alone": alone}
    cost = statistics.median(each) * 1e3
    bench.note(
        f"a didChange in {LINES:,} lines ({bench.rounds} times {CHANGES:,})",
        f"{cost:.3f} ms",
        "under 1 ms",
        cost < 1,
    )
    bench.note("a trivial request, server idle", f"p50 {statistics.median(alone) * 1e3:.2f} ms")
    bench.spread("didChange and a trivial request, while questions are answered", behind)


def end(bench: Bench) -> None:
    """From `exit` to the end of the process, while a workspace is indexed for the first time."""
    tree, _ = bench.laid_out(f"files-{bench.first_files}", files=bench.first_files)
    seconds = []
    for _ in range(bench.rounds):
        with bench.client(bench.empty()) as client:
            client.open(tree, TELLS)
            client.search(QUESTIONS[0])
            seconds.append(client.end())
    bench.raw["end"] = seconds
    worst = max(seconds)
    bench.note(
        f"exit to the end of the process, while it indexes ({len(seconds)})",
        f"worst {worst * 1e3:.0f} ms",
        "under 1 s",
        worst < 1,
    )


def _ask_on(client: Client, stop: threading.Event) -> None:
    for query in itertools.cycle(QUESTIONS):
        if stop.is_set():
            return
        client.search(query)


def _unheard_of() -> str:
    """A word that no source holds."""
    number, letters = time.time_ns(), ""
    while number:
        number, digit = divmod(number, 20)
        letters += "bcdfghjklmnpqrstvwxz"[digit]
    return letters


def _sources(tree: Path, count: int) -> list[Path]:
    """Source files to change, of a middling size, not such as ranking holds back, from all over the tree."""
    found = [
        path
        for path in sorted(tree.rglob("*.py"))
        if "test" not in path.relative_to(tree).as_posix() and 1_000 < path.stat().st_size < 30_000
    ]
    if not found:
        raise SetError(f"no source file to change below {tree}")
    return found[:: max(1, len(found) // count)][:count]


def tell(client: Client, paths: Sequence[Path]) -> None:
    """Says, as VS Code does, that files were written."""
    changes = [{"uri": path.as_uri(), "type": 2} for path in paths]
    client.notify("workspace/didChangeWatchedFiles", {"changes": changes})


_DO: dict[str, Callable[[Bench], None]] = {
    "start": start,
    "first": first,
    "query": query,
    "agent": agent,
    "busy": busy,
    "saving": saving,
    "save": save,
    "typing": typing,
    "end": end,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m bench.lsp",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--trees", type=Path, required=True, metavar="FOLDER", help="trees: SET/REPOSITORY/..."
    )
    parser.add_argument("--only", default=",".join(PARTS), help="parts (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="times that each is done (%(default)s)")
    parser.add_argument("--chunks", type=int, default=CHUNKS, help="of the large workspace (%(default)s)")
    parser.add_argument("--files", type=int, default=FIRST_FILES, help="of the new one (%(default)s)")
    parser.add_argument("--questions", type=int, default=500, help="asked for `query` (%(default)s)")
    parser.add_argument("--server-command", default="", help="modstar-lsp, if not this Python's")
    parser.add_argument("--work", type=Path, help="keep the laid-out workspaces here (a temporary folder)")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results", help="where results go"
    )
    args = parser.parse_args(argv)
    parts = [part for part in args.only.split(",") if part]
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if args.rounds < 1 or args.questions < 2:
        parser.error("at least one round and two questions")
    try:
        with tempfile.TemporaryDirectory(prefix="modstar-bench-") as scratch:
            return _run(args, argv, parts, Path(scratch))
    except (SetError, ModstarError) as error:
        print(f"bench.lsp: {error}", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace, argv: Sequence[str], parts: Sequence[str], scratch: Path) -> int:
    from modstar_lsp.encoder import open_bundle

    bench = Bench(
        server=shlex.split(args.server_command) or [sys.executable, "-m", "modstar_lsp.server"],
        trees=args.trees.resolve(),
        work=(args.work or scratch).resolve(),
        rounds=args.rounds,
        chunks=args.chunks,
        first_files=args.files,
        questions=args.questions,
    )
    bench.run(_DO[part] for part in parts)
    bench.publish(
        "lsp",
        argv,
        bundle=open_bundle(None).digest,
        title="the language server",
        out=args.out,
        inputs=bench.inputs,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
