"""Stores in an object store: one program fills at a time, and one that died holds nobody up for long."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import TIMEOUT, Answer, Shell, write_files
from tests.cli.test_bad_input import one_line, posix
from tests.stores.object_store import ObjectStore, object_store
from tests.stores.test_store_command import HELD

lancedb = pytest.importorskip("lancedb")

URL = "lance+s3://company/code"
# A time so short that it is soon over, and so long that a busy machine renews it.
SHORT = "from modstar_lsp.stores import lease\nlease._LEASE_SECONDS, lease._RENEWED_SECONDS = 4.0, 0.2\n"


@pytest.fixture
def remote() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


@pytest.fixture
def away(shell: Shell, remote: ObjectStore) -> Shell:
    """A shell that finds the object store."""
    return Shell(shell.cwd, {**shell.environment, **remote.environment})


def filler(shell: Shell, program: str) -> subprocess.Popen[bytes]:
    """A program that has begun to fill, and waits with the first portion."""
    process = shell.start("index", "--store", URL, program=program, stdin=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"filling\n"
    return process


def is_there_once(shell: Shell, remote: ObjectStore, tmp_path: Path) -> None:
    """The shop is found, and each chunk and file is in the store once: in a copy of it in a folder."""
    assert shell.query("parse_json", "--store", URL).out.startswith("shop/src/shop/jsonio.py:6")
    write_bytes(tmp_path / "copy", remote)
    database = lancedb.connect(str(tmp_path / "copy/code"))
    rows = database.open_table("chunks").search().limit(10_000).to_list()
    places = Counter((row["repository"], row["path"], row["position"]) for row in rows)
    assert len(places) > 5 and set(places.values()) == {1}
    rows = database.open_table("files").search().limit(10_000).to_list()
    assert set(Counter((row["repository"], row["path"]) for row in rows).values()) == {1}


def write_bytes(folder: Path, remote: ObjectStore) -> None:
    for key, body in remote.objects.items():
        file = folder / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)


def test_what_was_filled_is_found_and_filled_again_only_where_it_changed(
    away: Shell, remote: ObjectStore, tmp_path: Path
) -> None:
    assert away.index("--store", URL).status == 0
    assert " 0 new or changed, 0 removed" in away.index("--store", URL).out
    write_files(away.cwd, {"src/shop/jsonio.py": "def parse_json(text):\n    return text\n"})
    assert " 1 new or changed, 0 removed" in away.index("--store", URL).out
    assert away.query("parse_json", "--store", URL).out.startswith("shop/src/shop/jsonio.py:1")


def test_the_second_gives_up_while_the_first_fills(away: Shell, remote: ObjectStore, tmp_path: Path) -> None:
    with filler(away, SHORT + HELD) as first:
        said = ("another program is filling", URL, f"process {first.pid} on ", "try again")
        one_line(away.index("--store", URL), 2, *said)
        time.sleep(5)  # it would be over by now, were it not renewed
        one_line(away.index("--store", URL), 2, *said)
        out, err = first.communicate(b"...", timeout=TIMEOUT)
    assert (first.returncode, err) == (0, b""), out
    assert " 0 new or changed, 0 removed" in away.index("--store", URL).out  # it was given back
    is_there_once(away, remote, tmp_path)


def test_one_that_died_is_waited_for_until_its_time_is_over(
    away: Shell, remote: ObjectStore, tmp_path: Path
) -> None:
    with filler(away, SHORT + HELD) as first:
        first.kill()
    while (answer := away.index("--store", URL)).status:
        assert "another program is filling" in answer.err
    is_there_once(away, remote, tmp_path)


@posix
def test_one_that_slept_past_its_time_writes_nothing_more(
    away: Shell, remote: ObjectStore, tmp_path: Path
) -> None:
    with filler(away, SHORT + HELD) as first:
        first.send_signal(signal.SIGSTOP)
        while (answer := away.index("--store", URL)).status:
            assert "another program is filling" in answer.err
        first.send_signal(signal.SIGCONT)
        _, err = first.communicate(b"...", timeout=TIMEOUT)
    one_line(Answer(first.returncode, "", err.decode()), 2, "another program fills", URL, "again later")
    is_there_once(away, remote, tmp_path)


def test_of_many_that_begin_at_once_one_fills_and_nothing_is_there_twice(
    away: Shell, remote: ObjectStore, tmp_path: Path
) -> None:
    running = [away.start("index", "--store", URL) for _ in range(4)]
    ended = [(process.communicate(timeout=TIMEOUT), process.returncode) for process in running]
    assert any(status == 0 for _, status in ended)
    for (_, err), status in ended:
        assert status == 0 or b"another program is filling" in err, err
    is_there_once(away, remote, tmp_path)
