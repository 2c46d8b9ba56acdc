"""A running server's process runs modstar-query for others: the same answers, to the same user, or none."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

from modstar_lsp import private_socket
from modstar_lsp.cli.handover import ALIVE, GO, READY, USED
from tests.cli.conftest import FILES, REPOSITORY, TIMEOUT, Answer, Shell, make_shell, write_files
from tests.cli.terminals import on_terminal
from tests.reader_endpoint import Endpoint, playing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every command runs by itself")

# Who cannot import numpy has not answered by itself.
HELPLESS = "import sys; sys.modules['numpy'] = None"
# Answers by itself, whoever else could.
ALONE = "from modstar_lsp import private_socket; private_socket.IS_AVAILABLE = False"
# Waits less long for one that says nothing any more.
HASTY = "from modstar_lsp.cli import handover; handover._STOPPED_SECONDS = 1.0"
# A server that has no indexing to do first, and soon sees that another one has ended.
SOON = "from modstar_lsp.background import residency as r; r._DELAY_SECONDS, r._LOOK_SECONDS = 0.1, 0.1"

QUESTIONS = [
    ("parse_json",),
    ("where do we retry failed uploads", "--json"),
    ("parse json", "--json", "--explain", "--no-snippet", "-k", "3"),
    ("json -in:docs", "--vimgrep", "--min-score", "0"),
    ("json", "web", "-t", "ts", "-g", "!*.test.ts"),
    ("close idle connection", "--color", "always", "--explain"),
    ("--similar", "src/shop/jsonio.py:6", "--min-score", "0"),
    ("retry uploads", "--exit", "4", "--json"),
    ("gluon lattice chromodynamics",),
    ("parse_jsno", "--min-score", "1"),
    ("json", "-t", "klingon"),
    ("json", "missing/"),
    ("--frobnicate",),
    ("--help",),
    (),
]


def until(what: Callable[[], bool]) -> None:
    """Waits for something that happens by itself."""
    deadline = time.monotonic() + TIMEOUT
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def address(shell: Shell, python: str = sys.executable) -> Path:
    """Where the commands of a shell look for a resident."""
    program = (
        "from modstar_lsp import private_socket; from modstar_lsp.cache_folder import user_cache\n"
        "print(private_socket.address(user_cache()))"
    )
    done = subprocess.run(
        [python, "-c", program],
        env=dict(shell.environment),
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(done.stdout.strip())


@contextmanager
def server(shell: Shell) -> Iterator[subprocess.Popen[bytes]]:
    """A server for agents that was asked once, and so keeps a resident."""
    program = f"{SOON}\nfrom modstar_lsp.__main__ import main\nmain()"
    command = [sys.executable, "-c", program, "mcp", str(shell.cwd)]
    with subprocess.Popen(
        command, env=dict(shell.environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        hello = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "0"},
        }
        call = {"name": "status", "arguments": {}}
        for number, (method, params) in enumerate([("initialize", hello), ("tools/call", call)]):
            message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
            assert "result" in json.loads(process.stdout.readline())
        yield process
        process.kill()


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a name that is short enough for sockets."""
    return tmp_path_factory.mktemp("r")


def make_shop(folder: Path) -> Shell:
    (folder / "shop" / ".git").mkdir(parents=True)
    shell = make_shell(folder, write_files(folder / "shop", FILES))
    assert shell.index().status == 0
    return shell


@pytest.fixture(scope="module")
def alone(short: Path) -> Shell:
    """An indexed shop without a server."""
    return make_shop(short / "alone")


@pytest.fixture(scope="module")
def served(short: Path) -> Iterator[Shell]:
    """An indexed shop with a server's resident. The server rests."""
    shell = make_shop(short / "served")
    with server(shell):
        until(address(shell).exists)
        yield shell


def timeless(answer: Answer) -> Answer:
    """Without what no two runs have in common: how long it took."""
    return Answer(answer.status, re.sub(r'"seconds": [\d.e-]+', '"seconds": 0', answer.out), answer.err)


@pytest.mark.parametrize("arguments", QUESTIONS, ids=" ".join)
def test_a_server_answers_to_the_letter_what_the_command_would(
    served: Shell, arguments: tuple[str, ...]
) -> None:
    there, here = (served.query(*arguments, program=program) for program in (HELPLESS, ALONE))
    assert timeless(there) == timeless(here)


def test_a_terminal_shows_the_same(served: Shell) -> None:
    there, here = (
        on_terminal(served, "query", "parse json", "--budget", "0", columns=60, program=program)
        for program in (HELPLESS, ALONE)
    )
    assert there == here and "\x1b[" in there.screen


def test_variables_and_folder_are_those_of_the_command(served: Shell) -> None:
    plain = served.query("parse_json", "--color", "auto", cwd=served.cwd / "web", program=HELPLESS)
    assert plain.places[0] == "../src/shop/jsonio.py:6"
    ascii_alone = served.query("parse json", program=HELPLESS, env={"PYTHONIOENCODING": "ascii"})
    assert " | def parse_json" in ascii_alone.out and ascii_alone.out.isascii()


def test_what_was_saved_is_found_and_what_was_deleted_is_not(short: Path) -> None:
    shell = make_shop(short / "fresh")
    with server(shell):
        until(address(shell).exists)
        write_files(shell.cwd, {"src/coupon.py": "def redeem_coupon(code):\n    return code.strip()\n"})
        assert shell.query("redeem coupon").places[0] == "src/coupon.py:1"
        assert shell.query("redeem coupon", program=HELPLESS).places[0] == "src/coupon.py:1"
        (shell.cwd / "src/coupon.py").unlink()
        assert "coupon" not in shell.query("redeem coupon", "--min-score", "0").out


def test_many_commands_at_once_are_all_answered(served: Shell) -> None:
    running = [served.start("query", "parse_json") for _ in range(12)]
    for process in running:
        out, _ = process.communicate(timeout=TIMEOUT)
        assert out.startswith(b"src/shop/jsonio.py:6")


def test_standard_input_is_that_of_the_command(served: Shell) -> None:
    code = FILES["src/shop/jsonio.py"].encode()
    there, here = (
        served.query("--similar", "-", stdin=code, program=program) for program in (HELPLESS, ALONE)
    )
    assert there == here and there.places[0].startswith("src/shop/jsonio.py")


def test_a_command_that_is_interrupted_ends_as_ever(served: Shell) -> None:
    with served.start("query", "--similar", "-", program=HELPLESS, stdin=subprocess.PIPE) as process:
        time.sleep(1)  # until it reads; before that the end is the same
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 130


def test_when_a_command_is_killed_nothing_goes_on_for_it(served: Shell) -> None:
    there, here = os.pipe()
    with served.start(
        "query", "--similar", "-", program=HELPLESS, stdin=subprocess.PIPE, stdout=here
    ) as process:
        os.close(here)
        time.sleep(1)
        process.kill()
        assert os.read(there, 1) == b""  # nobody holds its output any more
    os.close(there)


def test_when_the_server_ends_so_does_the_resident_and_commands_answer_by_themselves(short: Path) -> None:
    shell = make_shop(short / "ends")
    socket_file = address(shell)
    with server(shell) as process:
        until(socket_file.exists)
        process.send_signal(signal.SIGKILL)
        process.wait(TIMEOUT)
        until(lambda: not socket_file.exists())
    assert shell.query("parse_json").places[0] == "src/shop/jsonio.py:6"


def test_of_two_servers_the_second_keeps_one_when_the_first_has_ended(short: Path) -> None:
    shell = make_shop(short / "two")
    socket_file = address(shell)
    with server(shell) as first, server(shell):
        until(socket_file.exists)
        first.kill()
        until(lambda: not socket_file.exists())
        until(socket_file.exists)
        assert shell.query("parse_json", program=HELPLESS).places[0] == "src/shop/jsonio.py:6"


# -- the next one has asked before


def residents(server: subprocess.Popen[bytes]) -> list[int]:
    """The resident of a server and its copies, which wait for the next command or are at one."""
    found = []
    for pid in descendants(server.pid):
        with suppress(OSError):
            if b"cli.resident" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def copies(server: subprocess.Popen[bytes]) -> list[int]:
    """Those alone."""
    return residents(server)[1:]


def is_warm(server: subprocess.Popen[bytes]) -> bool:
    """Whether one alone waits, and has memory of its own: it has asked something before."""
    found = copies(server)
    return len(found) == 1 and own_memory(found[0]) > 3_000


def own_memory(pid: int) -> int:
    """kB that a process does not share with the one that it is a copy of."""
    with suppress(OSError):
        told = re.search(r"Private_Dirty: +(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text())
        return int(told[1]) if told else 0
    return 0


def open_files(pid: int) -> list[str]:
    return [str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()]


def processor_time(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]


def edited(shell: Shell) -> None:
    write_files(shell.cwd, {"src/shop/jsonio.py": "# moved\n\n\ndef parse_json(text):\n    return text\n"})


def added(shell: Shell) -> None:
    write_files(shell.cwd, {"src/shop/more.py": "def parse_json_lines(text):\n    return text\n"})
    (shell.cwd / "web/client.ts").unlink()


def bounded(shell: Shell) -> None:
    assert shell.index("--exclude", "*.py").status == 0


def ignored(shell: Shell) -> None:
    write_files(shell.cwd, {".gitignore": "build/\nweb/\n"})


def cleared(shell: Shell) -> None:
    assert shell.index("--clear").status == 0


def indexes(shell: Shell) -> list[Path]:
    return [
        file for file in Path(shell.environment["XDG_CACHE_HOME"]).rglob("index-*.sqlite") if file.exists()
    ]


def emptied(shell: Shell) -> None:
    (file,) = indexes(shell)
    shutil.rmtree(file.parent)


def damaged(shell: Shell) -> None:
    (file,) = indexes(shell)
    with file.open("r+b") as there:
        there.write(b"no database at all")
    for name in (f"{file.name}-wal", f"{file.name}-shm"):
        file.with_name(name).unlink(missing_ok=True)


def replaced(shell: Shell) -> None:
    shutil.rmtree(shell.cwd)
    (shell.cwd / ".git").mkdir(parents=True)
    write_files(shell.cwd, {"other.py": "def parse_json(text):\n    return text\n"})


CHANGES = [edited, added, bounded, ignored, cleared, emptied, damaged, replaced]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_changed_since_it_asked_is_answered_as_by_any_process(
    short: Path, change: Callable[[Shell], None]
) -> None:
    there, here = (make_shop(short / f"{change.__name__}-{where}") for where in ("there", "here"))
    with server(there) as process:
        until(address(there).exists)
        for shell, program in ((there, HELPLESS), (here, ALONE)):
            assert shell.query("parse_json", program=program).places[0] == "src/shop/jsonio.py:6"
        until(lambda: is_warm(process))
        change(there)
        change(here)
        for words in (("parse_json", "--json", "--min-score", "0"), ("parse json",)):
            answers = there.query(*words, program=HELPLESS), here.query(*words, program=ALONE)
            told, expected = ((answer.status, timeless(answer).out, answer.err) for answer in answers)
            assert unlocated(told, there) == unlocated(expected, here)


def unlocated(answer: tuple[int, str, str], shell: Shell) -> tuple[int, str, str]:
    """Without where the folder and its index lie: two differ in that."""
    status, out, err = answer
    folder = str(shell.cwd.parent)
    digest = re.compile(r"shop-[0-9a-f]{12}")
    return status, out.replace(folder, ""), digest.sub("shop", err.replace(folder, ""))


def test_another_folder_and_model_are_asked_as_if_none_had_been_before(short: Path, tmp_path: Path) -> None:
    shell = make_shop(short / "others")
    write_files(shell.cwd.parent / "second", {"second.py": "def parse_json(text):\n    return 2\n"})
    other, model = str(shell.cwd.parent / "second"), str(tmp_path / "no-model")
    questions = [("parse_json", other), ("parse_json", "--bundle", model), ("parse_json",), ("--help",)]
    with server(shell) as process:
        until(address(shell).exists)
        assert shell.query("parse_json", program=HELPLESS).status == 0
        for words in questions:
            until(lambda: is_warm(process))
            told = shell.query(*words, program=HELPLESS)
            assert timeless(told) == timeless(shell.query(*words, program=ALONE))


def test_who_waits_holds_no_file_and_does_nothing(short: Path) -> None:
    shell = make_shop(short / "idle")
    with server(shell) as process:
        until(address(shell).exists)
        assert shell.query("parse_json", program=HELPLESS).status == 0
        until(lambda: is_warm(process))
        (pid,) = copies(process)
        before = processor_time(pid)
        held = [file for file in open_files(pid) if file.startswith(str(shell.cwd.parent))]
        time.sleep(1)
        assert (copies(process), processor_time(pid), held) == ([pid], before, [])
        process.kill()
        until(lambda: not Path(f"/proc/{pid}").exists())


def test_questions_one_right_after_the_other_are_all_answered(short: Path) -> None:
    shell = make_shop(short / "rapid")
    with server(shell) as process:
        until(address(shell).exists)
        running = [shell.start("query", "parse_json", program=HELPLESS) for _ in range(4)]
        for _ in range(8):
            assert shell.query("parse_json", program=HELPLESS).places[0] == "src/shop/jsonio.py:6"
        for one in running:
            assert one.communicate(timeout=TIMEOUT)[0].startswith(b"src/shop/jsonio.py:6")
        until(lambda: is_warm(process))


# -- who is not believed


class Impostor:
    """A process of the same user that listens where a resident would, greets, and notes what it is sent.

    then: what it says when it was sent something, and again when it was told to begin; None: it says nothing
    any more, and stays.  pause: seconds before each byte of the greeting.
    """

    def __init__(
        self,
        path: Path,
        greeting: bytes,
        mode: int = 0o600,
        then: Sequence[bytes | None] = (),
        pause: float = 0.0,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
        self.heard = b""
        self.asked = 0
        self._greeting = greeting
        self._then = then
        self._pause = pause
        self._open: list[socket.socket] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        path.chmod(mode)
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                there, _ = self._socket.accept()
            except OSError:
                return
            self.asked += 1
            self._open.append(there)
            there.settimeout(TIMEOUT)
            with suppress(OSError):
                if self._answer(there):
                    there.close()

    def _answer(self, there: socket.socket) -> bool:
        """Whether the other is to be left alone."""
        for position in range(len(self._greeting)) if self._pause else ():
            time.sleep(self._pause)
            there.sendall(self._greeting[position : position + 1])
        if not self._pause:
            there.sendall(self._greeting)
        self.heard += there.recv(65_536)
        for said in self._then:
            if said is None:
                return False
            there.sendall(said)
            self.heard += there.recv(65_536)
        return True

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)  # or the thread that accepts keeps it open
        self._socket.close()


GREETING = private_socket.stamp().encode() + b"\n"


@pytest.mark.parametrize(
    "greeting",
    [b"", b"\n", b"0.0.9 elsewhere\n", GREETING.replace(b" ", b"  ", 1), GREETING[:-1]],
    ids=["none", "empty", "another version", "nearly", "cut off"],
)
def test_who_says_nothing_or_another_version_is_told_nothing(alone: Shell, greeting: bytes) -> None:
    impostor = Impostor(address(alone), greeting)
    try:
        assert alone.query("parse_json").places[0] == "src/shop/jsonio.py:6"
        assert (impostor.asked, impostor.heard) == (1, b"")
    finally:
        impostor.close()


@pytest.mark.parametrize("what", ["folder", "socket"])
def test_a_socket_that_others_may_use_or_replace_is_not_even_connected_to(alone: Shell, what: str) -> None:
    path = address(alone)
    impostor = Impostor(path, GREETING, 0o666 if what == "socket" else 0o600)
    try:
        path.parent.chmod(0o777 if what == "folder" else 0o700)
        assert alone.query("parse_json").places[0] == "src/shop/jsonio.py:6"
        assert impostor.asked == 0
    finally:
        path.parent.chmod(0o700)
        impostor.close()


@pytest.mark.parametrize("kind", ["stale", "file", "link", "link to one", "folder", "full folder", "foreign"])
def test_what_is_left_or_no_socket_is_passed_by(alone: Shell, tmp_path: Path, kind: str) -> None:
    path = address(alone)
    if kind == "foreign" and os.geteuid() != 0:
        pytest.skip("only root can give a socket away")
    there = tmp_path / "s" if kind == "link to one" else path
    impostor = Impostor(there, GREETING)
    if kind not in ("link to one", "foreign"):
        impostor.close()
    if kind not in ("stale", "foreign"):
        path.unlink(missing_ok=True)
    if kind == "file":
        path.write_text("x")
    elif kind.startswith("link"):
        path.symlink_to(there if kind == "link to one" else "/dev/null")
    elif kind.endswith("folder"):
        path.mkdir()
        write_files(path, {"x": "x"} if kind == "full folder" else {})
    elif kind == "foreign":
        os.chown(path, 65_534, 65_534)
    try:
        assert alone.query("parse_json").places[0] == "src/shop/jsonio.py:6"
        assert impostor.asked == 0
    finally:
        if kind.endswith("folder"):
            shutil.rmtree(path)
        if kind in ("link to one", "foreign"):
            impostor.close()


def test_one_that_takes_its_time_for_every_byte_is_not_waited_for(alone: Shell) -> None:
    impostor = Impostor(address(alone), GREETING, pause=0.1)
    try:
        assert alone.query("parse_json").places[0] == "src/shop/jsonio.py:6"
        assert (impostor.asked, impostor.heard) == (1, b"")
    finally:
        impostor.close()


@pytest.mark.parametrize(
    "then",
    [
        (),
        (None,),
        (b"\x00",),
        (b"\x02" * 1_000,),
        (b"src/lies.py:1\n", None),
        (READY,),
        (READY, None),
        (READY, b"\x07"),
        (READY, b"\xff" * 1_000_000),
        (READY, GO),
    ],
    ids=[
        "ends", "is silent", "is of an older version", "is of an older version and long", "talks",
        "ends when told to begin", "is silent when told to begin", "says an odd status",
        "says much", "says what we say",
    ],
)  # fmt: skip
def test_one_that_does_not_begin_leaves_the_answer_to_the_command(
    alone: Shell, then: tuple[bytes | None, ...]
) -> None:
    impostor = Impostor(address(alone), GREETING, then=then)
    try:
        answer = alone.query("parse_json", program=HASTY)
        assert impostor.heard
        assert (answer.status, answer.places[0], answer.err) == (0, "src/shop/jsonio.py:6", "")
        assert answer.out.count("src/shop/jsonio.py:6 ") == 1
    finally:
        impostor.close()


def test_one_that_dies_in_the_middle_of_an_answer_is_an_error_of_one_line(alone: Shell) -> None:
    impostor = Impostor(address(alone), GREETING, then=(READY, USED))
    try:
        with alone.start("query", "parse_json") as process:
            until(lambda: impostor.heard.endswith(GO))
            for there in impostor._open:
                there.shutdown(socket.SHUT_RDWR)
            out, err = process.communicate(timeout=TIMEOUT)
        assert (process.returncode, out, err.count(b"\n")) == (2, b"", 1)
        assert b"ask again" in err
    finally:
        impostor.close()


def test_a_copy_that_is_killed_in_the_middle_is_an_error_of_one_line(short: Path) -> None:
    shell = make_shop(short / "killed")
    with server(shell):
        until(address(shell).exists)
        with shell.start("query", "--similar", "-", program=HELPLESS, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            process.stdin.write(b"x")
            process.stdin.flush()
            until(lambda: is_read(process.stdin))
            os.kill(holder(os.fstat(process.stdin.fileno()).st_ino, process.pid), signal.SIGKILL)
            out, err = process.communicate(timeout=TIMEOUT)
        assert (process.returncode, out, err.count(b"\n")) == (2, b"", 1)
        assert b"ask again" in err
        assert shell.query("parse_json", program=HELPLESS).places[0] == "src/shop/jsonio.py:6"


def test_one_that_says_that_it_is_alive_may_take_its_time(alone: Shell) -> None:
    impostor = Impostor(address(alone), GREETING, then=(READY, None))
    try:
        with alone.start("query", "parse_json", program=HASTY) as process:
            until(lambda: impostor.heard.endswith(GO))
            for said in [ALIVE] * 8 + [b"\x01"]:  # four times as long as it would be waited for
                time.sleep(0.5)
                impostor._open[0].sendall(said)
            assert process.communicate(timeout=TIMEOUT) == (b"", b"")
        assert process.returncode == 1
    finally:
        impostor.close()


# -- one that is stopped


@contextmanager
def stopped(server: subprocess.Popen[bytes]) -> Iterator[None]:
    """The resident of a server and its copies are stopped, and those that are left go on again."""
    until(lambda: len(residents(server)) > 2)  # it, the copy that answers, and the next one
    found = residents(server)
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def descendants(pid: int) -> list[int]:
    """The processes that one has started, and those have. What ends meanwhile is passed over."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in thread.read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


@pytest.fixture
def reader() -> Iterator[Endpoint]:
    """A reader of the user's own, which has a command wait before it says anything."""
    with playing() as endpoint:
        endpoint.hold = threading.Event()
        yield endpoint


READ = ("what happens when sending a picture fails?", "--budget", "60s")


def test_one_that_is_stopped_before_it_said_anything_leaves_the_answer_to_the_command(
    short: Path, reader: Endpoint
) -> None:
    shell = make_shop(short / "stopped")
    reads = {"MODSTAR_READER": reader.url, "MODSTAR_READER_MODEL": "m"}
    with server(shell) as process:
        until(address(shell).exists)
        with shell.start("query", *READ, program=HASTY, env=reads) as asking:
            assert reader.was_asked.wait(TIMEOUT) and reader.hold is not None
            with stopped(process):
                reader.hold.set()
                out, err = asking.communicate(timeout=TIMEOUT)
        assert (asking.returncode, err, len(reader.requests)) == (0, b"", 2)
        assert out.decode() == shell.query(*READ, program=ALONE, env=reads).out
        assert shell.query("parse_json", program=HELPLESS).places[0] == "src/shop/jsonio.py:6"


def test_one_that_goes_on_later_says_nothing_twice(short: Path, reader: Endpoint) -> None:
    shell = make_shop(short / "later")
    reads = {"MODSTAR_READER": reader.url, "MODSTAR_READER_MODEL": "m"}
    immortal = f"{HASTY}; handover._end = lambda handles: None"
    written = short / "written"
    with server(shell) as process, written.open("wb") as file:
        until(address(shell).exists)
        with shell.start("query", *READ, program=immortal, env=reads, stdout=file, stderr=file) as asking:
            assert reader.was_asked.wait(TIMEOUT) and reader.hold is not None
            with stopped(process):
                reader.hold.set()
                assert asking.wait(TIMEOUT) == 0
        until(lambda: not [pid for pid in descendants(process.pid) if writes(pid, written)])
        assert written.read_text() == shell.query(*READ, program=ALONE, env=reads).out


def test_a_command_that_is_stopped_itself_waits_on_when_it_goes_on(short: Path, reader: Endpoint) -> None:
    shell = make_shop(short / "paused")
    reads = {"MODSTAR_READER": reader.url, "MODSTAR_READER_MODEL": "m"}
    with server(shell):
        until(address(shell).exists)
        with shell.start("query", *READ, program=f"{HELPLESS}; {HASTY}", env=reads) as asking:
            assert reader.was_asked.wait(TIMEOUT) and reader.hold is not None
            asking.send_signal(signal.SIGSTOP)
            time.sleep(2)
            asking.send_signal(signal.SIGCONT)
            time.sleep(1)
            reader.hold.set()
            out, err = asking.communicate(timeout=TIMEOUT)
        assert (asking.returncode, err, len(reader.requests)) == (0, b"", 1) and out


def writes(pid: int, file: Path) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/fd/1").samefile(file)
    return False


def test_one_that_is_stopped_in_the_middle_of_an_answer_is_an_error_of_one_line(short: Path) -> None:
    shell = make_shop(short / "middle")
    with server(shell) as process:
        until(address(shell).exists)
        with shell.start("query", "--similar", "-", program=HASTY, stdin=subprocess.PIPE) as asking:
            assert asking.stdin is not None
            asking.stdin.write(b"x")
            asking.stdin.flush()
            until(lambda: is_read(asking.stdin))
            with stopped(process):
                out, err = asking.communicate(timeout=TIMEOUT)
        assert (asking.returncode, out, err.count(b"\n")) == (2, b"", 1)
        assert b"ask again" in err
        assert shell.query("parse_json", program=HELPLESS).places[0] == "src/shop/jsonio.py:6"


def is_read(pipe: IO[bytes] | None) -> bool:
    """Whether somebody has taken what was written into a pipe."""
    import fcntl
    import termios

    assert pipe is not None
    return not any(fcntl.ioctl(pipe.fileno(), termios.FIONREAD, bytes(4)))


def holder(pipe: int, *others: int) -> int:
    """The number of the process whose input is this pipe."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "fd/0").stat().st_ino == pipe and int(folder.name) not in others:
                found.append(int(folder.name))
    (one,) = found
    return one


def test_who_asks_nonsense_or_nothing_keeps_nobody_from_an_answer(served: Shell) -> None:
    def connected() -> socket.socket:
        there = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        there.settimeout(TIMEOUT)
        there.connect(str(address(served)))
        assert there.recv(65_536) == GREETING
        return there

    open_still = [connected() for _ in range(3)]
    nonsense = [
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\0\0",
        b"\0\0\0\x05a\0b",
        b"\0\0\0\x05a\0b\0c",
        b"GET / HTTP/1.1\r\n\r\n",
        os.urandom(100_000),
    ]
    for streams in ([], [0], [0, 1, 2]):
        for request in nonsense:
            with connected() as there, suppress(OSError):
                socket.send_fds(there, [request], streams)
                there.shutdown(socket.SHUT_WR)
                assert there.recv(65_536) == b"", "it is not ready for this"
    assert served.query("parse_json", program=HELPLESS).places[0] == "src/shop/jsonio.py:6"
    for there in open_still:
        there.close()


def test_more_at_once_than_wait_in_line_are_all_answered(served: Shell) -> None:
    idle = []
    for _ in range(100):  # more than the system keeps for who listens
        there = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        there.setblocking(False)
        with suppress(BlockingIOError):
            there.connect(str(address(served)))
        idle.append(there)
    running = [served.start("query", "parse_json") for _ in range(8)]
    for process in running:
        out, err = process.communicate(timeout=TIMEOUT)
        assert (out.split(b" ")[0], err) == (b"src/shop/jsonio.py:6", b"")
    for there in idle:
        there.close()


def test_indexes_in_another_folder_are_not_asked_there(served: Shell, tmp_path: Path) -> None:
    elsewhere = ("--index-dir", str(tmp_path / "other"))
    assert served.query("parse_json", *elsewhere, program=HELPLESS).status == 2
    assert served.query("parse_json", *elsewhere).status == 0


def test_another_model_answers_for_itself(served: Shell, tmp_path: Path) -> None:
    model = str(tmp_path / "no-model")
    there, here = (
        served.query("json", "--bundle", model, program=HELPLESS),
        served.query("json", "--bundle", model),
    )
    assert there.status == here.status == 2 and there.err == here.err


def test_without_a_server_no_socket_is_imported(indexed: Shell) -> None:
    program = "import os, sys; end = os._exit; os._exit = lambda status: end(9 * ('_socket' in sys.modules))"
    assert indexed.query("parse_json", program=program).status == 0


def test_what_a_server_answers_imports_nothing_that_takes_long(served: Shell) -> None:
    heavy = (
        "numpy",
        "argparse",
        "pathlib",
        "json",
        "shutil",
        "subprocess",
        "logging",
        "typing",
        "re",
        "enum",
    )
    heavy += ("collections", "contextlib", "functools", "socket", "signal")
    program = f"import sys; sys.modules.update(dict.fromkeys({heavy}))"
    assert served.query("parse_json", "--json", program=program).status == 0


def test_the_server_of_an_editor_keeps_one_too(short: Path) -> None:
    shell = make_shop(short / "editor")
    command = [sys.executable, "-c", f"{SOON}\nfrom modstar_lsp.server.main import main\nmain()"]
    with subprocess.Popen(
        command, env=dict(shell.environment), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        until(address(shell).exists)
        assert shell.query("parse_json", program=HELPLESS).places[0] == "src/shop/jsonio.py:6"
        process.kill()


def test_other_names_of_the_same_python_look_at_the_same_place(alone: Shell) -> None:
    names = [Path(sys.executable).with_name(name) for name in ("python", "python3")]
    assert {address(alone, str(name)) for name in names if name.exists()} == {address(alone)}


def test_the_folder_is_this_users_alone(served: Shell) -> None:
    folder = address(served).parent
    assert folder.stat().st_mode & 0o077 == 0 and folder.stat().st_uid == os.geteuid()
    assert REPOSITORY not in folder.parents
