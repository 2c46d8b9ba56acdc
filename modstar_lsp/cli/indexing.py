"""What both commands do with a workspace: choose it, bring it up to date, put numbers into words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modstar_lsp.cli.interrupt import Interruption
from modstar_lsp.cli.process import complain
from modstar_lsp.cli.progress import ProgressBar
from modstar_lsp.errors import WorkspaceError

if TYPE_CHECKING:
    from modstar_lsp.files import Skipped
    from modstar_lsp.index import Progress, RefreshReport
    from modstar_lsp.workspace import Workspace

# Languages that one line names; the rest are counted.
NAMED_LANGUAGES = 6


def chosen_root(path: Path | None) -> Path:
    """The folder to work on: exactly the one named, else the project around the current directory."""
    if path is not None:
        return path
    from modstar_lsp.workspace import is_a_lot, project_root

    root = project_root(Path.cwd())
    if is_a_lot(root):
        raise WorkspaceError(f"no project here, and {root} is a lot to index: to do so, name it as PATH")
    return root


def bring_up_to_date(
    program: str,
    workspace: Workspace,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    max_file_bytes: int | None = None,
    quiet: bool = False,
    preview: Callable[[], Sequence[str]] | None = None,
    graph_follows: bool = False,
) -> RefreshReport:
    """Refresh the index with a progress bar. Ctrl-C says what is kept and goes on as KeyboardInterrupt.

    preview: lines to show now and then while that takes long. graph_follows: where it pays.
    """
    follows = _graph_will_be_built if graph_follows else None
    with Interruption() as stop, ProgressBar(quiet=quiet, preview=preview, graph_follows=follows) as bar:

        def progress(now: Progress) -> None:
            stop(now)
            bar(now)

        report = workspace.refresh(
            progress, lambda: stop.asked, include, exclude, max_file_bytes=max_file_bytes
        )
    if stop.asked:
        left = 0 if stop.progress is None else stop.progress.total - stop.progress.done
        known = f"{report.files:,} of {count(report.files + left, 'file')}"
        complain(program, f"interrupted: {known} are indexed and kept; the same command goes on from there")
        raise KeyboardInterrupt
    return report


def deepen_index(program: str, workspace: Workspace, depth: int, *, quiet: bool = False) -> None:
    """Embed all code at `depth` with a progress bar. Ctrl-C as in `bring_up_to_date`."""
    with Interruption() as stop, ProgressBar(quiet=quiet) as bar:

        def progress(now: Progress) -> None:
            stop(now)
            bar(now)

        done = workspace.deepen(depth, progress, lambda: stop.asked)
    if workspace.encoder.notice and not quiet:
        complain(program, workspace.encoder.notice)
    if stop.asked:
        complain(program, f"interrupted: {count(done, 'place')} embedded and kept; the same command goes on")
        raise KeyboardInterrupt


def changes(report: RefreshReport) -> str:
    """`2 added, 1 changed`, "" when the refresh found nothing to do."""
    numbers = {"added": report.added, "changed": report.changed, "removed": report.removed}
    return ", ".join(f"{number:,} {what}" for what, number in numbers.items() if number)


def _graph_will_be_built(chunks: int) -> bool:
    from modstar_lsp.index.index import graph_pays
    from modstar_lsp.index.vectors.neighbours import can_build

    return graph_pays(chunks) and can_build()


def count(number: int, noun: str) -> str:
    """`1 file`, `2,345 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(number: int) -> str:
    """Bytes for people: `912 B`, `3.4 MB`."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError


def duration(seconds: float) -> str:
    """Seconds for people: `0.04 s`, `12.3 s`, `2 min 5 s`."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def languages(files: Mapping[str, int]) -> str:
    """`python 80, go 20 and 3 more`, the commonest first."""
    ranked = sorted(files.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{name} {number:,}" for name, number in ranked[:NAMED_LANGUAGES])
    rest = len(ranked) - NAMED_LANGUAGES
    return f"{named} and {rest} more" if rest > 0 else named


def reasons(skipped: Iterable[Skipped]) -> str:
    """`skipped 12: 8 ignored, 4 binary`, the commonest first; "" when nothing was skipped."""
    from modstar_lsp.files.reasons import summed_up

    summary = summed_up(entry.reason for entry in skipped)
    return f"skipped {summary}" if summary else ""
