"""A file has one name for the client and one for us, and each leads to the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modstar_lsp.server.uris import file_uri, from_path, relative, to_path

names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12
).filter(lambda name: name not in (".", ".."))


@given(st.lists(names, min_size=1, max_size=4))
def test_any_path_survives_the_way_to_a_uri_and_back(parts: list[str]) -> None:
    path = Path("/", *parts)
    uri = from_path(path)
    assert uri.isascii()
    assert to_path(uri) == path
    assert relative(Path("/", *parts[:-1]), uri) == parts[-1]
    assert file_uri(from_path(path.parent), parts[-1]) == uri


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a%20b/c%2523.py", "/a b/c%23.py"),
        ("file:///a b/ä.py", "/a b/ä.py"),
        ("file:///a;b/c;d.py", "/a;b/c;d.py"),
        ("file:///a/%C3%A4.py", "/a/ä.py"),
        ("file:///a/%E4.py", "/a/\udce4.py"),
        ("file://localhost/a.py", "/a.py"),
        ("FILE:///a.py", "/a.py"),
        ("file:/a.py", "/a.py"),
        ("file:///a/c#.py", "/a/c#.py"),
    ],
)
def test_uris_as_editors_write_them(uri: str, path: str) -> None:
    assert to_path(uri) == Path(path)


@pytest.mark.parametrize(
    "uri",
    ["untitled:Untitled-1", "git:/a.py", "http://x/a", "", "a.py", "file:", "file:///a%00b", "file://[/a"],
)
def test_what_is_no_file_is_none(uri: str) -> None:
    assert to_path(uri) is None


def test_only_what_lies_below_a_folder_is_relative_to_it() -> None:
    folder = Path("/home/ada/shop")
    assert relative(folder, "file:///home/ada/shop/a/b.py") == "a/b.py"
    for uri in (
        "file:///home/ada/shopping/a.py",
        "file:///home/ada/shop",
        "file:///home/ada/shop/../a.py",
        "untitled:a",
    ):
        assert relative(folder, uri) is None


def test_a_folder_reached_through_a_link_is_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.py").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert relative(tmp_path / "link", from_path(tmp_path / "real/a.py")) == "a.py"
    assert relative(tmp_path / "real", from_path(tmp_path / "link/a.py")) == "a.py"
