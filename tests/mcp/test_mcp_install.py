"""Installing adds a few characters, uninstalling takes back exactly those, and nobody's file is ever lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modstar_lsp.mcp.install import NotOurs, clients, installed, uninstalled

CLIENTS = clients("modstar")
JSON = [name for name in CLIENTS if name != "codex"]

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    name=st.sampled_from(JSON),
    rest=st.dictionaries(st.text(), VALUES, max_size=3),
    servers=st.none() | st.dictionaries(st.text(min_size=1), VALUES, max_size=3),
    indent=st.none() | st.integers(0, 4),
    windows=st.booleans(),
)
def test_any_file_has_the_server_after_installing_and_is_itself_again_after_uninstalling(
    name: str, rest: dict[str, Any], servers: dict[str, Any] | None, indent: int | None, windows: bool
) -> None:
    client = CLIENTS[name]
    rest.pop(client.section, None)
    (servers or {}).pop("modstar", None)
    known = rest if servers is None else {**rest, client.section: servers}
    before = json.dumps(known, indent=indent) + "\n"
    before = before.replace("\n", "\r\n") if windows else before
    after = installed(before, client)
    assert json.loads(after) == {**known, client.section: {**(servers or {}), "modstar": client.entry}}
    assert installed(after, client) == after
    assert uninstalled(after, client) == before
    assert uninstalled(before, client) == before


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("before", ["", "\n\n", "\r\n"])
def test_a_file_that_held_nothing_is_there_again(name: str, before: str) -> None:
    after = installed(before, CLIENTS[name])
    assert installed(after, CLIENTS[name]) == after != before
    assert uninstalled(after, CLIENTS[name]) == before


@pytest.mark.parametrize("name", CLIENTS)
def test_a_file_that_was_made_is_removed_again(name: str) -> None:
    assert uninstalled(installed(None, CLIENTS[name]), CLIENTS[name]) is None


def test_toml_is_added_to_and_taken_back() -> None:
    before = 'model = "o"\n\n[mcp_servers.other]\ncommand = "other"\n'
    after = installed(before, CLIENTS["codex"])
    assert after.startswith(before) and after.endswith(
        '\n[mcp_servers.modstar]\ncommand = "modstar"\nargs = ["mcp"]\n'
    )
    assert installed(after, CLIENTS["codex"]) == after
    assert uninstalled(after, CLIENTS["codex"]) == before


@pytest.mark.parametrize(
    "text",
    [
        '{\n  // mine\n  "a": 1\n}\n',
        "{broken",
        "[]",
        '{"mcpServers": 5}',
        '{"mcpServers": {"modstar": {}}}',
        '{"mcpServers": [], "mcpServers": {}}',
        '{"mcpServers": {"a": {}}, "mcpServers": {}}',
        "[" * 100_000,
    ],
)
def test_a_file_with_comments_that_is_broken_or_has_another_is_left(text: str) -> None:
    with pytest.raises(NotOurs):
        installed(text, CLIENTS["claude-code"])


@pytest.mark.parametrize(
    "text",
    [
        "x = ",
        '[mcp_servers]\nmodstar = { command = "mine" }\n',
        '[mcp_servers."modstar"]\ncommand = "mine"\n',
        '[ mcp_servers . modstar ]\ncommand = "mine"\n',
        *(
            ["[a\nb = 1\n", "mcp_servers = {}\n", 'text = """\n', "a = 1\na = 2\n"]
            if sys.version_info >= (3, 11)
            else []
        ),
    ],
)
def test_toml_that_is_broken_or_has_another_is_left(text: str) -> None:
    with pytest.raises(NotOurs):
        installed(text, CLIENTS["codex"])


def test_toml_keeps_its_line_ends() -> None:
    before = 'model = "o"\r\n'
    after = installed(before, CLIENTS["codex"])
    assert after.count("\n") == after.count("\r\n") == 5
    assert uninstalled(after, CLIENTS["codex"]) == before


def test_an_entry_that_its_owner_changed_is_not_taken_out() -> None:
    after = installed("{}", CLIENTS["claude-code"]).replace('"mcp"]', '"mcp", "src"]')
    with pytest.raises(NotOurs, match="changed since"):
        uninstalled(after, CLIENTS["claude-code"])


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modstar_lsp", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
        timeout=60,
    )


@pytest.mark.parametrize("name", CLIENTS)
def test_the_command_installs_once_shows_first_and_takes_back(tmp_path: Path, name: str) -> None:
    file = tmp_path / CLIENTS[name].file.removeprefix("~/")
    shown = command(tmp_path, "install", "--dry-run", name)
    assert shown.returncode == 0 and "+" in shown.stdout and not file.exists()
    assert command(tmp_path, "install", name).returncode == 0
    made = file.read_bytes()
    assert "nothing to change" in command(tmp_path, "install", name).stdout
    assert file.read_bytes() == made and b"modstar" in made
    assert command(tmp_path, "uninstall", name).returncode == 0
    assert not list(tmp_path.iterdir())  # nor the folder that came with it


def test_a_file_with_comments_stays_and_one_line_says_what_to_paste(tmp_path: Path) -> None:
    file = tmp_path / "opencode.json"
    file.write_text('{\n  // mine\n  "theme": "dark"\n}\n')
    before = file.read_bytes()
    done = command(tmp_path, "install", "opencode")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert 'paste into its mcp: "modstar": {' in done.stderr and file.read_bytes() == before


def _loop(file: Path) -> None:
    file.symlink_to(file.name)


def _endless(file: Path) -> None:
    file.symlink_to("/dev/zero")


def _read_only(file: Path) -> None:
    file.write_text("{}")
    file.chmod(0o444)


@pytest.mark.skipif(os.name != "posix", reason="FIFOs and modes")
@pytest.mark.parametrize("make", [_loop, _endless, os.mkfifo, Path.mkdir, _read_only])
def test_what_is_no_file_to_write_is_left_with_one_line(tmp_path: Path, make: Callable[[Path], None]) -> None:
    file = tmp_path / ".mcp.json"
    make(file)
    before = file.lstat()
    done = command(tmp_path, "install", "claude-code")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert str(file.parent) in done.stderr or "/dev/zero" in done.stderr
    after = file.lstat()
    assert (after.st_mode, after.st_ino, after.st_size) == (before.st_mode, before.st_ino, before.st_size)


def test_uninstalling_from_a_file_with_comments_tells_to_do_it_by_hand(tmp_path: Path) -> None:
    (tmp_path / ".mcp.json").write_text('{"mcpServers": {"modstar": {}}} // mine\n')
    done = command(tmp_path, "uninstall", "claude-code")
    assert done.returncode == 2 and "paste" not in done.stderr and "by hand" in done.stderr


@pytest.mark.parametrize("words", [(), ("emacs",), ("zed", "cursor")])
def test_an_unknown_client_is_told_which_there_are(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = command(tmp_path, "install", *words)
    assert done.returncode == 2 and "claude-code, codex" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", CLIENTS)
def test_a_byte_order_mark_stays(tmp_path: Path, name: str) -> None:
    """Editors on Windows begin a file with it."""
    file = tmp_path / CLIENTS[name].file.removeprefix("~/")
    file.parent.mkdir(parents=True, exist_ok=True)
    before = b"\xef\xbb\xbf" + (b"a = 1\r\n" if name == "codex" else b'{\r\n  "a": 1\r\n}\r\n')
    file.write_bytes(before)
    assert command(tmp_path, "install", name).returncode == 0
    made = file.read_bytes()
    assert made.startswith(b"\xef\xbb\xbf") and made.count(b"\xef\xbb\xbf") == 1 and b"modstar" in made
    assert command(tmp_path, "uninstall", name).returncode == 0
    assert file.read_bytes() == before


def test_what_another_installation_put_there_is_taken_out(tmp_path: Path) -> None:
    """Once the command was found by its name, and once it was not."""
    for name in ("codex", "cursor", "opencode"):
        client = clients(os.fspath(Path(sys.executable).with_name("modstar")))[name]
        file = tmp_path / client.file.removeprefix("~/")
        for entry in (client, CLIENTS[name]):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(installed(None, entry))
            assert command(tmp_path, "uninstall", name).returncode == 0
            assert not file.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"bad\xff\nname")
    folder.mkdir()
    done = command(folder, "install", "claude-code")
    assert (done.returncode, done.stderr) == (0, "") and "added modstar" in done.stdout
    assert (folder / ".mcp.json").is_file()


@pytest.mark.skipif(os.name != "posix", reason="users and homes")
def test_without_a_home_folder_nothing_is_put_anywhere(tmp_path: Path) -> None:
    program = (
        "import os, sys; os.environ.pop('HOME', None)\n"
        "import pwd; pwd.getpwuid = {}.__getitem__\n"
        "sys.argv[:] = ['modstar install', 'codex']\n"
        "from modstar_lsp.mcp.install import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "no home folder is known" in done.stderr and not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="root alone gives files away")
def test_a_file_stays_its_owners_when_root_installs(tmp_path: Path) -> None:
    file = tmp_path / ".mcp.json"
    file.write_text("{}")
    os.chown(file, 65534, 65534)
    file.chmod(0o600)
    assert command(tmp_path, "install", "claude-code").returncode == 0
    assert (file.stat().st_uid, file.stat().st_mode & 0o777) == (65534, 0o600)
