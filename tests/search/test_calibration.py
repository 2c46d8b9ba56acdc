"""A bundle says for each exit what its answers are worth, and searches go by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modstar_lsp.errors import BundleError
from modstar_lsp.search import Options
from modstar_lsp.search.calibrate import DEFAULT, Calibration
from modstar_lsp.workspace import Workspace
from tests.encoder.random_bundle import make_bundle


def calibration(**changes: Any) -> dict[str, Any]:
    return DEFAULT._replace(**changes).to_manifest()


def test_each_exit_has_its_own() -> None:
    manifest = {"0": calibration(dense=0.1), "4": calibration(dense=0.2)}
    assert Calibration.from_manifest(manifest, 0).dense == 0.1
    assert Calibration.from_manifest(manifest, 4).dense == 0.2


def test_an_exit_without_its_own_takes_that_of_the_exit_above() -> None:
    assert Calibration.from_manifest({"0": calibration(), "4": calibration(dense=0.2)}, 6).dense == 0.2


def test_one_for_all_exits_is_read_as_older_bundles_have_it() -> None:
    manifest = {key: value for key, value in calibration(threshold=0.4).items() if key != "dense"}
    assert Calibration.from_manifest(manifest, 4) == DEFAULT._replace(threshold=0.4)


def test_find_similar_has_one_of_its_own_where_the_bundle_says_so() -> None:
    own = Calibration(-4.0, {"shared": 5.0}, 0.3, DEFAULT.dense)
    manifest = {"0": calibration(similar=own), "4": calibration()}
    assert Calibration.from_manifest(manifest, 0).similar == own
    assert Calibration.from_manifest(manifest, 4).similar is None


def test_a_bundle_without_any_gets_the_default() -> None:
    assert Calibration.from_manifest({}, 4) is DEFAULT


@pytest.mark.parametrize(
    "manifest",
    [
        {"0": [1.0, 2.0]},
        {"zero": calibration()},
        {"4": calibration()},
        {"0": calibration() | {"weights": {"unheard of": 1.0}}},
        {"0": calibration() | {"dense": "much"}},
        {"0": {"dense": 0.1}},
        calibration() | {"threshold": None},
        calibration() | {"similar": 0.5},
        calibration() | {"similar": {"bias": 1.0, "threshold": 0.3, "weights": {"place": 1.0}}},
        calibration() | {"similar": {"bias": 1.0, "weights": {"shared": 1.0}}},
    ],
)
def test_what_is_no_calibration_is_an_error_of_one_line(manifest: dict[str, Any]) -> None:
    with pytest.raises(BundleError) as error:
        Calibration.from_manifest(manifest, 0)
    assert "\n" not in str(error.value)


def workspace(root: Path, work: Path, manifest: dict[str, Any]) -> Workspace:
    return Workspace.open(root, index_dir=work, bundle=make_bundle(work / "bundle", calibration=manifest))


def test_a_search_goes_by_the_calibration_of_its_exit(project: Path, tmp_path: Path) -> None:
    with workspace(project, tmp_path, {"0": calibration(dense=0.0, threshold=0.999)}) as opened:
        opened.refresh()
        results = opened.search("parse json settings slowly")
        assert results.hits == ()
        assert results.closest is not None
        hits = opened.search("parse json settings", Options(min_score=0.0)).hits
        assert not any("dense" in hit.explanation for hit in hits)
