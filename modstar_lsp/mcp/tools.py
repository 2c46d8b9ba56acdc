"""The tools that an agent sees. Each checks its arguments, asks, and answers in text.

An error that the agent can mend is an answer of the tool (`isError`), where its model reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from modstar_lsp import __version__
from modstar_lsp.errors import ModstarError, QueryError, WorkspaceError
from modstar_lsp.mcp import answers
from modstar_lsp.mcp.folders import Folder, Folders
from modstar_lsp.mcp.schema import Argument, checked, schema
from modstar_lsp.printable import clean

if TYPE_CHECKING:
    from modstar_lsp.index.records import Cancelled
    from modstar_lsp.search import Hit, Results
    from modstar_lsp.search.filters import Filter
    from modstar_lsp.stores.beside import StoreBeside
    from modstar_lsp.workspace.question import Question
    from modstar_lsp.workspace.several import Found

#: What a model is told once, about all tools.
INSTRUCTIONS = """\
Search code by meaning, offline. Use `search` when you know what the code does but not what it is called, or \
with a whole error message or issue. When you know the exact text, grep is the better tool. Read the line \
ranges directly; scores are probabilities: below 0.3 look twice. Places without code are less likely. \
"no good match" means that none stands out: read the closest before you give up."""

# Places to an answer when nobody says otherwise: more are rarely read.
_PLACES = 8
_MOST_PLACES = 50
# Behind a first place that is likelier right than not, only good ones are shown; elsewhere what people are
# not shown is, too. Of 308 questions in plain words (exit 0, unread) .43 had their function among the good
# places and .69 among eight; of the 95 without a good one .11 and .65; of the 15 with a likely one as many.
_SURE = 0.5
# What scores less is noise: without it as many of them had their function among eight.
_LEAST = 0.01
# The farthest place that can be asked for.
_FARTHEST = 200
#: Seconds for which the best places are read with the question: an agent rather waits than asks again.
READING_SECONDS = 1.0
# Lines of code to a place: the definition's own, and the few that matter most.
_LINES = 5
_ANSWER_TOKENS = 2_000

_PATHS: Argument = {
    "type": "array",
    "items": {"type": "string"},
    "description": "only in these files or folders; all that the server was given by default",
}
_SHOWN: dict[str, Argument] = {
    "k": {
        "type": "integer",
        "minimum": 1,
        "maximum": _MOST_PLACES,
        "default": _PLACES,
        "description": "places at most",
    },
    "skip": {
        "type": "integer",
        "minimum": 0,
        "maximum": _FARTHEST,
        "default": 0,
        "description": "leave out so many of the best: what an answer that ends in 'more' says",
    },
    "lines": {
        "type": "integer",
        "minimum": 0,
        "maximum": 50,
        "default": _LINES,
        "description": "lines of code a place, 0 for paths and lines only",
    },
    "max_tokens": {
        "type": "integer",
        "minimum": 200,
        "maximum": 20_000,
        "default": _ANSWER_TOKENS,
        "description": "how long the answer may be",
    },
}
_FILTER_ARGUMENTS: dict[str, Argument] = {
    "paths": _PATHS,
    "language": {
        "type": "array",
        "items": {"type": "string"},
        "description": "only these languages: python, typescript, go, ...",
    },
    "glob": {
        "type": "array",
        "items": {"type": "string"},
        "description": "only paths that match one of these: *.py, src/**/*.ts; !tests/** leaves out",
    },
    "content": {
        "type": "string",
        "enum": ["all", "code", "docs", "tests", "config"],
        "default": "all",
        "description": "code (without tests), docs (prose), tests, config, or all",
    },
}
_STORED: dict[str, Argument] = {
    "repository": {
        "type": "array",
        "items": {"type": "string"},
        "description": "only these repositories of the store; its places have no code, and no file here",
    }
}
_ARGUMENT_LINE: Argument = {"type": "integer", "minimum": 1, "maximum": 10_000_000}


class Tool(NamedTuple):
    """A tool as the client lists it, and what answers a call. answer: (arguments, cancelled) -> text."""

    name: str
    title: str
    description: str
    schema: Mapping[str, Any]
    answer: Callable[[Mapping[str, Any], Cancelled], str]

    def listed(self) -> dict[str, Any]:
        """The tool in the answer to tools/list."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": self.schema,
            "annotations": {"title": self.title, "readOnlyHint": True, "openWorldHint": False},
        }

    def call(self, arguments: Mapping[str, Any], cancelled: Cancelled) -> dict[str, Any]:
        """The result of tools/call."""
        try:
            text, wrong = self.answer(checked(self.name, arguments, self.schema), cancelled), False
        except ModstarError as error:
            text, wrong = str(error), True
        return {"content": [{"type": "text", "text": text}], "isError": wrong}


class Tools:
    """All tools, over the same folders and a store. budget: seconds for reading the best places."""

    def __init__(
        self, folders: Folders, store: StoreBeside | None = None, budget: float = READING_SECONDS
    ) -> None:
        self._folders = folders
        self._store = store
        self._budget = budget
        self.all = {tool.name: tool for tool in self._tools()}

    def _tools(self) -> Iterable[Tool]:
        yield Tool(
            "search",
            "Search code by meaning",
            "Find code by what it does, by a name, or by an error message or issue. Answers with files, "
            "line ranges, names, scores (how likely it is what was asked for, 0 to 1) and some lines of "
            "code, best first; less likely ones without code, and only such when there is no good match. "
            "Everything is local, and up to date with the files on disk.",
            schema(
                {
                    "query": {
                        "type": "string",
                        "description": "a sentence, a name, or a whole issue; in one of a single line "
                        '"an exact phrase", -word, path:, lang: and in: bound it',
                    },
                    **_FILTER_ARGUMENTS,
                    **({} if self._store is None else _STORED),
                    **_SHOWN,
                },
                ["query"],
            ),
            self._search,
        )
        yield Tool(
            "similar",
            "Find similar code",
            "Find code like some lines of a file, or like a piece of code: copies, other implementations of "
            "the same. One line stands for the definition around it. The lines themselves are left out; the "
            "score says how likely a place is the same code again.",
            schema(
                {
                    "path": {"type": "string", "description": "a file; with start_line, in place of code"},
                    "start_line": _ARGUMENT_LINE | {"description": "first line, from 1"},
                    "end_line": _ARGUMENT_LINE | {"description": "last line, start_line by default"},
                    "code": {"type": "string", "description": "the code, in place of path and lines"},
                    **_FILTER_ARGUMENTS,
                    **_SHOWN,
                },
                [],
            ),
            self._similar,
        )
        yield Tool(
            "outline",
            "Outline a file",
            "The definitions in a file with their line ranges, or what is in one of them: what to read.",
            schema(
                {
                    "path": {"type": "string", "description": "a file"},
                    "symbol": {
                        "type": "string",
                        "description": "only this definition and what is in it: Name or Class.name",
                    },
                    "max_tokens": _SHOWN["max_tokens"],
                },
                ["path"],
            ),
            self._outline,
        )
        yield Tool(
            "status",
            "State of the index",
            "Which folders can be searched, what is indexed of each, and whether it is complete.",
            schema({}, []),
            self._status,
        )

    # -- search and similar

    def _search(self, given: Mapping[str, Any], cancelled: Cancelled) -> str:
        from modstar_lsp.workspace.question import Question

        question = Question.of_text(given["query"])
        return self._answer(given, lambda folder: question, cancelled, question, _LEAST)

    def _similar(self, given: Mapping[str, Any], cancelled: Cancelled) -> str:
        from modstar_lsp.workspace.outline import searched_text
        from modstar_lsp.workspace.question import Question, selected_lines

        path, first, code = given["path"], given["start_line"], given["code"]
        if (path is None) == (code is None) or (path is not None and first is None):
            raise QueryError("similar needs either path and start_line, or code")
        if code is not None:
            plain = Question.of_code(code)
            return self._answer(given, lambda folder: plain, cancelled)
        last = given["end_line"] or first
        if last < first:
            raise QueryError(f"similar: end_line {last} comes before start_line {first}")
        home, below = self._file(path)
        first, last, code = selected_lines(
            path, searched_text(home.root, below, home.workspace()), first, last
        )
        here = Question.of_code(code, (below, first, last))
        return self._answer(
            given, lambda folder: here if folder is home else here._replace(origin=None), cancelled
        )

    def _answer(
        self,
        given: Mapping[str, Any],
        question: Callable[[Folder], Question],
        cancelled: Cancelled,
        stored: Question | None = None,
        least: float | None = None,
    ) -> str:
        """What all folders asked answer together.

        question, stored: what each is asked, and the store.  least: as `min_score`, of the folders.
        """
        from modstar_lsp.search.filters import Filter
        from modstar_lsp.workspace.several import together

        named = given.get("repository") or []
        asked_folders = {} if named else self._asked(given["paths"] or [])
        bounds = _bounds(given)
        far = given["skip"] + given["k"] + 1
        if asked_folders:
            self._refresh(list(asked_folders), cancelled)
        found: list[Found] = []
        closest: list[Found] = []
        said: list[str] = []
        hints: list[str] = []  # for who finds nothing
        failed = 0
        words: frozenset[str] = frozenset()
        for folder, below in asked_folders.items():
            asked = question(folder)
            words = asked.words()
            try:
                budget = self._budget / len(asked_folders)
                results = _ask(folder, asked, far, (bounds, Filter(below=below)), budget, least, cancelled)
            except ModstarError as error:
                failed += 1
                said.append(str(error))
                continue
            if results is None:
                failed += 1
                said.append(f"{folder.root}: nothing is known of it yet ({folder.missing}); ask again soon")
                continue
            if folder.missing or results.indexed_share < 1:
                said.append(
                    f"{folder.root}: {folder.missing or 'not all is indexed yet'}; ask again for the rest"
                )
            if results.note:
                said.append(results.note)
            if results.stage is not None and results.stage.failure:
                said.append(results.stage.failure)
            found += _described(folder, results.hits, words, results.good)
            if results.did_you_mean:
                hints.append(f"did you mean {results.did_you_mean}?")
            if folder.left_out:
                hints.append(f"{folder.root}: left out {folder.left_out}")
            closest += _described(folder, [results.closest] if results.closest else [], words)
        asked_all = len(asked_folders)
        if self._store is not None and stored is not None and not given["paths"]:
            asked_all += 1
            words = stored.words()
            try:
                places, near = self._ask_store(self._store, stored, far, bounds, named)
            except ModstarError as error:
                failed += 1
                said.append(str(error))
            else:
                found += places
                closest += near
        if asked_all > 1:
            found = together(found)
        if found and found[0].it.hit.score >= _SURE:
            found = [one for one in found if one.is_good]
        if failed == asked_all:
            raise QueryError("; ".join(said))
        page = found[given["skip"] : given["skip"] + given["k"]]
        return "\n".join(
            [
                *(_page(page, found, words, given) if page else _nothing(closest, bool(found), given)),
                *(f"({line})" for line in [*said, *([] if any(one.is_good for one in found) else hints)]),
            ]
        )

    def _ask_store(
        self, store: StoreBeside, question: Question, k: int, bounds: Filter, repositories: Sequence[str]
    ) -> tuple[list[Found], list[Found]]:
        """(places, what came closest where there are none). Raises ModstarError."""
        from modstar_lsp.search import Options
        from modstar_lsp.workspace.several import Found

        here = [folder.root for folder in self._folders.folders]
        answer = store.ask(question, Options(k, (bounds,)), here, repositories, bounds.languages)
        if answer is None:
            return [], []
        closest = [] if answer.closest is None else [answer.closest]
        places, near = (
            [
                Found(PurePosixPath(f"store:{one.repository}"), one.described(question), has_lines=False)
                for one in some
            ]
            for some in (answer.places, closest)
        )
        return places, near

    def _asked(self, paths: Sequence[str]) -> dict[Folder, tuple[str, ...]]:
        """The folders to ask, and what bounds each: files and subfolders, none for all of it."""
        if not paths:
            return dict.fromkeys(self._folders.folders, ())
        below: dict[Folder, list[str]] = {}
        for path in paths:
            folder, inside = self._folders.place(path)
            below.setdefault(folder, []).append(inside)
        return {folder: () if "" in insides else tuple(insides) for folder, insides in below.items()}

    def _refresh(self, folders: Sequence[Folder], cancelled: Cancelled) -> None:
        """Has what changed indexed, in all folders at once. Raises WorkspaceError when none is left."""
        import threading

        gone: list[str] = []

        def refresh(folder: Folder) -> None:
            try:
                folder.refresh(cancelled)
            except WorkspaceError as error:
                gone.append(str(error))

        others = [threading.Thread(target=refresh, args=(folder,), daemon=True) for folder in folders[1:]]
        for thread in others:
            thread.start()
        refresh(folders[0])
        for thread in others:
            thread.join()
        if len(gone) == len(folders):
            raise WorkspaceError("; ".join(gone))

    # -- outline and status

    def _outline(self, given: Mapping[str, Any], cancelled: Cancelled) -> str:
        from modstar_lsp.workspace.outline import definitions, searched_text

        folder, below = self._file(given["path"])
        found = definitions(below, searched_text(folder.root, below, folder.workspace()))
        symbol = given["symbol"]
        if symbol is not None:
            wanted = symbol.strip().replace("::", ".")
            outer = [one.symbol for one in found if f".{one.symbol}".endswith(f".{wanted}")]
            found = [one for one in found if any(f"{one.symbol}.".startswith(f"{name}.") for name in outer)]
            if not found:
                raise QueryError(f"{given['path']} defines no {symbol[:80]!r}")
        if not found:
            raise QueryError(f"{given['path']} holds no definition that could be told: read it instead")
        return answers.outlined(str(folder.root / below), found, given["max_tokens"])

    def _status(self, given: Mapping[str, Any], cancelled: Cancelled) -> str:
        said = []
        for folder in self._folders.folders:
            try:
                folder.refresh(cancelled)
                workspace = folder.workspace()
                state = folder.missing or "up to date"
            except WorkspaceError as error:
                said.append(str(error))
                continue
            if workspace is None:
                said.append(f"{folder.root}: nothing indexed yet; {state}")
                continue
            status = workspace.status()
            languages = ", ".join(f"{name} {files:,}" for name, files in list(status.languages.items())[:8])
            depths = ", ".join(f"exit {depth}: {chunks:,}" for depth, chunks in sorted(status.depths.items()))
            said.append(
                f"{folder.root}: {status.files:,} files ({languages or 'none'}); "
                f"{status.chunks:,} places ({depths or 'none'}); {state}"
            )
        if self._store is not None:
            said.append(self._status_of_store(self._store))
        return "\n".join([f"modstar {__version__}, model {self._folders.encoder().bundle.name}", *said])

    def _status_of_store(self, store: StoreBeside) -> str:
        try:
            seen = store.repositories()
        except ModstarError as error:
            return str(error)
        files, chunks = sum(one.files for one in seen), sum(one.chunks for one in seen)
        return f"store {store.url}: {len(seen):,} repositories; {files:,} files; {chunks:,} places"

    # -- files

    def _file(self, path: str) -> tuple[Folder, str]:
        folder, below = self._folders.place(path)
        full = folder.root / below
        if full.is_dir():
            raise WorkspaceError(f"{path} is a folder: name a file in it")
        if not full.is_file():
            raise WorkspaceError(f"{path} is no file that can be read")
        return folder, below


def _ask(
    folder: Folder,
    question: Question,
    k: int,
    filters: tuple[Filter, ...],
    budget: float,
    least: float | None,
    cancelled: Cancelled,
) -> Results | None:
    """What a folder answers, from what is indexed of it; None as long as that is nothing."""
    from modstar_lsp.search import Options
    from modstar_lsp.workspace import useful_exit

    workspace = folder.workspace()
    if workspace is None:
        return None
    depths = workspace.read(lambda snapshot: workspace.status().depths, folder.recover)
    if not depths and folder.missing:
        return None
    depth = useful_exit(depths.items())
    if folder.deepest is not None:
        depth = min(depth, folder.deepest)
    options = Options(k=k, filters=filters, min_score=least, depth=depth, budget=budget, own_reader=True)
    return workspace.ask(question, options, recover=folder.recover, cancelled=cancelled)


def _described(folder: Folder, hits: Iterable[Hit], words: frozenset[str], good: int = 0) -> list[Found]:
    from modstar_lsp.workspace.several import Found

    workspace = folder.workspace()
    assert workspace is not None
    return [
        Found(folder.root, workspace.describe(hit, words), is_good=place < good)
        for place, hit in enumerate(hits)
    ]


def _page(
    page: Sequence[Found],
    found: Sequence[Found],
    words: frozenset[str],
    given: Mapping[str, Any],
) -> list[str]:
    text, shown = answers.places(page, words, given["lines"], given["max_tokens"])
    after = given["skip"] + shown
    head = [] if any(one.is_good for one in found) else ["no good match; the closest:"]
    more = shown < len(page) or any(one.is_good for one in found[after:])
    return [*head, text, *([f"more: ask again with skip={after}"] if more else [])]


def _nothing(closest: Sequence[Found], earlier: bool, given: Mapping[str, Any]) -> list[str]:
    if earlier:
        return [f"no more places after the first {given['skip']}"]
    near = max(closest, key=lambda one: one.it.hit.score, default=None)
    if near is None:
        return ["nothing here answers that"]
    it = near.it
    place = f"{clean(str(near.root / it.hit.path))} lines {it.hit.start_line}-{it.hit.end_line}"
    name = f" {clean(it.symbol)}" if it.symbol else ""
    return [f"nothing here answers that; the closest is {place}{name} {it.hit.score:.2f}"]


def _bounds(given: Mapping[str, Any]) -> Filter:
    """What the arguments say of the files to look in. Raises QueryError."""
    from modstar_lsp.search.filters import Filter

    return Filter(
        languages=_languages(given["language"] or ()),
        globs=tuple(given["glob"] or ()),
        contents=frozenset() if given["content"] == "all" else frozenset({given["content"]}),
    )


def _languages(named: Iterable[str]) -> frozenset[str]:
    """The languages that somebody means. Raises QueryError."""
    from modstar_lsp.workspace.languages import languages_named

    try:
        return frozenset[str]().union(*map(languages_named, named))
    except QueryError as error:
        raise QueryError(f"language {error}") from None
