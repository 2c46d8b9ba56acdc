"""Only what is certainly permissive is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from train.data.licences import Licences, identify, metadata_licence, permitted

MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software"
BSD = "Redistribution and use in source and binary forms, with or without modification, are permitted"
APACHE = "Apache License\n   Version 2.0, January 2004"
GPL = "GNU GENERAL PUBLIC LICENSE\nVersion 3"
BUSL = "Business Source License 1.1"


def licences(root: Path, debian: str = "", metadata: str = "", **files: str) -> Licences:
    for name, text in files.items():
        target = root / name.replace("__", "/").replace("_DOT_", ".").replace("_DASH_", "-")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return Licences(
        root, [one.relative_to(root).as_posix() for one in root.rglob("*") if one.is_file()], debian, metadata
    )


@pytest.mark.parametrize(
    ("expression", "licence"),
    [
        ("MIT", "MIT"),
        ("Expat", "MIT"),
        ("Apache-2.0 OR MIT", "Apache-2.0"),
        ("MIT OR GPL-3.0-only", "MIT"),
        ("GPL-2+ or BSD-3-clause", "BSD-3-Clause"),
        ("MIT/Apache-2.0", "MIT"),
        ("BSD-3-clause-Google", "BSD-3-Clause"),
        ("Apache-2.0 WITH LLVM-exception", "Apache-2.0"),
        ("MIT AND ISC", "MIT AND ISC"),
        ("MIT AND GPL-3.0", ""),
        ("GPL-3+", ""),
        ("LGPL-2.1", ""),
        ("MPL-2.0", ""),
        ("BUSL-1.1", ""),
        ("CC-BY-SA-4.0", ""),
        ("UNLICENSED", ""),
        ("", ""),
    ],
)
def test_what_an_expression_permits(expression: str, licence: str) -> None:
    assert permitted(expression) == licence


def test_texts_are_known_by_their_first_phrase() -> None:
    assert [identify(text) for text in (MIT, BSD, APACHE, GPL, BUSL, "All rights reserved.")] == [
        "MIT", "BSD-2-Clause", "Apache-2.0", "GPL", "BUSL-1.1", "",
    ]  # fmt: skip
    assert identify(BSD + "\nNeither the name of the author") == "BSD-3-Clause"
    assert identify(APACHE + "\nBundled: " + GPL) == "Apache-2.0"
    assert identify(GPL + "\nParts: " + MIT) == "GPL"


def test_the_nearest_licence_counts(tmp_path: Path) -> None:
    found = licences(tmp_path, LICENSE=MIT, lib__COPYING=GPL, lib__free__LICENSE=APACHE)
    assert found.of("main.c", "") == "MIT"
    assert found.of("lib/x.c", "") == ""
    assert found.of("lib/free/deep/x.c", "") == "Apache-2.0"


def test_the_licence_of_a_part_is_not_the_whole(tmp_path: Path) -> None:
    assert licences(tmp_path, LICENSE=BUSL, COPYING_DOT_protobuf=BSD).of("a.scala", "") == ""


def test_two_licence_files(tmp_path: Path) -> None:
    assert licences(tmp_path / "a", LICENSE_DASH_MIT=MIT, LICENSE_DASH_APACHE=APACHE).of("a.rs", "")
    assert licences(tmp_path / "b", LICENSE=MIT, COPYING=GPL).of("a.c", "") == ""


def test_a_head_of_the_file_outweighs_everything(tmp_path: Path) -> None:
    found = licences(tmp_path, LICENSE=MIT)
    assert found.of("a.c", "/* SPDX-License-Identifier: GPL-2.0-only */") == ""
    assert found.of("a.c", "// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)\n") == "BSD-3-Clause"
    assert (
        found.of("a.c", "This program is free software under the terms of the GNU General Public License")
        == ""
    )


def test_no_licence_is_no_permission(tmp_path: Path) -> None:
    assert licences(tmp_path / "a", README="hello").of("a.c", "") == ""
    assert licences(tmp_path / "b", metadata="MIT").of("a.c", "") == "MIT"
    assert licences(tmp_path / "c", metadata="MIT", LICENSE=GPL).of("a.c", "") == ""
    assert licences(tmp_path / "d", metadata="GPL-3.0").of("a.c", "") == ""


def test_more_licences_can_be_accepted(tmp_path: Path) -> None:
    found = licences(tmp_path, LICENSE="Mozilla Public License Version 2.0")
    assert found.of("a.c", "") == "" and found.of("a.c", "", ("MPL",)) == "MPL"


def test_debians_record_decides_by_file(tmp_path: Path) -> None:
    record = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
        "Files: *\nCopyright: A\nLicense: Expat\n\n"
        "Files: src/gpl/*\n extra.c\nCopyright: B\nLicense: GPL-2+\n Text.\n\nLicense: Expat\n Text.\n"
    )
    found = licences(tmp_path, debian=record)
    assert [found.of(path, "") for path in ("a.c", "src/b.c", "src/gpl/deep/c.c", "extra.c")] == [
        "MIT",
        "MIT",
        "",
        "",
    ]


def test_what_packages_state() -> None:
    assert metadata_licence("package.json", '{"license": "MIT"}') == "MIT"
    assert metadata_licence("package.json", '{"license": {"type": "ISC"}}') == "ISC"
    assert metadata_licence("package.json", "{broken") == ""
    assert metadata_licence("METADATA", "Name: x\nLicense-Expression: Apache-2.0\n") == "Apache-2.0"
    assert (
        metadata_licence("METADATA", "Name: x\nClassifier: License :: OSI Approved :: MIT License\n")
        == "MIT License"
    )
    assert metadata_licence("Cargo.toml", 'license = "MIT OR Apache-2.0"') == "MIT OR Apache-2.0"
