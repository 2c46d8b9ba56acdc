"""The folders that may be asked about. Each is indexed by a process of its own, and read here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modstar_lsp.background.child import DIED, MAX_DEATHS, Child, Event, Launch
from modstar_lsp.errors import ModstarError, StoreError, WorkspaceError

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.index import DamagedIndex
    from modstar_lsp.index.records import Cancelled
    from modstar_lsp.workspace import Workspace

# A client gives up after 30 s, 25 with some care. The first question to a folder waits so long for its index,
# any other so long for what has changed since the last: what is known then must do.
FIRST_SECONDS = 15.0
CHANGES_SECONDS = 6.0
# Cancelled calls are noticed so often.
_FOLDER_LOOK_SECONDS = 0.1
# The indexer of a folder that nobody has asked about for so long is ended; it starts again with a question.
_IDLE_SECONDS = 600.0
# What it may take of the machine: as the language server's.
_POLITE = {"watch": False, "look": True, "share": 0.5, "on_battery": "pause", "deepen": False}

# Of a path in a message so many letters.
_PATH_LETTERS = 200


class Folder:
    """One folder: its index to read, and the process that writes it. For any thread.

    Nothing is started before the first question: a server that is never asked costs nothing.
    """

    def __init__(self, root: Path, launch: Launch, encoder: Callable[[], Encoder]) -> None:
        self.root = root
        self.deepest = launch.deepest
        self._launch = launch
        self._encoder = encoder
        self._news = threading.Condition()
        self._child: Child | None = None
        self._deaths = 0
        self._asked = 0.0
        # Refreshes that began, the last of them that ended with everything known, and what went wrong.
        self._begun = 0
        self._complete = 0
        self._failure = ""
        self.left_out = ""  # see Workspace.left_out
        self._progress = (0, 0)
        self._workspace: Workspace | None = None

    # -- indexing

    def refresh(self, cancelled: Cancelled, patience: float | None = None) -> None:
        """Has everything that changed indexed, and waits for it; not for ever, see `missing`.

        patience: seconds, by default what is known already decides.
        Raises WorkspaceError when the folder is gone.
        """
        if not self.root.is_dir():
            raise WorkspaceError(f"{self.root} is gone: no such folder")
        with self._news:
            self._asked = time.monotonic()
            self._failure = ""
            child = self._running()
            wanted = self._begun + 1
            if patience is None:
                known = self._complete or self._knows_something()
                patience = CHANGES_SECONDS if known else FIRST_SECONDS
            if child is not None:
                child.send("typing")  # work makes way for who asks
                child.send("look")
            deadline = time.monotonic() + patience
            while self._complete < wanted and not self._failure and not cancelled():
                if (left := deadline - time.monotonic()) <= 0:
                    break
                self._news.wait(min(left, _FOLDER_LOOK_SECONDS))

    def _running(self) -> Child | None:
        if self._child is None and self._deaths < MAX_DEATHS:
            self._child = Child()
            self._child.listen(lambda event, child=self._child: self._on_event(child, event))  # type: ignore[misc]
            self._child.open(self.root, self._launch, **_POLITE)
            self._end_when_idle()
        if self._child is None:
            self._failure = f"the indexing process ended {MAX_DEATHS} times: restart the server"
        return self._child

    def _end_when_idle(self) -> None:
        with self._news:
            left = self._asked + _IDLE_SECONDS - time.monotonic()
            if left <= 0:
                self.close()
                return
        timer = threading.Timer(left, self._end_when_idle)
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """Ends the indexer, whatever it is doing: the index is whole after any of its transactions."""
        with self._news:
            child, self._child = self._child, None
        if child is not None:
            child.close()

    def _on_event(self, child: Child, event: Event) -> None:
        with self._news:
            if child is not self._child:
                return
            kind, job = event["event"], event.get("job", "")
            if kind == "started":
                self._begun += 1
                self._progress = (0, 0)
            elif kind == "progress" and job == "refresh":
                self._progress = (event["done"], event["total"])
            elif kind == "finished" and job == "refresh" and event["complete"]:
                self._complete = self._begun
                self.left_out = event["left_out"]
            elif kind == "failed" and job in ("open", "refresh", "clear"):
                self._failure = event["message"]
                if job == "open":  # it has no folder and never will
                    self.close()
            elif kind == DIED:
                self._child = None
                self._deaths += 1
                self._failure = "the indexing process ended by itself: ask again"
            self._news.notify_all()

    def recover(self, error: DamagedIndex) -> bool:
        """Has a damaged index made anew. Always worth asking again: what is known by then is sound."""
        child = self._child
        if child is not None:
            child.send("clear")
        self.refresh(lambda: False, CHANGES_SECONDS)
        return True

    @property
    def missing(self) -> str:
        """Why an answer may miss something, in a few words; "" when everything was known at the last look."""
        with self._news:
            if self._failure:
                return self._failure
            if self._complete and self._complete >= self._begun:
                return ""
            done, total = self._progress
            if total:
                return f"indexing, {done:,} of {total:,} files done"
            return "looking for what has changed" if self._complete else "indexing has just begun"

    # -- reading

    def _knows_something(self) -> bool:
        try:
            workspace = self.workspace()
            return workspace is not None and workspace.read(lambda snapshot: snapshot.n > 0)
        except ModstarError:
            return False

    def workspace(self) -> Workspace | None:
        """The index, opened to read; None as long as there is none. Raises BundleError."""
        from modstar_lsp.workspace import Workspace

        with self._news:
            if self._workspace is None:
                try:
                    self._workspace = Workspace.open(
                        self.root, index_dir=self._launch.index_dir, encoder=self._encoder(), write=False
                    )
                except (StoreError, WorkspaceError):
                    return None
            return self._workspace


class Folders:
    """All folders that the server was given, none of them inside another.

    Raises WorkspaceError for one that is missing.
    """

    def __init__(self, roots: Sequence[Path], launch: Launch) -> None:
        resolved = []
        for root in roots:
            if not root.is_dir():
                raise WorkspaceError(f"{root}: no such folder")
            resolved.append(root.resolve())
        outer = [root for root in resolved if not any(other in root.parents for other in resolved)]
        self._launch = launch
        self._loading = threading.Lock()
        self._encoder: Encoder | None = None
        self.folders = [Folder(root, launch, self.encoder) for root in dict.fromkeys(outer)]

    def encoder(self) -> Encoder:
        """The model, loaded once for all folders. Raises BundleError."""
        from modstar_lsp.encoder import Encoder, open_bundle

        with self._loading:
            if self._encoder is None:
                self._encoder = Encoder(open_bundle(self._launch.bundle))
            return self._encoder

    def place(self, path: str) -> tuple[Folder, str]:
        """The folder that a path lies in and the path below it, "" for the folder itself.

        A relative path counts from whichever folder has it. Links are followed first, so none leads out.
        Raises WorkspaceError, in one line, for what is missing or outside.
        """
        if not path.strip():
            raise WorkspaceError("a path is empty: name a file or folder, or leave it out")
        if "\0" in path:
            raise WorkspaceError("a path must not hold a NUL character")
        given = Path(path)
        candidates = [given] if given.is_absolute() else [folder.root / given for folder in self.folders]
        inside = [
            (folder, full.relative_to(folder.root).as_posix())
            for candidate in candidates
            for full in (_resolved(candidate),)
            for folder in self.folders
            if full == folder.root or folder.root in full.parents
        ]
        if not inside:
            raise WorkspaceError(f"{path[:_PATH_LETTERS]} is outside of what may be searched: {self}")
        for folder, below in inside:
            if _exists(folder.root / below):
                return folder, "" if below == "." else below
        raise WorkspaceError(f"{path[:_PATH_LETTERS]}: no such file or folder in {self}")

    def __str__(self) -> str:
        return ", ".join(str(folder.root) for folder in self.folders)

    def close(self) -> None:
        """Lets go of every folder and ends its process."""
        for folder in self.folders:
            folder.close()


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a link that leads to itself, half of a surrogate pair
        raise WorkspaceError(f"{str(path)[:_PATH_LETTERS]!r}: cannot be followed") from None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # longer than the system allows, or forbidden
        return False
