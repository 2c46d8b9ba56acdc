"""What the index uses of the insides of hnswlib is there and means what we take it to mean.

Its state is taken apart, so that vectors are not kept twice, and put together again. hnswlib checks nothing
of what it is given: before the bound in pyproject.toml is raised, these say what has to be looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

hnswlib = pytest.importorskip("hnswlib")

DIMENSION, COUNT = 24, 300
SCALARS = {
    "ser_version", "space", "dim", "index_inited", "ep_added", "normalize", "num_threads", "seed",
    "offset_level0", "max_elements", "cur_element_count", "size_data_per_element", "label_offset",
    "offset_data", "max_level", "enterpoint_node", "max_M", "max_M0", "M", "mult", "ef_construction", "ef",
    "has_deletions", "size_links_per_element", "allow_replace_deleted",
}  # fmt: skip
ARRAYS = {
    "data_level0", "link_lists", "element_levels", "label_lookup_external", "label_lookup_internal",
}  # fmt: skip


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    rows = np.random.default_rng(1).standard_normal((COUNT, DIMENSION), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def labels() -> NDArray[np.int64]:
    return np.arange(COUNT) * 3 + 5


@pytest.fixture(scope="module")
def graph(vectors: NDArray[np.float32], labels: NDArray[np.int64]) -> Any:
    graph = hnswlib.Index("ip", DIMENSION)
    graph.init_index(COUNT, M=16, ef_construction=100, random_seed=20)
    graph.add_items(vectors, labels, num_threads=1)
    graph.set_ef(128)
    return graph


@pytest.fixture(scope="module")
def state(graph: Any) -> dict[str, Any]:
    found: dict[str, Any] = graph.__getstate__()[0]
    return found


def test_the_state_has_these_parts_and_no_others(state: dict[str, Any]) -> None:
    assert set(state) == SCALARS | ARRAYS
    assert all(isinstance(state[name], np.ndarray) for name in ARRAYS)
    assert all(isinstance(state[name], int | float | str | bool) for name in SCALARS)


def test_an_element_is_its_links_then_its_vector_then_its_label(
    state: dict[str, Any], vectors: NDArray[np.float32], labels: NDArray[np.int64]
) -> None:
    level0 = state["data_level0"].reshape(COUNT, -1)
    assert level0.shape[1] == state["size_data_per_element"]
    assert state["label_offset"] == state["offset_data"] + 4 * DIMENSION
    kept = np.ascontiguousarray(level0[:, state["offset_data"] : state["label_offset"]]).view(np.float32)
    named = np.ascontiguousarray(level0[:, state["label_offset"] :]).view(np.uint64)[:, 0]
    assert np.array_equal(kept, vectors[np.searchsorted(labels, named)])
    assert sorted(named.tolist()) == labels.tolist()


def test_a_graph_made_of_the_state_answers_the_same(
    graph: Any, state: dict[str, Any], vectors: NDArray[np.float32]
) -> None:
    again = hnswlib.Index(dict(state))
    again.set_ef(128)
    for expected, found in zip(
        graph.knn_query(vectors[:50], 10), again.knn_query(vectors[:50], 10), strict=True
    ):
        assert np.array_equal(expected, found)


def test_answers_are_labels_and_one_minus_the_product_nearest_first(
    graph: Any, vectors: NDArray[np.float32], labels: NDArray[np.int64]
) -> None:
    found, distances = graph.knn_query(vectors[:20], 5, num_threads=1)
    assert np.array_equal(found[:, 0], labels[:20])
    products = np.einsum("qd,qkd->qk", vectors[:20], vectors[np.searchsorted(labels, found)])
    assert np.allclose(distances, 1 - products, atol=1e-5)
    assert (np.diff(distances, axis=1) >= 0).all()


def test_more_answers_than_it_has_are_refused_and_not_made_up(
    graph: Any, vectors: NDArray[np.float32]
) -> None:
    with pytest.raises(RuntimeError):
        graph.knn_query(vectors[:1], COUNT + 1)


def test_one_seed_and_one_thread_make_one_graph(
    state: dict[str, Any], vectors: NDArray[np.float32], labels: NDArray[np.int64]
) -> None:
    second = hnswlib.Index("ip", DIMENSION)
    second.init_index(COUNT, M=16, ef_construction=100, random_seed=20)
    second.add_items(vectors, labels, num_threads=1)
    assert np.array_equal(second.__getstate__()[0]["data_level0"], state["data_level0"])
