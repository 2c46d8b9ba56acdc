"""A bundle is opened only when it is whole, unaltered and of a format that this runtime reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bundle.manifest import update_manifest
from modstar_lsp.encoder import Encoder, open_bundle
from modstar_lsp.errors import BundleError
from tests.encoder.random_bundle import DIMENSION, make_bundle


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "modstar.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_an_opened_bundle_tells_what_it_is(bundle_folder: Path) -> None:
    bundle = open_bundle(bundle_folder)
    assert (bundle.name, bundle.dimension, bundle.licence) == ("random", DIMENSION, "Apache-2.0")
    assert [(candidate.depth, candidate.precision) for candidate in bundle.exits] == [(0, "int8")]
    assert bundle.exit(0).dimension == DIMENSION
    bundle.verify()
    with pytest.raises(BundleError, match="has no exit 4; it has 0"):
        bundle.exit(4)


def test_the_bundle_inside_the_package_opens_and_is_whole() -> None:
    bundle = open_bundle()
    bundle.verify()
    assert Encoder(bundle).encode(["parse a json file"]).shape == (1, bundle.indexed)


def test_a_tampered_byte_is_noticed_when_the_file_is_loaded(bundle_folder: Path) -> None:
    table = bundle_folder / "static.npy"
    content = bytearray(table.read_bytes())
    content[-5] ^= 1
    table.write_bytes(content)
    with pytest.raises(BundleError, match=r"static\.npy was altered or damaged"):
        Encoder(open_bundle(bundle_folder)).encode(["parse"])
    with pytest.raises(BundleError, match=r"static\.npy was altered"):
        open_bundle(bundle_folder).verify()


def test_what_the_check_beside_finds_is_raised_where_the_encoder_is_used(bundle_folder: Path) -> None:
    sound = Encoder(open_bundle(bundle_folder))
    sound.prepare()
    assert np.array_equal(sound.encode(["parse"]), Encoder(open_bundle(bundle_folder)).encode(["parse"]))
    table = bundle_folder / "static.npy"
    table.write_bytes(table.read_bytes()[:-1] + b"x")
    altered = Encoder(open_bundle(bundle_folder))
    altered.prepare()
    for _ in range(2):
        with pytest.raises(BundleError, match=r"static\.npy was altered or damaged"):
            altered.encode(["parse"])


def test_a_truncated_file_is_noticed_at_once(bundle_folder: Path) -> None:
    table = bundle_folder / "static.npy"
    table.write_bytes(table.read_bytes()[:-1])
    with pytest.raises(BundleError, match=r"static\.npy has \d+ bytes instead of \d+"):
        open_bundle(bundle_folder)


def test_a_missing_file_is_noticed_at_once(bundle_folder: Path) -> None:
    (bundle_folder / "vocabulary.txt").unlink()
    with pytest.raises(BundleError, match=r"vocabulary\.txt is missing"):
        open_bundle(bundle_folder)


@pytest.mark.parametrize(
    "name", ["../static.npy", "/etc/passwd", "a/b", "a\\b", "C:x", "..", ".hidden", "", "a\0b"]
)
def test_a_manifest_cannot_point_outside_its_folder(bundle_folder: Path, name: str) -> None:
    edit(bundle_folder, lambda m: m["files"].update({name: m["files"]["static.npy"]}))
    with pytest.raises(BundleError, match="no plain file name"):
        open_bundle(bundle_folder)


def test_a_file_without_size_and_digest_is_not_used(bundle_folder: Path) -> None:
    edit(bundle_folder, lambda m: m["static"].update(table="../other/static.npy"))
    with pytest.raises(BundleError, match="has no size and digest"):
        open_bundle(bundle_folder)


def test_a_newer_format_asks_for_an_upgrade(bundle_folder: Path) -> None:
    edit(bundle_folder, lambda m: m.update(format=99))
    with pytest.raises(BundleError, match=r"made by a newer modstar .*upgrade"):
        open_bundle(bundle_folder)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"format": true}', '{"format": "1"}', "[" * 100_000, '{"format": 0}', "\xff"],
)
def test_a_manifest_that_is_none_is_one_line(bundle_folder: Path, content: str) -> None:
    (bundle_folder / "modstar.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(BundleError) as caught:
        open_bundle(bundle_folder)
    assert "\n" not in str(caught.value) and str(bundle_folder) in str(caught.value)


FIELDS = ["name", "version", "licence", "dimension", "max_tokens", "prompts", "tokenizer", "static", "exits"]
FIELDS += ["calibration", "provenance", "files"]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [None, -1, True, [7], {"depth": 3}])
def test_a_field_of_the_wrong_kind_is_one_line(bundle_folder: Path, field: str, value: Any) -> None:
    free_form = field in ("prompts", "calibration", "provenance")
    if free_form and isinstance(value, dict):
        return
    edit(bundle_folder, lambda m: m.update({field: value}))
    with pytest.raises(BundleError) as caught:
        open_bundle(bundle_folder)
    assert "\n" not in str(caught.value)


def test_exits_of_two_dimensions_share_no_space(bundle_folder: Path) -> None:
    edit(bundle_folder, lambda m: m["exits"][0].update(dimension=DIMENSION // 2))
    with pytest.raises(BundleError, match="differ in dimension"):
        open_bundle(bundle_folder)


@pytest.mark.parametrize("indexed", [DIMENSION + 1, 0, "8", None])
def test_an_index_cannot_keep_more_values_than_there_are(bundle_folder: Path, indexed: Any) -> None:
    edit(bundle_folder, lambda m: m.update(indexed=indexed))
    with pytest.raises(BundleError, match="indexed"):
        open_bundle(bundle_folder)


@pytest.mark.parametrize("place", ["nowhere", "file"])
def test_no_bundle_where_one_is_asked_for(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="no model bundle at"):
        open_bundle(tmp_path / place)


def test_the_digest_tells_other_vectors_but_not_another_calibration(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "one")
    digest = open_bundle(folder).digest
    update_manifest(folder, calibration={"0": [1.0, 2.0]})
    assert open_bundle(folder).calibration == {"0": [1.0, 2.0]}
    assert open_bundle(folder).digest == digest
    assert open_bundle(make_bundle(tmp_path / "two", tf="linear")).digest != digest


def test_a_table_that_does_not_fit_its_vocabulary_is_refused(bundle_folder: Path) -> None:
    edit(bundle_folder, lambda m: m["static"].update(vocabulary="static-scales.npy"))
    with pytest.raises(BundleError):
        Encoder(open_bundle(bundle_folder)).encode(["parse"])
