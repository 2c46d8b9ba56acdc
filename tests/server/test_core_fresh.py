"""What changes on disk is found, whoever notices it; a damaged or shared index answers rightly."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from lsp_process import NO_WATCHING, Client, Message
from shop import FILES, lay_out

Start = Callable[..., Client]

ARCHIVE = 'def compress_archive():\n    """Pack files into an archive."""\n'


def is_ready(status: Message) -> bool:
    return bool(status["folders"][0]["coverage"]["state"] == "ready")


@pytest.fixture(params=["the client watches", "the client refuses to watch", "the server watches"])
def watching(request: pytest.FixtureRequest, start: Start, project: Path) -> Client:
    """A server that hears of changes in one way or another. A client that watches has to be told to."""
    refuses = ["client/registerCapability"] if "refuses" in request.param else []
    client = start(refuses=refuses)
    client.initialize(project, capabilities=None if "client" in request.param else NO_WATCHING)
    client.ready()
    if request.param != "the client watches":
        client.changed = lambda *paths, kind=2: None  # type: ignore[method-assign]
    return client


def test_made_changed_and_deleted_files(watching: Client, project: Path) -> None:
    file = project / "app" / "late.py"
    file.write_text(ARCHIVE)
    watching.changed(file, kind=1)
    watching.comes_up("compress_archive")
    file.write_text(ARCHIVE.replace("compress_archive", "unpack_archive"))
    watching.changed(file)
    watching.comes_up("unpack_archive")
    assert "compress_archive" not in watching.symbols("compress archive")
    file.unlink()
    watching.changed(file, kind=3)
    watching.goes_away("unpack_archive")


def test_a_renamed_folder(watching: Client, project: Path) -> None:
    (project / "app").rename(project / "core")
    watching.changed(project / "app", kind=3)
    watching.changed(project / "core", kind=1)
    hits = watching.comes_up("parse_json", "parse a JSON document")["hits"]
    assert hits[0]["path"] == "core/json_io.py"
    assert not any(hit["path"].startswith("app/") for hit in hits)


def test_an_ignore_rule_that_comes_and_goes(watching: Client, project: Path) -> None:
    rules = project / ".gitignore"
    rules.write_text("web/\n")
    watching.changed(rules, kind=1)
    watching.goes_away("totalPrice", "total price of the items")
    rules.unlink()
    watching.changed(rules, kind=3)
    watching.comes_up("totalPrice", "total price of the items")


def test_a_thousand_changes_at_once(watching: Client, project: Path) -> None:
    files = [project / "many" / f"{n}.py" for n in range(1000)]
    lay_out(
        project, {f"many/{n}.py": f"def handle_event_{n}(event):\n    return event\n" for n in range(1000)}
    )
    for file in files:  # one notification each
        watching.changed(file, kind=1)
    status = watching.until(
        lambda status: is_ready(status) and status["folders"][0]["coverage"]["files"] == len(FILES) + 1000
    )
    assert status["folders"][0]["coverage"]["indexed"] == len(FILES) + 1000
    watching.comes_up("handle_event_999", "handle event 999")


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_branch_switch(watching: Client, project: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=n", "-c", "user.email=e@e", "-c", "core.hooksPath=/dev/null"]
        subprocess.run(["git", *identity, *arguments], cwd=project, check=True, capture_output=True)

    git("init", "-b", "main")
    git("add", ".")
    git("commit", "-m", "first")
    git("switch", "-c", "other")
    lay_out(project, {"app/late.py": ARCHIVE})
    (project / "app" / "json_io.py").unlink()
    git("add", "-A")
    git("commit", "-m", "second")
    changed = [project / "app" / "late.py", project / "app" / "json_io.py"]
    watching.changed(*changed)
    watching.comes_up("compress_archive")
    git("switch", "main")
    watching.changed(*changed)
    watching.goes_away("compress_archive")
    watching.comes_up("parse_json")


def test_what_was_saved_is_found_though_nobody_watches(client: Client, project: Path) -> None:
    file = project / "app" / "late.py"
    file.write_text(ARCHIVE)
    client.notify("textDocument/didSave", {"textDocument": {"uri": file.as_uri()}})
    client.comes_up("compress_archive")


def test_a_change_that_nobody_reported_is_found_after_the_next_that_was(
    client: Client, project: Path
) -> None:
    lay_out(project, {"app/late.py": ARCHIVE, "app/told.py": "def told():\n    pass\n"})
    client.changed(project / "app" / "told.py", kind=1)
    client.comes_up("compress_archive")


# -- indexes


def database(client: Client) -> Path:
    folder = Path(client.request("modstar/status", {})["folders"][0]["indexFolder"])
    (file,) = folder.glob("index-*.sqlite")
    return file


def spoil(file: Path) -> None:
    """Overwrite all but the first page of the database, and drop its log."""
    size = file.stat().st_size
    with file.open("r+b") as stream:
        stream.seek(4096)
        stream.write(os.urandom(size - 4096))
    for ending in ("-wal", "-shm"):
        file.with_name(file.name + ending).unlink(missing_ok=True)


def test_an_index_damaged_between_two_sessions_is_rebuilt(start: Start, project: Path) -> None:
    first = start()
    first.initialize(project)
    first.ready()
    file = database(first)
    first.exit()
    spoil(file)
    second = start()
    second.initialize(project)
    second.comes_up("parse_json")
    assert second.ready()["folders"][0]["coverage"]["files"] == len(FILES)


def test_an_index_damaged_while_it_is_used_is_rebuilt(client: Client, project: Path) -> None:
    client.comes_up("parse_json")
    file = database(client)
    connection = sqlite3.connect(file)
    connection.execute("UPDATE vectors SET codes = x'00'")
    connection.execute("DELETE FROM chunks")
    connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
    connection.commit()
    connection.close()
    client.comes_up("parse_json")
    client.comes_up("upload")


def test_an_index_that_was_deleted_is_made_again(client: Client, project: Path) -> None:
    shutil.rmtree(database(client).parent)
    file = project / "app" / "late.py"
    file.write_text(ARCHIVE)
    client.changed(file, kind=1)
    client.comes_up("compress_archive")
    client.comes_up("parse_json")


def test_two_servers_share_one_index(start: Start, project: Path) -> None:
    one, other = start(), start()
    one.initialize(project)
    other.initialize(project)
    one.ready()
    other.ready()
    file = project / "app" / "late.py"
    file.write_text(ARCHIVE)
    one.changed(file, kind=1)
    one.comes_up("compress_archive")
    other.comes_up("compress_archive")
    one.process.kill()
    file.write_text(ARCHIVE.replace("compress_archive", "unpack_archive"))
    other.changed(file)
    other.comes_up("unpack_archive")
