"""How fast the language server answers an editor, as a process at the other end of a pipe.

    python -m bench.lsp --trees FOLDER [--only start,first,query,busy,save,typing] [--work DIR]

start   from the start of the process to the answer to `initialize`.
first   from the start of the process to the first hits, in a workspace of 2,000 files never seen.
query   from request to response on a workspace of 100,000 chunks, one question after the other.
busy    the same while 500 files of it are indexed again.
save    from writing a file of that workspace to the first answer that holds what was written: told by the
        client at once (as VS Code does), and found out by the server itself (as in Neovim).
typing  a didChange in a document of 10,000 lines: what each of a thousand adds to the next answer, and how
        long a trivial request behind one takes while questions are being answered.

Nothing here fails on a slow machine: the table says what was promised and whether it held.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.big_tree import Laid, lay_out
from bench.figures import Figures
from bench.record import Record, command_line, progress
from bench.sets import SetError
from bench.speed import QUESTIONS
from modstar_lsp.errors import ModstarError

PARTS = ("start", "first", "query", "busy", "save", "typing")
CHUNKS = 100_000
FIRST_FILES = 2_000
# Files changed at once to keep the indexer busy: what switching a branch does.
BUSY_FILES = 500
LINES = 10_000
CHANGES = 1_000
# Questions before anything is measured: the server takes its graph of neighbours up after 50.
WARM_QUESTIONS = 60
# Looks at whether a saved file is found, and how long to go on looking (seconds).
_LOOK_EVERY = 0.005
_LOOK_FOR = 60.0
_WAIT = 600.0

# What VS Code and Neovim declare, as far as the server cares.
TELLS = {"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}}}
TELLS_NOT = {"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": False}}}


class Client:
    """A language server process and the client's end of it."""

    def __init__(self, command: Sequence[str], index_dir: Path) -> None:
        self._ids = itertools.count(1)
        self._answers: dict[int, tuple[float, dict[str, Any]]] = {}
        self._news = threading.Condition()
        self._ended = False
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            [*command, "--index-dir", str(index_dir)],
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
        with suppress(SetError):
            self.notify("exit", None)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()

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
        """Wait until the workspace is indexed; its coverage."""
        while True:
            coverage: dict[str, Any] = self.request("modstar/status", {})[1]["folders"][0]["coverage"]
            if coverage["state"] == "ready":
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

    def client(self, index_dir: Path) -> Client:
        return Client(self.server, index_dir)

    def big(self) -> tuple[Path, Path, Laid]:
        """The large workspace, the folder of its index, what it holds."""
        tree = self.work / f"chunks-{self.chunks}"
        return tree, self.work / "indexes", lay_out(self.trees, tree, chunks=self.chunks)


def start(bench: Bench) -> None:
    """From the start of the process to the answer to `initialize`."""
    folder = bench.empty()
    seconds = []
    for _ in range(2 * bench.rounds + 1):
        with bench.client(bench.empty()) as client:
            seconds.append(client.open(folder, TELLS))
    bench.raw["start"] = seconds
    median = statistics.median(seconds)
    bench.note(
        f"process start to the answer to initialize ({len(seconds)})",
        f"{median:.3f} s",
        "under 0.9 s",
        median < 0.9,
    )


def first(bench: Bench) -> None:
    """From the start of the process to the first hits in a workspace never seen."""
    tree = bench.work / f"files-{bench.first_files}"
    laid = lay_out(bench.trees, tree, files=bench.first_files)
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


def _warm(client: Client) -> None:
    for query in itertools.islice(itertools.cycle(QUESTIONS), WARM_QUESTIONS):
        client.search(query)


def query(bench: Bench) -> None:
    """Questions over the pipe on the large workspace."""
    tree, indexes, _ = bench.big()
    with bench.client(indexes) as client:
        client.open(tree, TELLS)
        client.ready()
        _warm(client)
        chunks = client.ready()["chunks"]
        questions = itertools.islice(itertools.cycle(QUESTIONS), bench.questions)
        seconds = [client.search(text)[0] for text in questions]
        taken = [client.request("modstar/search", {"query": text})[1]["took"] / 1e3 for text in QUESTIONS]
    bench.spread(f"query over stdio, {chunks:,} chunks", seconds, 15, 40)
    bench.note("  of which inside the server", f"p50 {statistics.median(taken) * 1e3:.2f} ms")


def busy(bench: Bench) -> None:
    """Questions while part of the large workspace is indexed again."""
    tree, indexes, laid = bench.big()
    changed = _sources(tree)[:: max(1, laid.files // BUSY_FILES)][:BUSY_FILES]
    seconds: list[float] = []
    with bench.client(indexes) as client:
        client.open(tree, TELLS)
        client.ready()
        _warm(client)
        chunks = client.ready()["chunks"]
        questions = itertools.cycle(QUESTIONS)
        for turn in range(bench.rounds):
            for path in changed:
                _append(path, f"touched {turn} {time.time_ns()}")
            _tell(client, changed)
            found = False
            while not found:  # the last file changed is the last one indexed, or nearly
                seconds.append(client.search(next(questions))[0])
                status = client.request("modstar/status", {})[1]["folders"][0]["coverage"]["state"]
                found = status == "ready" and len(seconds) > 20 * (turn + 1)
    bench.spread(f"query while {len(changed)} files are indexed again, {chunks:,} chunks", seconds, 15, 40)


def save(bench: Bench) -> None:
    """From writing a file to the first answer with what was written."""
    tree, indexes, laid = bench.big()
    paths = _sources(tree)[:: max(1, laid.files // (10 * bench.rounds))][: 10 * bench.rounds]
    for what, capabilities, told in (
        ("saved to searchable, told by the client", TELLS, True),
        ("saved to searchable, watched by the server", TELLS_NOT, False),
    ):
        seconds = []
        with bench.client(indexes) as client:
            client.open(tree, capabilities)
            client.ready()
            _warm(client)
            time.sleep(1.0 if told else 5.0)  # setting the watches of a large tree up takes a while
            for path in paths:
                name = _unheard_of()
                begin = time.perf_counter()
                _append(path, name)
                if told:
                    _tell(client, [path])
                seconds.append(_found(client, name, path.relative_to(tree).as_posix()) - begin)
                time.sleep(0.2)
        bench.spread(what, seconds, None, 300)


def _found(client: Client, name: str, path: str) -> float:
    """When the answer came that first held `path` for `name`."""
    deadline = time.perf_counter() + _LOOK_FOR
    while time.perf_counter() < deadline:
        number, _ = client.ask("modstar/search", {"query": name, "minScore": 0, "limit": 20})
        came, message = client.answer(number)
        hits = message["result"]["hits"]
        if any(hit["path"] == path for hit in hits):
            return came
        time.sleep(_LOOK_EVERY)
    raise SetError(f"{path} was saved and is not found")


def typing(bench: Bench) -> None:
    """What a didChange costs the server, alone and while it answers questions."""
    tree, indexes, _ = bench.big()
    path = tree / "typing.py"
    text = "".join(f"value_{n} = compute({n}, other_{n})\n" for n in range(LINES))
    with bench.client(indexes) as client:
        client.open(tree, TELLS)
        client.ready()
        _warm(client)
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


def _sources(tree: Path) -> list[Path]:
    """Source files to change, of a middling size, and not such as ranking holds back."""
    found = [
        path
        for path in sorted(tree.rglob("*.py"))
        if "test" not in path.as_posix() and 1_000 < path.stat().st_size < 30_000
    ]
    if not found:
        raise SetError(f"no source file to change below {tree}")
    return found


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n# {text}\n")


def _tell(client: Client, paths: Sequence[Path]) -> None:
    changes = [{"uri": path.as_uri(), "type": 2} for path in paths]
    client.notify("workspace/didChangeWatchedFiles", {"changes": changes})


_DO: dict[str, Callable[[Bench], None]] = {
    "start": start,
    "first": first,
    "query": query,
    "busy": busy,
    "save": save,
    "typing": typing,
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
    record = Record(
        what="lsp",
        command=command_line("bench.lsp", argv),
        bundle=open_bundle(None).digest,
        inputs={},
        results=bench.results(),
        notes=[bench.load],
    )
    record.tables.append(bench.table("the language server"))
    written = record.write(args.out)
    print(*record.tables, f"written: {written.name}", sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
