"""`modstar-lsp --check`: on a small project of its own it does what the server does, and says if it works.

It starts the process that indexes, and asks at every exit of the model. It leaves nothing behind.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from modstar_lsp.background.child import DIED, Child, Event, Launch
from modstar_lsp.errors import ModstarError, StoreError
from modstar_lsp.installation import advice, missing_packages

if TYPE_CHECKING:
    from modstar_lsp.workspace import Workspace

_SAMPLE = 'def weigh_parcel(parcel):\n    """How heavy a parcel is."""\n    return parcel.mass * GRAVITY\n'
_QUESTION = "how heavy is a parcel"
# An indexer that says nothing for so long does not work; it takes half a second.
_SILENCE_SECONDS = 60.0


def check(launch: Launch, child: Child) -> str:
    """What works, in a few words. Raises ModstarError, with one line for the user, or whatever went wrong."""
    from modstar_lsp.index import index_folder
    from modstar_lsp.search import Options
    from modstar_lsp.server.server import Server
    from modstar_lsp.workspace import Workspace

    missing = missing_packages()
    if missing:
        raise ModstarError(advice(missing))
    Server(launch)
    with tempfile.TemporaryDirectory(prefix="modstar-check-") as project:
        root = Path(project).resolve()
        (root / "parcel.py").write_text(_SAMPLE, "utf-8")
        # where the server will keep its indexes, so that a folder that cannot be written is told
        base = index_folder(root, launch.index_dir).parent
        try:
            base.mkdir(mode=0o700, parents=True, exist_ok=True)
            indexes = tempfile.TemporaryDirectory(prefix="check-", dir=base)
        except OSError as error:
            raise StoreError(f"{base}: cannot keep an index there ({error.strerror})") from error
        with indexes as folder:
            try:
                _index(child, root, launch._replace(index_dir=Path(folder)))
            finally:
                child.close()
                child.wait(_SILENCE_SECONDS)
            with Workspace.open(root, index_dir=Path(folder), bundle=launch.bundle) as workspace:
                exits = [one.depth for one in workspace.encoder.bundle.exits]
                asked = [depth for depth in exits if launch.deepest is None or depth <= launch.deepest]
                for depth in asked:
                    if not workspace.search(_QUESTION, Options(depth=depth, min_score=0.0)).hits:
                        raise ModstarError(f"exit {depth} of the model finds nothing: reinstall")
                model = f"model {workspace.encoder.bundle.name}, exits {', '.join(map(str, asked))}"
                return f"ready; {model}; {_runs_on(workspace)}"


def _runs_on(workspace: Workspace) -> str:
    """What encodes many texts, once it has been tried, and why when it is not what it might be."""
    provider, notice = workspace.encoder.try_provider(), workspace.encoder.notice
    return f"runs on {provider} ({notice})" if notice else f"runs on {provider}"


def _index(child: Child, root: Path, launch: Launch) -> None:
    """Have the project indexed by the process that does so for the server."""
    events: SimpleQueue[Event] = SimpleQueue()
    child.listen(events.put)
    child.open(root, launch, deepen=False)
    while True:
        try:
            event = events.get(timeout=_SILENCE_SECONDS)
        except Empty:
            raise ModstarError(f"the indexer has said nothing for {_SILENCE_SECONDS:.0f} seconds") from None
        if event["event"] == DIED:
            raise ModstarError(f"the indexer ended by itself (status {event['status']})")
        if event["event"] == "failed":
            raise ModstarError(event["message"])
        if event["event"] == "finished" and event["job"] == "refresh":
            return
