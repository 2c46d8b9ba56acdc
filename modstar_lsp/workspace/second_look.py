"""A second look at what was found: a file that changed since it was indexed is searched as it stands now.

Its text is laid over the index as an editor's unsaved documents are, so the answer is what indexing it first
would give, also for who may not write. Files that the index does not know are not looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modstar_lsp.files import Unreadable, checked_folder, read_source

if TYPE_CHECKING:
    from modstar_lsp.encoder import Encoder
    from modstar_lsp.index import Snapshot, View
    from modstar_lsp.index.reading.unsaved import UnsavedDocument
    from modstar_lsp.index.records import Stat
    from modstar_lsp.search import Results

# So often what was found is looked at: what comes up in place of a changed file may have changed as well.
# What the last look finds changed is not shown.
_LOOKS = 4
# Changed files that the first look divides and embeds, 3.5 ms each in the median of this project, and every
# further look half as many. What is in others is not shown.
_MOST_DIVIDED = 40
# Files kept divided: while somebody types, the next question finds much the same.
_MOST_KEPT = 200


class CheckedResults(NamedTuple):
    """Results that stand in the files as these are now.

    view: what they were found in.  stats: of the files of the index that they are in.  stale: whether any of
    these had changed.
    """

    results: Results
    view: View
    stats: Mapping[str, Stat]
    stale: bool


class _Standing(NamedTuple):
    """A file whose stat is not the index's. document: None where its text is, by the digest `indexed`."""

    stat: Stat
    indexed: bytes
    document: UnsavedDocument | None


class SecondLook:
    """Looks at the files of what is found in the index of one folder. For any thread.

    is_open: whether a file is a document that stands over the index already, whatever the disk has.
    max_bytes: the size of the largest file that belongs to the folder.
    """

    def __init__(
        self, root: Path, encoder: Encoder, is_open: Callable[[str], bool], max_bytes: Callable[[], int]
    ) -> None:
        self._root = root
        self._encoder = encoder
        self._is_open = is_open
        self._max_bytes = max_bytes
        self._kept: dict[str, _Standing] = {}

    def search(self, snapshot: Snapshot, view: View, put: Callable[[View], Results]) -> CheckedResults:
        """What `put` finds in `view`: `snapshot`, or that with documents over it; and in what changed since.

        Raises WorkspaceError when the folder itself is gone, and as `put`.
        """
        stats: dict[str, Stat] = {}
        looked_at: set[str] = set()
        for look in range(_LOOKS):
            results = put(view)
            paths = {hit.path for hit in (*results.hits, results.closest) if hit is not None} - looked_at
            is_last = look == _LOOKS - 1
            changed = self._changed(snapshot, paths, stats, 0 if is_last else _MOST_DIVIDED >> look)
            if changed and is_last:
                results = _without(results, {document.path for document in changed})
            if not changed or is_last:
                break
            from modstar_lsp.index.reading.unsaved import UnsavedView

            looked_at |= paths
            view = UnsavedView.over(snapshot, view, changed)
        return CheckedResults(results, view, stats, bool(looked_at))

    def _changed(
        self, snapshot: Snapshot, paths: Collection[str], stats: dict[str, Stat], most: int
    ) -> list[UnsavedDocument]:
        """Of these files those that are not as `snapshot` has them, as they stand; `most` are divided.

        stats: takes those of the files that are there.
        """
        changed: list[UnsavedDocument] = []
        for path, indexed in snapshot.stats(paths).items():
            stat = _stat_of(self._root / path)
            if stat is not None:
                stats[path] = stat
            if stat == indexed or self._is_open(path):
                continue
            if stat is None:
                checked_folder(self._root)
            document = self._standing(path, stat, snapshot.digest(path), len(changed) < most)
            if document is not None:
                changed.append(document)
        return changed

    def _standing(self, path: str, stat: Stat | None, indexed: bytes, divide: bool) -> UnsavedDocument | None:
        """The file as it stands, hidden when gone or not to be divided; None when its text is the same."""
        from modstar_lsp.index.reading.unsaved import digest_of, hidden_document, unsaved_document

        if stat is None:
            return hidden_document(path, self._encoder)
        known = self._kept.get(path)
        if known is not None and (known.stat, known.indexed) == (stat, indexed):
            return known.document
        try:
            text = read_source(self._root, path)
        except Unreadable:
            return hidden_document(path, self._encoder)
        document = None
        if digest_of(text) != indexed:
            if not divide:
                return hidden_document(path, self._encoder)
            document = unsaved_document(path, text, self._encoder, self._max_bytes())
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[path] = _Standing(stat, indexed, document)
        return document


def _stat_of(file: Path) -> Stat | None:
    """What tells that a file did not change, as the walk notes it; None when it is gone."""
    try:
        status = file.lstat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _without(results: Results, paths: Collection[str]) -> Results:
    """`results` but for what is in these files."""
    closest = results.closest
    return results._replace(
        hits=tuple(hit for hit in results.hits if hit.path not in paths),
        closest=None if closest is None or closest.path in paths else closest,
        good=sum(hit.path not in paths for hit in results.hits[: results.good]),
    )
