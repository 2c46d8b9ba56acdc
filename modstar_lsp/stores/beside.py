"""A store that is asked beside folders which are searched here.

A repository that stands in one of the folders is left to it: what counts there is what is not committed, and
in an editor not saved. So both answer together, and none twice.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modstar_lsp.errors import QueryError
from modstar_lsp.stores.asking import StoreAnswer, ask
from modstar_lsp.stores.store import EVERYONE, StoredRepository, StoreScope

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.search import Options
    from modstar_lsp.stores.store import Store
    from modstar_lsp.workspace.question import Question

_ORIGIN = r'(?ms)^\[remote "origin"\][^\[]*?^\s*url\s*=\s*(\S+)\s*$'
# A configuration is written by hand.
_CONFIG_BYTES = 1_000_000


class StoreBeside:
    """A store as a face asks it, opened at the first question. For any thread, one question at a time.

    Nothing of a repository whose label was not named is ever told: not that it is there, nor how many are.
    """

    def __init__(self, url: str, labels: Sequence[str], encoder: Callable[[], Encoder]) -> None:
        """labels: of repositories that may be seen besides those for everyone."""
        self.url = url
        self._labels = (EVERYONE, *labels)
        self._encoder = encoder
        self._store: Store | None = None
        self._turn = threading.Lock()

    def ask(
        self,
        question: Question,
        options: Options,
        here: Iterable[Path],
        repositories: Sequence[str] = (),
        languages: Iterable[str] = (),
    ) -> StoreAnswer | None:
        """What answers best in the store; None when nothing of it is to be asked.

        here: folders that are searched without it.  repositories, languages: () for all. Raises as
        `asking.ask`.
        """
        from modstar_lsp.workspace import useful_exit

        if question.code is not None:
            return None
        scope = StoreScope(self._labels, tuple(repositories), tuple(sorted(languages)), names_of(here))
        with self._turn:
            store = self._opened()
            seen = [one for one in store.repositories(scope.labels) if scope.sees(one)]
            if not seen and not repositories:
                return None
            depth = options.depth
            if depth is None:
                depth = useful_exit((one.exit, one.chunks) for one in seen)
            return ask(store, self._encoder(), question, scope, options._replace(depth=depth))

    def repositories(self) -> Sequence[StoredRepository]:
        """Those that may be seen. Raises StoreError."""
        with self._turn:
            return self._opened().repositories(self._labels)

    def _opened(self) -> Store:
        from modstar_lsp.stores.opening import open_store

        if self._store is None:
            self._store = open_store(self.url, self._encoder().bundle.indexed)
        return self._store


def names_of(folders: Iterable[Path]) -> tuple[str, ...]:
    """What the repositories in these folders may be called in a store: by the folder, by their origin."""
    names = []
    for folder in folders:
        names.append(folder.name)
        if origin := _origin(folder):
            names.append(origin)
    return tuple(dict.fromkeys(names))


def _origin(folder: Path) -> str:
    from modstar_lsp.files.opening import read_regular
    from modstar_lsp.stores.repositories import named

    try:
        config = read_regular(folder / ".git" / "config", _CONFIG_BYTES).decode("utf-8", "replace")
        found = re.search(_ORIGIN, config)
        return named(found[1]).name if found else ""
    except (OSError, QueryError):
        return ""
