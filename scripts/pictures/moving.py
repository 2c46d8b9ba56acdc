"""Makes the README's moving picture: the commands typed into a real terminal, recorded and drawn.

    pip install pyte pillow
    python scripts/pictures/moving.py                    writes docs/images/terminal.gif

Typing has a pace of its own. Answers are shown when they came. One that a busy machine needed longer for is
shown after a second or so.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import NamedTuple

import pyte
from drawing import IMAGES, Pen, make_project
from PIL import Image

OUT = IMAGES / "terminal.gif"
TYPED = (
    "# pytest's own sources, never seen before",
    'modstar-query "temporarily replace an attribute" -k 2',
    'modstar-query "undo environment changes after a test" -k 2',
    "# more code like what is at a line",
    "modstar-query --similar src/_pytest/capture.py:{snap} -k 2",
)

COLUMNS, ROWS = 90, 24
KEY_SECONDS = 0.045
READ_SECONDS = 3.5  # after each answer
FRAME_SECONDS = 0.05  # what changes faster is one frame: no player of such pictures shows more
LONGEST_WAIT, SHORTEST_STEP = 1.0, 0.1  # of an answer in all; of each of its parts after that
ANSWER_SECONDS = 120.0
PROMPT = "~/pytest $"


class Moment(NamedTuple):
    """What the terminal had received by then, in seconds from the start."""

    at: float
    received: bytes


class Terminal:
    """A shell in a pseudo-terminal, and everything that it wrote."""

    def __init__(self, folder: Path) -> None:
        home = folder.parent
        self.moments: list[Moment] = []
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "PS1": f"\\[\\e[1;34m\\]{PROMPT}\\[\\e[0m\\] ",
        }
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._start = time.monotonic()

    def wait_for_prompt(self) -> None:
        """Until the shell writes its prompt."""
        seen, end = b"", time.monotonic() + ANSWER_SECONDS
        last, left = self._now(), LONGEST_WAIT
        while PROMPT.encode() not in seen:
            if time.monotonic() > end:
                raise TimeoutError(f"no prompt after {ANSWER_SECONDS:g} s: {seen[-500:]!r}")
            received = self._listen(0.1)
            if received:
                waited = self._now() - last
                self._leave_out(waited - max(left, SHORTEST_STEP))
                last, left = self._now(), left - waited
            seen += received

    def enter(self) -> None:
        """Have the line carried out, to its end."""
        os.write(self._ours, b"\n")
        self.wait_for_prompt()

    def type(self, text: str) -> None:
        """One key after the other, as a person types."""
        for key in text:
            os.write(self._ours, key.encode())
            self.rest(KEY_SECONDS)

    def rest(self, seconds: float) -> None:
        """Leave what is shown for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._listen(left)

    def close(self) -> None:
        os.close(self._ours)
        self._shell.wait(10)

    def _now(self) -> float:
        return time.monotonic() - self._start

    def _leave_out(self, seconds: float) -> None:
        """Take time from before the last moment, if it is time at all."""
        if seconds > 0:
            self._start += seconds
            self.moments[-1] = Moment(self.moments[-1].at - seconds, self.moments[-1].received)

    def _listen(self, seconds: float) -> bytes:
        if not select.select([self._ours], [], [], seconds)[0]:
            return b""
        received = os.read(self._ours, 65536)
        self.moments.append(Moment(self._now(), received))
        return received


def record(folder: Path) -> list[Moment]:
    """What a terminal in `folder` receives while all of `TYPED` is typed and answered."""
    capture = (folder / "src/_pytest/capture.py").read_text("utf-8").splitlines()
    snap = max(number for number, line in enumerate(capture, 1) if "def snap(" in line)
    terminal = Terminal(folder)
    try:
        terminal.wait_for_prompt()
        for line in (typed.format(snap=snap) for typed in TYPED):
            terminal.rest(0.6)
            terminal.type(line)
            terminal.rest(0.4)
            terminal.enter()
            terminal.rest(0.1 if line.startswith("#") else READ_SECONDS)
        terminal.moments.append(Moment(terminal.moments[-1].at + READ_SECONDS, b""))
        return terminal.moments
    finally:
        terminal.close()


def draw(moments: list[Moment], pen: Pen) -> tuple[list[Image.Image], list[int]]:
    """The pictures, and how many milliseconds each stands."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    pictures: list[Image.Image] = []
    starts: list[float] = []
    for moment, after in zip(moments, [*moments[1:], moments[-1]], strict=True):
        stream.feed(moment.received)
        if after.at - moment.at < FRAME_SECONDS and after is not moment:
            continue
        pictures.append(pen.draw(screen))
        starts.append(moment.at)
    ends = [*starts[1:], moments[-1].at]
    return pictures, [max(round(1000 * (end - start)), 20) for start, end in zip(starts, ends, strict=True)]


def main() -> None:
    """Record, draw and write the picture."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as base:  # an indexer may still write
        moments = record(make_project(Path(base)))
    pictures, milliseconds = draw(moments, Pen(COLUMNS, ROWS))
    # one palette for all, so that what stands still is left out of the pictures that follow
    palette = pictures[-1].quantize(32, dither=Image.Dither.NONE)
    small = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    small[0].save(OUT, save_all=True, append_images=small[1:], duration=milliseconds, loop=0)
    seconds, megabytes = sum(milliseconds) / 1000, OUT.stat().st_size / 1e6
    print(f"{OUT}: {len(small)} pictures, {seconds:.0f} s, {megabytes:.2f} MB")


if __name__ == "__main__":
    main()
