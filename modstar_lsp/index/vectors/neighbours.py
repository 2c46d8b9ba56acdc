"""A nearest-neighbour graph (HNSW, by hnswlib) for workspaces where scanning every vector takes long.

It is derived: only the links are kept in its file, since the vectors are in the database, which makes it an
eighth of what hnswlib saves. hnswlib crashes the process on a damaged file, so nothing is handed to it before
the file's digest is checked. What the graph does not cover (newer chunks, vectors that got deeper) is scanned
beside it, and its answers are scored exactly, so it can be some commits old and still find what is there now.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.allowance import usable_cores
from modstar_lsp.arrays import Floats, Rows
from modstar_lsp.index.records import Cancelled, OnProgress, Progress
from modstar_lsp.index.store.database import Database
from modstar_lsp.index.vectors.quantised import Quantised, top
from modstar_lsp.private_files import write_private_file

# Links per vector and width of the search while building. On 100,000 chunks twice as many links find no more.
_M, _EF_CONSTRUCTION = 16, 100
# The search width is the first of these at which the graph finds this share of the exact hundred nearest to
# the probes. 40,000 chunks need 1,024: half of what the scan takes.
_WIDTHS = (128, 192, 256, 384, 512, 768, 1024)
_RECALL, _RECALL_AT, _PROBES = 0.995, 100, 100
# Questions lie off and between the chunks, and their nearest are harder to find than a chunk's: with noise of
# this length a probe's best cosine is .46 and its tenth .38, a plain-words question's .40 and .33. Of the
# nearest to 150 questions the graph found .984 at the width where it found .995 of the probes'.
_NOISE = 2.0
# Built again when more than this share of the vectors is not covered, or covered in vain.
STALE_SHARE = 0.1
# Vectors added between two looks at `cancelled`.
_ADDED = 500
# Of the time that a graph takes: all but what finds its search width, and later vectors take longer.
_ADDING_SHARE, _SLOWING = 0.87, 1.3
_SEED = 20
# Room for answers that no living chunk refers to any more.
_SPARE_ANSWERS = 16
# What hnswlib wants back to continue a graph, but for the large arrays.
_SCALARS = (
    "ser_version", "space", "dim", "index_inited", "ep_added", "normalize", "num_threads", "seed",
    "offset_level0", "max_elements", "cur_element_count", "size_data_per_element", "label_offset",
    "offset_data", "max_level", "enterpoint_node", "max_M", "max_M0", "M", "mult", "ef_construction", "ef",
    "has_deletions", "size_links_per_element", "allow_replace_deleted",
)  # fmt: skip


class VectorRows(Protocol):
    """What the graph needs of a generation of the index; see `Snapshot`, which is one."""

    n: int
    generation: int
    numbering: str
    vector_of: Rows

    @property
    def exits(self) -> NDArray[np.uint8]:
        """uint8 [n]: the depth of the exit at which each row's vector was made."""

    def quantised(self) -> Quantised:
        """The vectors by their number, which `vector_of` has for each row."""

    def cosines(self, query: Floats, rows: Rows) -> Floats:
        """float32 [len(rows)]: the exact cosines, which calibrate the graph's."""


class _View(NamedTuple):
    """What of a graph holds for one snapshot.

    rows: all covered rows, by vector; those of vector number v are `starts[v]:starts[v + 1]`.  uncovered: the
    other rows.
    """

    rows: Rows
    starts: NDArray[np.int64]
    uncovered: Rows


class NeighbourGraph:
    """A graph over vectors by number. Safe to search from several threads.

    exits: of each vector number when it was added, 255 for numbers that are not in the graph.  width: of the
    search, 0 when no width finds enough.
    """

    def __init__(self, hnsw: Any, exits: NDArray[np.uint8], numbering: str, width: int) -> None:
        self._hnsw = hnsw
        self._exits = exits
        self._size = int((exits != 255).sum())
        self._views: list[tuple[int, _View]] = []
        self.numbering = numbering
        self.width = width

    @property
    def is_good(self) -> bool:
        """Whether it finds enough to be of use."""
        return self.width > 0

    def stale_share(self, snapshot: VectorRows) -> float:
        """The share of vectors that it lacks or has in vain, 1 when vectors got other numbers since."""
        if self.numbering != snapshot.numbering:
            return 1.0
        view = self._view(snapshot)
        living = int((np.diff(view.starts) > 0).sum())
        return (len(view.uncovered) + self._size - living) / max(snapshot.n, 1)

    def nearest(self, snapshot: VectorRows, query: Floats, k: int) -> tuple[Rows, Floats] | None:
        """As `Snapshot.nearest`; None when the exact scan has to answer."""
        if self.numbering != snapshot.numbering or not 0 < k < snapshot.n:
            return None
        view = self._view(snapshot)
        wanted = min(k + _SPARE_ANSWERS, self._size)
        if wanted > _WIDTHS[-1] or len(view.uncovered) > STALE_SHARE * snapshot.n:
            return None
        try:
            self._hnsw.set_ef(max(self.width, wanted))
            numbers = self._hnsw.knn_query(query, wanted, num_threads=1)[0][0].astype(np.int64)
        except RuntimeError:
            return None  # fewer than asked for within reach
        rows = [view.rows[view.starts[number] : view.starts[number + 1]] for number in numbers]
        covered = np.concatenate(rows)
        if len(covered) < k:
            return None
        candidates = np.sort(np.concatenate((covered, view.uncovered)))
        cosines = snapshot.cosines(query, candidates)
        best = top(cosines, k)
        return candidates[best], cosines[best]

    def _view(self, snapshot: VectorRows) -> _View:
        for generation, view in self._views:
            if generation == snapshot.generation:
                return view
        number = snapshot.vector_of
        exits = np.full(max(len(self._exits), int(number.max(initial=0)) + 1), 255, np.uint8)
        exits[: len(self._exits)] = self._exits
        covered = exits[number] == snapshot.exits
        rows = np.flatnonzero(covered).astype(np.int32)
        rows = rows[np.argsort(number[rows], kind="stable")]
        starts = np.concatenate(([0], np.cumsum(np.bincount(number[rows], minlength=len(exits)))))
        view = _View(rows, starts, np.flatnonzero(~covered).astype(np.int32))
        self._views = [*self._views[-1:], (snapshot.generation, view)]
        return view


def can_build() -> bool:
    """Whether hnswlib is installed."""
    from importlib.util import find_spec

    return find_spec("hnswlib") is not None


class GraphVectors(NamedTuple):
    """What a graph is built of, free of the snapshot: building takes longer than a snapshot should be held.

    exits: of each vector number, 255 for numbers that no chunk refers to.
    """

    vectors: Quantised
    exits: NDArray[np.uint8]
    numbering: str

    @classmethod
    def of(cls, snapshot: VectorRows) -> GraphVectors:
        """The vectors that the chunks of `snapshot` refer to."""
        exits = np.full(int(snapshot.vector_of.max(initial=-1)) + 1, 255, np.uint8)
        exits[snapshot.vector_of] = snapshot.exits
        return cls(snapshot.quantised(), exits, snapshot.numbering)


def build(
    source: GraphVectors, *, progress: OnProgress | None = None, cancelled: Cancelled | None = None
) -> NeighbourGraph | None:
    """A graph of all vectors, which may not be good; None when cancelled."""
    import hnswlib

    numbers = np.flatnonzero(source.exits != 255)
    vectors = source.vectors
    hnsw = hnswlib.Index("ip", vectors.codes.shape[1])
    hnsw.init_index(len(numbers), M=_M, ef_construction=_EF_CONSTRUCTION, random_seed=_SEED)
    # Half of the processors: this runs in the background of an editor.
    threads = max(1, usable_cores() // 2)
    for start in range(0, len(numbers), _ADDED):
        if cancelled is not None and cancelled():
            return None
        some = numbers[start : start + _ADDED]
        hnsw.add_items(vectors.decode(some), some, num_threads=threads)
        if progress is not None:
            done = start + len(some)
            part = _ADDING_SHARE * (done / len(numbers)) ** _SLOWING
            progress(Progress("graph", done, len(numbers), "", part))
    return NeighbourGraph(hnsw, source.exits, source.numbering, _calibrate(hnsw, vectors, numbers))


def _calibrate(hnsw: Any, vectors: Quantised, numbers: NDArray[np.int64]) -> int:
    """The least search width that finds what the exact scan finds, 0 when none does."""
    random = np.random.default_rng(_SEED)
    pairs = random.choice(numbers, (_PROBES, 2))
    probes = vectors.decode(pairs[:, 0]) + 0.5 * vectors.decode(pairs[:, 1])
    noise = random.standard_normal(probes.shape, dtype=np.float32)
    probes += _NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    at = min(_RECALL_AT, len(numbers))
    least = []
    for probe in probes:
        cosines = vectors.cosines(probe, numbers)
        least.append(cosines[top(cosines, at)[-1]])
    for width in _WIDTHS:
        hnsw.set_ef(width)
        try:
            found, _ = hnsw.knn_query(probes, at, num_threads=1)
        except RuntimeError:
            continue
        # By cosine, not by number: of equals any is right.
        hits = [
            vectors.cosines(probe, row.astype(np.int64)) >= limit
            for probe, row, limit in zip(probes, found, least, strict=True)
        ]
        if np.mean(hits) >= _RECALL:
            return width
    return 0


def save(graph: NeighbourGraph, database: Database) -> None:
    """Writes the links beside the database, the file first, then the record that makes it valid.

    Of a graph that is not good only the record is kept, so that nobody builds the same again.
    """
    record = {
        **_record(database),
        "numbering": graph.numbering,
        "width": graph.width,
        "vectors": _by_exit(graph._exits),
    }
    file = database.graph
    if graph.is_good:
        data = _links(graph)
        record["sha256"] = sha256(data).hexdigest()
        write_private_file(file, data)
    else:
        file.unlink(missing_ok=True)
    write_private_file(_record_file(database), json.dumps(record).encode())


def remove(database: Database) -> None:
    """Takes away what `save` wrote, if anything."""
    for file in (_record_file(database), database.graph):
        with suppress(OSError):
            file.unlink()


def _record_file(database: Database) -> Path:
    return database.graph.with_name(f"{database.graph.name}.json")


def is_hopeless(snapshot: VectorRows, database: Database) -> bool:
    """Whether a graph of much the same vectors was built and was not good."""
    try:
        record = _read_record(database)
        if record["numbering"] != snapshot.numbering or record["width"] != 0:
            return False
        before, now = Counter(record["vectors"]), Counter(_by_exit(GraphVectors.of(snapshot).exits))
        changed = (before - now) + (now - before)
        return changed.total() <= STALE_SHARE * before.total()
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _by_exit(exits: NDArray[np.uint8]) -> dict[str, int]:
    """How many vectors there are of each exit."""
    depths, counts = np.unique(exits[exits != 255], return_counts=True)
    return {str(depth): count for depth, count in zip(depths.tolist(), counts.tolist(), strict=True)}


def _links(graph: NeighbourGraph) -> bytes:
    """All of a graph but its vectors."""
    state: dict[str, Any] = graph._hnsw.__getstate__()[0]
    count = state["cur_element_count"]
    level0 = state["data_level0"].reshape(count, -1)
    content = io.BytesIO()
    np.savez(
        content,
        scalars=np.array(json.dumps({name: state[name] for name in _SCALARS})),
        exits=graph._exits,
        links0=level0[:, : state["offset_data"]],
        labels=np.ascontiguousarray(level0[:, state["label_offset"] :]).view(np.uint64)[:, 0],
        link_lists=state["link_lists"],
        element_levels=state["element_levels"],
        lookup_external=state["label_lookup_external"],
        lookup_internal=state["label_lookup_internal"],
    )
    return content.getvalue()


def load_graph(snapshot: VectorRows, database: Database) -> NeighbourGraph | None:
    """The graph beside the database if it is whole and fits the vectors of `snapshot`."""
    file = database.graph
    try:
        record = _read_record(database)
        width = record.get("width")
        if record.get("numbering") != snapshot.numbering or width not in _WIDTHS:
            return None
        data = file.read_bytes()
        if sha256(data).hexdigest() != record.get("sha256"):
            return None
        import hnswlib

        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            state = _state(arrays, snapshot)
            if state is None:
                return None
            return NeighbourGraph(hnswlib.Index(state), arrays["exits"], snapshot.numbering, width)
    except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError):
        return None


def _state(arrays: Mapping[str, Any], snapshot: VectorRows) -> dict[str, Any] | None:
    """What hnswlib continues from, the vectors put back in; None when they are not all there."""
    state: dict[str, Any] = json.loads(str(arrays["scalars"]))
    vectors = snapshot.quantised()
    labels = arrays["labels"].astype(np.int64)
    links0 = arrays["links0"]
    if state["dim"] != vectors.codes.shape[1] or int(labels.max(initial=-1)) >= len(vectors.codes):
        return None
    level0 = np.empty((len(labels), state["size_data_per_element"]), np.int8)
    vectors_end = state["offset_data"] + 4 * state["dim"]
    level0[:, : state["offset_data"]] = links0
    level0[:, state["offset_data"] : vectors_end] = vectors.decode(labels).view(np.int8)
    level0[:, state["label_offset"] :] = arrays["labels"][:, None].view(np.int8)
    state["data_level0"] = level0.reshape(-1)
    state["link_lists"] = arrays["link_lists"]
    state["element_levels"] = arrays["element_levels"]
    state["label_lookup_external"] = arrays["lookup_external"]
    state["label_lookup_internal"] = arrays["lookup_internal"]
    return state


def _read_record(database: Database) -> dict[str, Any]:
    """What was noted of the graph. Raises OSError or ValueError when there is nothing that fits."""
    record = json.loads(_record_file(database).read_bytes())
    expected = _record(database)
    if not isinstance(record, dict) or any(record.get(key) != value for key, value in expected.items()):
        raise ValueError("not of this index")
    return record


def _record(database: Database) -> dict[str, Any]:
    return {"bundle": database.bundle_digest, "dimension": database.dimension, "space": "ip"}
