"""modstar-index --store and modstar-query --store, as somebody types them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import TIMEOUT, Shell, make_shell, write_files
from tests.cli.test_bad_input import one_line, posix

pytest.importorskip("lancedb")

SECRET = {"vault/keys.py": "def rotate_the_master_key(vault):\n    return vault.rotate()\n"}
# Ends the process where chunks are written and their files are not yet.
DYING = """
import os
from modstar_lsp.stores import filling, lance
filling._FILES = 2
made, seen = lance.LanceStore._made, []
def dying(self, name, schema):
    seen.append(name)
    if seen.count("files") == 2:
        os._exit(9)
    return made(self, name, schema)
lance.LanceStore._made = dying
"""


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shell, str]:
    """A shell, and a store with a repository for everyone and one for the bank alone."""
    folder = tmp_path_factory.mktemp("company")
    tree = write_files(folder / "open", {"a.py": "def parse_prices(text):\n    return text.split()\n"})
    write_files(folder / "bank", SECRET)
    shell = make_shell(folder, tree)
    url = f"lance:{folder / 'store'}"
    told = shell.index("--store", url)
    assert (told.status, told.err) == (0, "")
    assert told.out.startswith("open: 1 file; 1 chunk; 1 new or changed, 0 removed; ")
    assert shell.index(str(folder / "bank"), "--store", url, "--label", "bank").status == 0
    assert not list(Path(shell.environment["XDG_CACHE_HOME"]).rglob("*.sqlite")), "no index beside it"
    return shell, url


def test_a_place_is_told_with_its_repository(company: tuple[Shell, str]) -> None:
    shell, url = company
    found = shell.query("parse prices", "--store", url)
    assert (found.status, found.err) == (0, "")
    assert found.out.startswith("open/a.py:1  parse_prices  (function)  ")
    (hit,) = json.loads(shell.query("parse prices", "--store", url, "--json").out)["hits"]
    assert (hit["repository"], hit["path"], hit["line"]) == ("open", "a.py", 1)


def test_nothing_leaks_to_who_may_not_see_it(company: tuple[Shell, str]) -> None:
    shell, url = company
    for question in ("rotate the master key", "rotate_the_master_key", "vault keys"):
        answer = shell.query(question, "--store", url, "--json", "--min-score", "0", "--explain")
        seen = (answer.out + answer.err).replace(question, "").lower()
        assert not [word for word in ("vault", "keys.py", "bank", "rotate", "master") if word in seen]
    there = shell.query("rotate keys", "--store", url, "--repository", "bank")
    nowhere = shell.query("rotate keys", "--store", url, "--repository", "none")
    assert there.status == nowhere.status == 2
    assert there.err.replace("bank", "none") == nowhere.err, "not even that it is there"
    allowed = shell.query("rotate the master key", "--store", url, "--label", "bank")
    assert allowed.out.startswith("bank/vault/keys.py:1  rotate_the_master_key")


def test_a_name_that_would_be_a_condition_is_a_name(company: tuple[Shell, str]) -> None:
    shell, url = company
    for label in ("x' OR '1'='1", "x') OR label IN ('bank", 'bank" --'):
        answer = shell.query("rotate the master key", "--store", url, "--label", label, "--min-score", "0")
        assert "vault" not in answer.out + answer.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--store", "nowhere"], ["nowhere", "lance:"]),
        (["--store", "lance:"], ["lance:"]),
        (["--store", "oracle:/tmp/x"], ["oracle", "lance", "qdrant"]),
        (["--store", "lance:/no/where"], ["no store", "modstar-index --store"]),
        (["--store", "URL", "--similar", "a.py:1"], ["one question"]),
        (["--store", "URL", "--regex", "x"], ["no text"]),
        (["--store", "URL", "-k", "0"], ["-k"]),
    ],
)
def test_a_mistake_is_one_line(company: tuple[Shell, str], arguments: list[str], words: list[str]) -> None:
    shell, url = company
    one_line(shell.query("parse", *(url if a == "URL" else a for a in arguments)), 2, *words)


def test_a_missing_engine_is_one_line(company: tuple[Shell, str]) -> None:
    shell, url = company
    gone = "import sys; sys.modules['lancedb'] = None"
    one_line(shell.query("parse", "--store", url, program=gone), 2, ".[scale]")
    one_line(shell.index("--store", url, program=gone), 2, ".[scale]")


def test_a_damaged_store_is_one_line(company: tuple[Shell, str], tmp_path: Path) -> None:
    shell, url = company
    for part in ("chunks.lance/data/*", "files.lance/_versions/*", "repositories.lance/data/*"):
        damaged = Path(shutil.copytree(url.removeprefix("lance:"), tmp_path / part.split("/")[0]))
        for file in damaged.glob(part):
            os.truncate(file, file.stat().st_size // 2)
        one_line(shell.query("parse prices", "--store", f"lance:{damaged}"), 2, "failed")


def test_a_fill_that_was_killed_goes_on_and_ends_as_if_it_had_not(shell: Shell, tmp_path: Path) -> None:
    killed, whole = f"lance:{tmp_path / 'killed'}", f"lance:{tmp_path / 'whole'}"
    assert shell.index("--store", killed, program=DYING).status == 9
    rest = json.loads(shell.index("--store", killed, "--json").out)
    full = json.loads(shell.index("--store", whole, "--json").out)
    assert 0 < rest["changed"] < full["changed"] == full["files"]
    assert [rest[number] for number in ("files", "chunks", "terms")] == [
        full[number] for number in ("files", "chunks", "terms")
    ]
    asked = ("where do we retry failed uploads", "--min-score", "0", "--json", "--store")
    hits = [json.loads(shell.query(*asked, url).out)["hits"] for url in (killed, whole)]
    assert hits[0] == hits[1]


def test_what_changed_is_written_and_what_is_gone_is_forgotten(shell: Shell, tmp_path: Path) -> None:
    url = f"lance:{tmp_path / 'store'}"
    shell.index("--store", url)
    write_files(shell.cwd, {"src/shop/pool.py": "def drain_the_pool():\n    return 1\n"})
    (shell.cwd / "cmd/tax.go").unlink()
    told = json.loads(shell.index("--store", url, "--json").out)
    assert (told["changed"], told["removed"]) == (1, 1)
    found = json.loads(shell.query("drain the pool", "--store", url, "--json", "--min-score", "0").out)[
        "hits"
    ]
    assert (found[0]["path"], found[0]["symbol"]) == ("src/shop/pool.py", "drain_the_pool")
    assert not [hit for hit in found if hit["path"] == "cmd/tax.go" or hit["symbol"] == "ConnectionPool"]


@posix
@pytest.mark.skipif(sys.platform == "darwin", reason="no limit on a file's size there")
def test_a_full_disk_is_one_line_and_loses_nothing(shell: Shell, tmp_path: Path) -> None:
    url = f"lance:{tmp_path / 'store'}"
    shell.index("--store", url)
    write_files(shell.cwd, {f"src/more{n}.py": f"def more_{n}(value):\n    return {n}\n" for n in range(300)})

    def small() -> None:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    one_line(shell.index("--store", url, preexec_fn=small), 2, "failed")
    assert shell.query("parse_json", "--store", url).out.startswith("shop/src/shop/jsonio.py:6")
    assert json.loads(shell.index("--store", url, "--json").out)["changed"] == 300


def test_a_server_that_is_gone_or_silent_is_one_line(company: tuple[Shell, str]) -> None:
    pytest.importorskip("qdrant_client")
    shell, _ = company
    impatient = "from modstar_lsp.stores import opening; opening._TIMEOUT = 1"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"qdrant+http://127.0.0.1:{silent.getsockname()[1]}"
        one_line(shell.query("parse prices", "--store", url, program=impatient), 2, "failed", url)
    one_line(shell.query("parse prices", "--store", url, program=impatient), 2, "failed", url)


def test_qdrant_in_a_folder_answers_as_well(shell: Shell, tmp_path: Path) -> None:
    pytest.importorskip("qdrant_edge")
    url = f"qdrant:{tmp_path / 'store'}"
    filled = json.loads(shell.index("--store", url, "--json").out)
    again = json.loads(shell.index("--store", url, "--json").out)
    assert (filled["changed"], again["changed"]) == (filled["files"], 0)
    assert shell.query("parse_json", "--store", url).out.startswith("shop/src/shop/jsonio.py:6")
    for file in (tmp_path / "store" / "chunks" / "segments").rglob("*"):
        if file.is_file():
            os.truncate(file, file.stat().st_size // 2)
    one_line(shell.query("parse_json", "--store", url), 2, "failed")


# Waits where the first portion would be written, until it may go on.
HELD = """
import os
from modstar_lsp.stores.filling import Filling
real = Filling.take
def take(self, *a):
    print("filling", flush=True); os.read(0, 1)
    real(self, *a)
Filling.take = take
"""


@pytest.mark.parametrize("engine", ["lance", "qdrant"])
def test_of_two_that_fill_a_store_the_second_gives_up_and_nothing_is_there_twice(
    shell: Shell, tmp_path: Path, engine: str
) -> None:
    if engine == "qdrant":
        pytest.importorskip("qdrant_edge")
    url = f"{engine}:{tmp_path / 'store'}"
    options = {"program": HELD, "stdin": subprocess.PIPE}
    with shell.start("index", "--store", url, **options) as first:
        assert first.stdin is not None and first.stdout is not None
        assert first.stdout.readline() == b"filling\n"
        one_line(shell.index("--store", url), 2, "another program is filling", url, "try again")
        if engine == "lance":
            same = f"lance+file://{tmp_path / 'store'}"
            one_line(shell.index("--store", same), 2, "another program is filling", same)
        first.stdin.write(b"...")
        first.stdin.flush()
        out, err = first.communicate(timeout=TIMEOUT)
    assert (first.returncode, err) == (0, b""), out
    assert " 0 new or changed, 0 removed" in shell.index("--store", url).out
    found = shell.query("parse_json", "--store", url, "--json", "--min-score", "0")
    places = [(hit["path"], hit["line"]) for hit in json.loads(found.out)["hits"]]
    assert places[0] == ("src/shop/jsonio.py", 6) and len(set(places)) == len(places)


def test_one_that_died_while_it_filled_holds_nobody_up(shell: Shell, tmp_path: Path) -> None:
    url = f"lance:{tmp_path / 'store'}"
    options = {"program": HELD, "stdin": subprocess.PIPE}
    with shell.start("index", "--store", url, **options) as first:
        assert first.stdout is not None and first.stdout.readline() == b"filling\n"
        first.kill()
    assert shell.index("--store", url).status == 0
    assert shell.query("parse_json", "--store", url).out.startswith("shop/src/shop/jsonio.py:6")


def test_a_folder_of_qdrants_that_is_in_use_is_told_so(shell: Shell, tmp_path: Path) -> None:
    pytest.importorskip("qdrant_edge")
    url = f"qdrant:{tmp_path / 'store'}"
    assert shell.index("--store", url).status == 0
    write_files(shell.cwd, {"new.py": "def fold_parcel(parcel):\n    return parcel\n"})
    options = {"program": HELD, "stdin": subprocess.PIPE}
    with shell.start("index", "--store", url, **options) as first:
        assert first.stdout is not None and first.stdout.readline() == b"filling\n"
        one_line(shell.query("parse_json", "--store", url), 2, "another program is using", "try again")
        first.kill()


def test_a_disk_that_is_nearly_full_is_told_before_qdrants_core_dies_of_it(
    shell: Shell, tmp_path: Path
) -> None:
    pytest.importorskip("qdrant_edge")
    url = f"qdrant:{tmp_path / 'store'}"
    full = "import shutil\nshutil.disk_usage = lambda folder: shutil._ntuple_diskusage(9e9, 9e9, 5_000_000)"
    one_line(shell.index("--store", url, program=full), 2, "nearly full (5 MB are left)", str(tmp_path))


@posix
def test_lancedb_works_where_the_folder_for_temporary_files_is_missing(shell: Shell, tmp_path: Path) -> None:
    done = shell.index("--store", f"lance:{tmp_path / 'store'}", env={"TMPDIR": str(tmp_path / "none")})
    assert (done.status, done.err) == (0, "")
