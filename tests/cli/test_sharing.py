"""modstar-index --export and --import: one embeds, the others take it over and trust nobody."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import FILES, TIMEOUT, Answer, Shell, make_shell, write_files
from tests.cli.test_bad_input import one_line, posix

EXIT = "4"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What somebody wrote who embedded the shop at a deeper exit."""
    folder = tmp_path_factory.mktemp("exporting")
    (folder / "shop" / ".git").mkdir(parents=True)
    shell = make_shell(folder, write_files(folder / "shop", FILES))
    told = shell.index("--exit", EXIT, "--export", str(folder / "shop.vectors"))
    assert (told.status, told.err) == (0, "")
    assert told.out.splitlines()[-1].endswith(f" written to {folder / 'shop.vectors'}")
    return folder / "shop.vectors"


def depths(shell: Shell) -> dict[str, int]:
    exits: dict[str, int] = json.loads(shell.index("--status", "--json").out)["exits"]
    return exits


def hits(answer: Answer) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(answer.out)["hits"]
    return found


def forged(exported: Path, target: Path, **columns: object) -> Path:
    """The exported file with other records, its digest made anew."""
    content = exported.read_bytes()
    begin = content.index(b"\n") + 1
    dimension = json.loads(content[:begin])["dimension"]
    dtype = np.dtype([("digest", "V16"), ("exit", "u1"), ("scale", "<f4"), ("codes", "i1", (dimension,))])
    records = np.frombuffer(content[begin:-32], dtype).copy()
    for name, value in columns.items():
        records[name] = value
    body = content[:begin] + records.tobytes()
    target.write_bytes(body + hashlib.sha256(body).digest())
    return target


def test_a_colleague_takes_it_over_and_answers_as_if_embedded_here(shell: Shell, exported: Path) -> None:
    told = shell.index("--import", str(exported))
    assert (told.status, told.err) == (0, "")
    assert told.out.splitlines()[1].endswith(" taken over")
    assert set(depths(shell)) == {EXIT}
    here = make_shell(shell.cwd.parent / "second", shell.cwd)
    here.index("--exit", EXIT)
    for question in ("where do we retry failed uploads", "parse_json", "value added tax"):
        asked = (question, "--exit", EXIT, "--json", "--no-refresh", "--explain")
        assert hits(shell.query(*asked)) == hits(here.query(*asked))


def test_it_is_taken_over_once_and_into_an_index_that_there_is(shell: Shell, exported: Path) -> None:
    shell.index()
    first = json.loads(shell.index("--import", str(exported), "--json").out)
    again = json.loads(shell.index("--import", str(exported), "--json").out)
    assert first["imported"] == first["chunks"] > 0
    assert (again["imported"], again["refused"]) == (0, 0)


def test_what_changed_here_keeps_its_own_vectors(shell: Shell, exported: Path) -> None:
    write_files(shell.cwd, {"src/shop/pool.py": "def drain_the_pool():\n    return 1\n"})
    told = shell.index("--import", str(exported))
    assert "1 place at exit 0" in told.out
    assert depths(shell)["0"] == 1
    assert shell.query("drain_the_pool").places[0] == "src/shop/pool.py:1"


def test_it_holds_neither_names_nor_paths_nor_text(exported: Path) -> None:
    content = exported.read_bytes().lower()
    for word in (b"shop", b"upload", b"parse", b"json", b".py", b"tax", b"pool"):
        assert word not in content
    if os.name == "posix":
        assert exported.stat().st_mode & 0o077 == 0, "for its owner alone"


def test_nothing_is_written_where_nothing_was_embedded_deeper(shell: Shell, tmp_path: Path) -> None:
    one_line(shell.index("--export", str(tmp_path / "none")), 2, "nothing to write", "--exit")
    assert not (tmp_path / "none").exists()
    assert shell.query("parse_json", "--no-refresh").status == 0


def test_a_file_that_cannot_be_written_is_one_line(shell: Shell, exported: Path, tmp_path: Path) -> None:
    shell.index("--import", str(exported))
    one_line(shell.index("--export", str(tmp_path / "no" / "where")), 2, "cannot write")
    (tmp_path / "folder").mkdir()
    one_line(shell.index("--export", str(tmp_path / "folder")), 2, "cannot write")
    assert not list(tmp_path.glob(".folder*"))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.9999])
def test_a_truncated_file_changes_nothing(
    indexed: Shell, exported: Path, tmp_path: Path, share: float
) -> None:
    content = exported.read_bytes()
    (tmp_path / "cut").write_bytes(content[: int(share * len(content))])
    one_line(indexed.index("--import", str(tmp_path / "cut")), 2, "cut")
    assert set(depths(indexed)) == {"0"}


@pytest.mark.parametrize("at", [0.02, 0.2, 0.5, 0.8, 0.999])
def test_a_flipped_bit_changes_nothing(indexed: Shell, exported: Path, tmp_path: Path, at: float) -> None:
    content = bytearray(exported.read_bytes())
    content[int(at * len(content))] ^= 4
    (tmp_path / "flipped").write_bytes(content)
    one_line(indexed.index("--import", str(tmp_path / "flipped")), 2, "flipped")
    assert set(depths(indexed)) == {"0"}


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"", "no file that"),
        (b"[]\n", "no file that"),
        (b"[" * 5000 + b"\n", "no file that"),
        (b'{"modstar vectors": 99}\n', "another version"),
        (b'{"modstar vectors": 1, "bundle": "beef", "dimension": 256, "vectors": 0}\n', "another model"),
        (b'{"modstar vectors": 1, "bundle": BUNDLE, "dimension": 8, "vectors": 0}\n', "another model"),
        (b'{"modstar vectors": 1, "bundle": BUNDLE, "dimension": 256, "vectors": -1}\n', "damaged"),
        (b'{"modstar vectors": 1, "bundle": BUNDLE, "dimension": 256, "vectors": true}\n', "damaged"),
        (b'{"modstar vectors": 1, "bundle": BUNDLE, "dimension": 256, "vectors": 10e99}\n', "damaged"),
        (b'{"modstar vectors": 1, "bundle": BUNDLE, "dimension": 256, "vectors": 9999999999}\n', "cut short"),
    ],
)
def test_a_header_that_lies_is_one_line(
    indexed: Shell, exported: Path, tmp_path: Path, header: bytes, words: str
) -> None:
    bundle = json.loads(exported.read_bytes().partition(b"\n")[0])["bundle"]
    lying = tmp_path / "lying"
    lying.write_bytes(header.replace(b"BUNDLE", json.dumps(bundle).encode()) + b"x" * 1000)
    one_line(indexed.index("--import", str(lying)), 2, words)


def test_vectors_that_no_model_makes_are_refused_whole(
    indexed: Shell, exported: Path, tmp_path: Path
) -> None:
    for column, value in (("scale", np.nan), ("scale", np.inf), ("scale", 1.0), ("codes", 0), ("exit", 77)):
        file = forged(exported, tmp_path / "forged", **{column: value})
        one_line(indexed.index("--import", str(file)), 2, "altered")
    assert set(depths(indexed)) == {"0"}


def test_vectors_that_are_not_those_of_their_text_are_left_out(
    shell: Shell, exported: Path, tmp_path: Path
) -> None:
    shell.index()
    codes = np.zeros(256, np.int8)
    codes[0] = 127
    file = forged(exported, tmp_path / "misleading", codes=codes, scale=np.float32(1 / 127))
    told = json.loads(shell.index("--import", str(file), "--json").out)
    assert told["imported"] == 0
    assert told["refused"] == told["chunks"]
    assert set(depths(shell)) == {"0"}


@posix
def test_what_is_no_regular_file_is_one_line(indexed: Shell, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    one_line(indexed.index("--import", str(tmp_path / "pipe")), 2, "no regular file")
    one_line(indexed.index("--import", "/dev/zero"), 2, "no regular file")
    one_line(indexed.index("--import", str(tmp_path)), 2, "no regular file")
    one_line(indexed.index("--import", str(tmp_path / "none")), 2, "No such file")


def test_a_bad_file_is_told_before_the_work_begins(shell: Shell, tmp_path: Path) -> None:
    shutil.copyfile(shell.cwd / "README.md", tmp_path / "bad")
    one_line(shell.index("--import", str(tmp_path / "bad")), 2, "no file that")
    assert json.loads(shell.index("--status", "--json").out)["files"] == 0


@posix
def test_a_file_is_written_through_a_link_and_nothing_else_is_replaced(
    shell: Shell, exported: Path, tmp_path: Path
) -> None:
    """Root would have had a file in place of /dev/stdout, or of /dev/null."""
    shell.index("--import", str(exported))
    os.mkfifo(tmp_path / "pipe")
    one_line(shell.index("--export", str(tmp_path / "pipe")), 2, "cannot write", "no regular file")
    (tmp_path / "link").symlink_to("target")
    assert shell.index("--export", str(tmp_path / "link")).status == 0
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").stat().st_size > 1_000


# Waits where what was read would be written, until it may go on; the writer lock is held.
HELD = """
import os
from modstar_lsp.index.writing.writer import Writer
real = Writer.commit
def commit(self, **options):
    print("writing", flush=True); os.read(0, 1)
    real(self, **options)
Writer.commit = commit
"""
# Nobody waits in a test.
IMPATIENT = """
import modstar_lsp.index.index as index
index.LOCK_WAIT = 0.0
index.Index.refresh.__kwdefaults__["wait"] = 0.0
"""


@posix
@pytest.mark.parametrize(
    "options", [[], ["--json"], ["--export"], ["--import"], ["--exit", EXIT]], ids=" ".join
)
def test_beside_one_that_writes_the_index_nothing_is_done_and_nothing_is_lost(
    shell: Shell, exported: Path, tmp_path: Path, options: list[str]
) -> None:
    files = {"--export": tmp_path / "half.vectors", "--import": exported}
    if options and options[0] in files:
        options = [options[0], str(files[options[0]])]
    with shell.start("index", program=HELD, stdin=subprocess.PIPE) as first:
        assert first.stdin is not None and first.stdout is not None
        assert first.stdout.readline() == b"writing\n"
        second = shell.index(*options, program=IMPATIENT)
        one_line(second, 2, "another program is indexing", str(shell.cwd), "try again")
        assert second.out == "" and not files["--export"].exists()
        first.stdin.write(b"." * 10)
        first.stdin.flush()
        out, err = first.communicate(timeout=TIMEOUT)
    assert (first.returncode, err) == (0, b""), out
    assert "up to date" in shell.index().out
    assert shell.query("parse_json").places[0] == "src/shop/jsonio.py:6"


@posix
def test_an_import_beside_one_that_writes_takes_nothing_and_says_so(shell: Shell, exported: Path) -> None:
    """The files are known already, and a server indexes again."""
    assert shell.index().status == 0
    lock = (
        "import fcntl, glob, os\n"
        "held = open(glob.glob(os.environ['XDG_CACHE_HOME'] + '/modstar/*/writer.lock')[0], 'w')\n"
        "fcntl.flock(held, fcntl.LOCK_EX)\n"
    )
    told = shell.index("--import", str(exported), program=lock + IMPATIENT)
    one_line(told, 2, "is being written: try again")
    assert set(depths(shell)) == {"0"}
    assert shell.index("--import", str(exported)).status == 0
    assert set(depths(shell)) == {EXIT}


@pytest.mark.parametrize("count", [10**18, 10**3000])
def test_an_absurd_number_of_vectors_is_no_number(
    shell: Shell, exported: Path, tmp_path: Path, count: int
) -> None:
    line, _, rest = exported.read_bytes().partition(b"\n")
    header = json.loads(line)
    (tmp_path / "absurd").write_bytes(json.dumps({**header, "vectors": count}).encode() + b"\n" + rest)
    one_line(shell.index("--import", str(tmp_path / "absurd")), 2, "does not say how many")
