"""A folder of sources with its index, and what can be asked of it."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple

from modstar.results import Answer, Hit
from modstar_lsp.cache_folder import expanded
from modstar_lsp.errors import ModstarError, QueryError, WorkspaceError
from modstar_lsp.files.languages import CONTENTS
from modstar_lsp.workspace import Workspace, is_a_lot, project_root
from modstar_lsp.workspace.outline import Definition, definitions, searched_text
from modstar_lsp.workspace.question import Question, selected_lines
from modstar_lsp.workspace.scope import Scope, scope_of

if TYPE_CHECKING:
    from modstar_lsp.files.watch import Watcher
    from modstar_lsp.index import DamagedIndex, Progress, RefreshReport
    from modstar_lsp.search import Options, Results

#: What a file may be: code (without tests), prose, tests (and what they need), settings.
Content = Literal["code", "docs", "tests", "config"]


class Place(NamedTuple):
    """Lines of a file, from 1, inclusive. Without `last_line`: the definition around `line`.

    path: relative to the project, or absolute.
    """

    path: str | Path
    line: int
    last_line: int | None = None


def open(  # noqa: A001, as of other libraries that open something
    path: str | Path | None = None, *, index_dir: str | Path | None = None, bundle: str | Path | None = None
) -> Project:
    """The project at `path`; nothing is read of it before the first question.

    path: a folder, by default the project around the current one. One inside a git repository, or below a
        folder with an index, is searched in that index; then the hits are from that folder alone.
    index_dir: keep indexes here instead of the user's cache folder.
    bundle: the folder of a model, by default the one that comes with modstar.

    Raises WorkspaceError, BundleError or StoreError, each with one line that says what to do.
    """
    base = None if index_dir is None else _named(index_dir, "index_dir")
    scope = _project_here() if path is None else scope_of(_named(path, "path"), base)
    model = None if bundle is None else _named(bundle, "bundle")
    workspace = Workspace.open(scope.root, index_dir=base, bundle=model)
    if workspace.notice:
        warnings.warn(workspace.notice, stacklevel=2)
    return Project(workspace, scope.below)


def _named(path: str | Path, what: str) -> Path:
    """A path that an argument names. Raises WorkspaceError for one that can be none."""
    text = os.fspath(path)
    if not text.strip() or "\0" in text:
        raise WorkspaceError(f"{what} must name a folder, not {text[:40]!r}")
    return expanded(text)


def _project_here() -> Scope:
    root = project_root(Path.cwd())
    if is_a_lot(root):
        raise WorkspaceError(f"no project here, and {root} is a lot to index: to do so, name it")
    return Scope(root)


class Project:
    """A folder of sources with its index: what `modstar.open` returns. Safe to use from several threads.

    Every question brings the index up to date first, which reads only what changed.
    """

    def __init__(self, workspace: Workspace, below: tuple[str, ...]) -> None:
        self._workspace = workspace
        self._below = below
        self._turn = threading.Lock()
        self._watch: Watch | None = None

    @property
    def root(self) -> Path:
        """The folder that all paths count from."""
        return self._workspace.root

    def search(
        self,
        question: str,
        *,
        k: int = 10,
        language: str | Iterable[str] = (),
        glob: str | Iterable[str] = (),
        content: Content | None = None,
        min_score: float | None = None,
        budget: float = 0.0,
        refresh: bool = True,
    ) -> Answer:
        """The places that answer a sentence, a name or an error message best.

        question: may hold filters: "a phrase", -word, path:, lang:, in: (docs/questions.md).
        k: hits at most.
        language: only these, by name, nickname or ending (`"python"`, `["ts", "go"]`).
        glob: only such paths, or with `!` before it no such paths (`["src/**", "!*.test.ts"]`).
        content: only code, docs, tests or config.
        min_score: show hits that score at least that much, 0 to 1; by default what the model's calibration
            holds for good enough.
        budget: seconds for which the best hits are read with the question, for a better order.
        refresh: False searches the index as it is.

        Raises QueryError when the question or a filter makes no sense, StoreError when the index cannot be
        written or read.
        """
        if not isinstance(question, str):
            raise TypeError(f"question must be a str, not {type(question).__name__}")
        options = self._options(k, language, glob, content, min_score, budget)
        return self._ask(Question.of_text(question), options, refresh)

    def similar(
        self,
        code: str | Hit | Place,
        *,
        k: int = 10,
        language: str | Iterable[str] = (),
        glob: str | Iterable[str] = (),
        content: Content | None = None,
        min_score: float | None = None,
        refresh: bool = True,
    ) -> Answer:
        """The places most like some code: a text, a hit, or lines of a file. These are left out themselves.

        Of a hit or a place the file's lines count as they are now. The rest is as for `search`; the score
        says how likely a place is the same code again. Raises WorkspaceError, too, for a file that is not
        searched.
        """
        options = self._options(k, language, glob, content, min_score, 0.0)
        return self._ask(self._question_like(code), options, refresh)

    def outline(self, path: str | Path) -> list[Definition]:
        """The definitions in a file, in order; none where its language has no grammar.

        path: relative to the project, or absolute. Raises WorkspaceError for a file that is not searched.
        """
        inside = self._inside(path)
        return definitions(inside, searched_text(self.root, inside))

    def refresh(self, progress: Callable[[Progress], None] | None = None) -> RefreshReport:
        """Brings the index up to date; what it did, in files. Raises StoreError.

        progress: called now and then, with how many files are done.
        """
        with self._turn:
            return self._workspace.refresh(progress)

    def watch(self, on_change: Callable[[RefreshReport], None] | None = None) -> Watch:
        """Keeps the index fresh in the background, as long as the `with` statement runs or until `close`.

        Questions asked meanwhile need not look for changes first; what is saved is found within a second.
        on_change: called on a thread of its own after changes were indexed.
        """
        if self._watch is not None:
            raise WorkspaceError(f"{self.root} is watched already: use that Watch, or close it")
        self.refresh()
        self._watch = Watch(self, on_change)
        return self._watch

    def close(self) -> None:
        """Lets go of the index."""
        if self._watch is not None:
            self._watch.close()
        self._workspace.close()

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<modstar.Project {str(self.root)!r}>"

    # -- asking

    def _options(
        self,
        k: int,
        language: str | Iterable[str],
        glob: str | Iterable[str],
        content: Content | None,
        min_score: float | None,
        budget: float,
    ) -> Options:
        from modstar_lsp.search import Options
        from modstar_lsp.search.filters import Filter
        from modstar_lsp.workspace.languages import languages_named

        if content is not None and content not in CONTENTS:
            raise QueryError(f"content must be one of {', '.join(CONTENTS)}, not {str(content)[:40]!r}")
        try:
            languages = frozenset[str]().union(*map(languages_named, _listed(language)))
        except QueryError as error:
            raise QueryError(f"language {error}") from None
        bounds = Filter(
            below=self._below,
            languages=languages,
            globs=tuple(_listed(glob)),
            contents=frozenset() if content is None else frozenset({content}),
        )
        return Options(k=k, filters=(bounds,), min_score=min_score, budget=budget, own_reader=True)

    def _question_like(self, code: str | Hit | Place) -> Question:
        if isinstance(code, str):
            return Question.of_code(code)
        if isinstance(code, Hit):
            code = Place(code.path, code.start_line, code.end_line)
        if not isinstance(code, Place):
            raise TypeError(f"code must be a str, a Hit or a Place, not {type(code).__name__}")
        inside = self._inside(code.path)
        text = searched_text(self.root, inside)
        last = code.line if code.last_line is None else code.last_line
        if not 1 <= code.line <= last:
            raise QueryError(f"{code.path}: lines {code.line} to {last}: they count upwards from 1")
        first, last, lines = selected_lines(inside, text, code.line, last)
        return Question.of_code(lines, (inside, first, last))

    def _inside(self, path: str | Path) -> str:
        """A path below the root, with `/`. Links are followed first, so none leads out."""
        try:
            full = (self.root / expanded(path)).resolve()
            is_file = full.is_file()
        except (
            OSError,
            ValueError,
            RuntimeError,
        ) as error:  # too long, with a NUL, forbidden, a loop of links
            raise WorkspaceError(f"{str(path)[:200]!r}: cannot be read in {self.root} ({error})") from None
        if self.root not in full.parents:
            raise WorkspaceError(f"{path} is outside of {self.root}")
        if not is_file:
            raise WorkspaceError(f"{path}: no such file in {self.root}")
        return full.relative_to(self.root).as_posix()

    def _ask(self, question: Question, options: Options, refresh: bool) -> Answer:
        if refresh and (self._watch is None or not self._watch.is_fresh):
            self.refresh()
        results = self._workspace.ask(
            question, options, recover=self._recover, renew=self.refresh, as_indexed=not refresh
        )
        return self._answer(question, results)

    def _recover(self, error: DamagedIndex) -> bool:
        """Makes a damaged index anew, which was thrown away."""
        warnings.warn(str(error), stacklevel=2)
        self.refresh()
        return True

    def _answer(self, question: Question, results: Results) -> Answer:
        words = question.words()
        hits = [Hit.of(self._workspace.describe(hit, words)) for hit in results.hits]
        near, stage = results.closest, results.stage
        notes = [results.note, stage.failure if stage is not None else ""]
        return Answer(
            hits,
            question=question.text,
            root=self.root,
            closest=None if near is None else Hit.of(self._workspace.describe(near, words)),
            coverage=results.indexed_share,
            seconds=results.took,
            note="; ".join(filter(None, notes)),
            did_you_mean=results.did_you_mean,
        )


class Watch:
    """A project that is kept fresh: what `Project.watch` returns, to be used in a `with` statement.

    is_fresh: False after something went wrong (a full disk, say): questions then look for changes
    themselves again, and say what it is.
    """

    def __init__(self, project: Project, on_change: Callable[[RefreshReport], None] | None) -> None:
        from modstar_lsp.files.watch import Watcher

        self.is_fresh = True
        self._project = project
        self._on_change = on_change
        self._watcher: Watcher = Watcher(project.root, self._refresh, bounds=project._workspace.bounds)
        self._watcher.start()
        self._refresh(set())  # for what was saved since the last look

    def _refresh(self, changed: set[str]) -> None:
        try:
            report = self._project.refresh()
        except ModstarError:
            self.is_fresh = False
            return
        self.is_fresh = report.complete
        if self._on_change is not None and (report.added or report.changed or report.removed):
            self._on_change(report)

    def close(self) -> None:
        """Stops watching."""
        self._watcher.stop()
        if self._project._watch is self:
            self._project._watch = None

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _listed(given: str | Iterable[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)
