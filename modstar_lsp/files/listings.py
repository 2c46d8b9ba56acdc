"""What the folders of a large tree held when they were last listed: a walk lists only those that changed.

The time of a folder changes whenever an entry of it comes or goes, so its list need not be read and judged
again before; its files are asked for their times all the same. git's "untracked cache" does this. Its two
traps are minded here: some file systems keep no such times, so only those count that are known to; and a
folder may change twice within one tick of the clock, so a list made that soon after a change is not believed.

Measured: of 100,000 files in 1,040 folders a walk takes .34 s of CPU where it took .63.
"""

from __future__ import annotations

import marshal
import os
import sys
from binascii import crc32
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from modstar_lsp import __version__
from modstar_lsp.files.opening import DiskState, disk_state, read_regular
from modstar_lsp.files.rules import RulesState, WalkRules

# What is written, and how it was judged; to be raised with either.
_LISTINGS_FORMAT = 1
# Nanoseconds after which the clock of any file system that is believed has ticked.
_TICK = 2_000_000_000
# How many entries must have been listed anew for the file to be worth writing again, and of all which share.
_WORTH_WRITING, _WORTH_SHARE = 2_000, 0.05
# No more is read: some ten million entries.
_MAX_LISTINGS_BYTES = 1_000_000_000
# Those whose folders have a new time whenever an entry comes or goes. Not those of other machines, nor an
# overlay: a folder in two of its layers has the upper one's time, and the lower may have changed meanwhile.
_FILE_SYSTEMS = frozenset("ext2 ext3 ext4 xfs btrfs f2fs zfs bcachefs tmpfs".split())


class Listing(NamedTuple):
    """One folder.

    state: of itself just before, None when it had only just changed.  rules: of the ignore files in it, None
    likewise.  names: of what `WalkRules` looks for in it, where that is there.  marked: why nothing in it
    belongs to the workspace, "" where it may.  asked_git: whether anything depends on what git tracks.
    files: name, size, mode and why it is left out ("": it is not).  left_out: by its name alone, a folder
    with "/" at its end, and why.  folders: to be entered, and whether .modstarignore forces them in.
    """

    state: DiskState | None
    rules: RulesState | None
    names: tuple[str, ...]
    marked: str
    asked_git: bool
    files: list[tuple[str, int, int, str]]
    left_out: list[tuple[str, str]]
    folders: list[tuple[str, bool]]


class Listings:
    """The listings of one walk for the next one; nothing is kept of a file system that is not known.

    A small tree pays next to nothing for them: what all depends on is looked at when there is something to
    read or to write.
    """

    def __init__(self, rules: WalkRules, file: Path) -> None:
        """Reads what an earlier walk by the same `rules` has left in `file`, if anything.

        Raises one of many errors where the checksum is right and the rest is not.
        """
        self._file = file
        self._rules = rules
        root, git_index = disk_state(rules.root), rules.repository.index_file()
        self._device = None if root is None else root[4]
        self._git = None if git_index is None else disk_state(git_index)
        self._kept: dict[str, bytes] = {}
        self._recalled: dict[str, bytes] = {}
        self._made: dict[str, bytes] = {}
        self._entries = [0, 0]  # in those recalled, and in those made
        self.git_changed = True
        self._read()

    def settled(self, states: Sequence[DiskState | None]) -> bool:
        """Whether all of `states` are older than a tick, so that a later change shows.

        By the time that the system sets at each change: anybody may set the other one.
        """
        return all(state is None or state[2] < self._rules.began - _TICK for state in states)

    def of(self, prefix: str) -> Listing | None:
        """What is kept of the folder, None when nothing is."""
        data = self._kept.get(prefix)
        return None if data is None else Listing(*marshal.loads(data))

    def recall(self, prefix: str, listing: Listing) -> None:
        """Keeps what was kept for another time, as it still holds."""
        self._recalled[prefix] = self._kept[prefix]
        self._entries[0] += _entries(listing)

    def keep(self, prefix: str, listing: Listing) -> None:
        """Keeps a listing just made."""
        self._made[prefix] = self._packed(listing)  # the garbage collector need not look at bytes
        if self._is_believed(listing.state):
            self._entries[1] += _entries(listing)

    def write(self) -> None:
        """Writes the file again if that pays; if it cannot be written, the next walk lists the same again."""
        recalled, made = self._entries
        if made < max(_WORTH_WRITING, _WORTH_SHARE * recalled) or not self.settled(
            (*self._rules.outside, self._git)
        ):
            return
        key = _key(self._rules)
        if key is None or not _keeps_times(self._rules.root):
            return
        from modstar_lsp.private_files import write_private_file

        data = marshal.dumps((key, self._git, self._recalled | self._made))
        with suppress(OSError):
            write_private_file(self._file, crc32(data).to_bytes(4, "little") + data)

    def _is_believed(self, state: DiskState | None) -> bool:
        """Whether a folder's `state` tells of every later change: not if it lies on another disk."""
        return state is not None and state[4] == self._device and self.settled((state,))

    def _packed(self, listing: Listing) -> bytes:
        """As it is written, without what may have changed again since."""
        state = listing.state if self._is_believed(listing.state) else None
        rules = listing.rules if listing.rules is not None and self.settled(listing.rules) else None
        return marshal.dumps((state, rules, *listing[2:]))  # type: ignore[arg-type]  # lists of tuples

    def _read(self) -> None:
        try:
            content = memoryview(read_regular(self._file, _MAX_LISTINGS_BYTES))
        except OSError:
            return
        if crc32(content[4:]) != int.from_bytes(content[:4], "little"):
            return
        key, git, kept = marshal.loads(content[4:])
        if key == _key(self._rules) and _keeps_times(self._rules.root):
            self._kept = kept
            self.git_changed = git != self._git


def _entries(listing: Listing) -> int:
    return len(listing.files) + len(listing.left_out) + len(listing.folders)


def _code_states() -> list[tuple[str, int, int, int]]:
    """What changes with the code that judges, which is that of this folder: path, size, time, inode."""
    found = []
    with suppress(OSError), os.scandir(Path(__file__).parent) as files:
        for file in files:
            if file.name.endswith(".py"):
                status = file.stat()
                found.append((file.path, status.st_size, status.st_mtime_ns, status.st_ino))
    return sorted(found)


# As this process runs it
_CODE_STATES = _code_states()


def _code_digest() -> int | None:
    """The same for two installations that judge alike; None where one was put over this while it runs."""
    if _code_states() != _CODE_STATES:
        return None
    digest = 0
    for file, *_ in _CODE_STATES:
        digest = crc32(Path(file).read_bytes(), digest)
    return digest


def _key(rules: WalkRules) -> bytes | None:
    """What all listings depend on: the bounds, the rules outside of the tree, who asks, and the code that
    judges. None where that is not known."""
    repository = rules.repository
    code = _code_digest()
    if code is None:
        return None
    return marshal.dumps(
        (
            _LISTINGS_FORMAT,
            __version__,
            code,
            os.geteuid() if hasattr(os, "geteuid") else 0,  # others may not read the same ignore files
            sys.getfilesystemencoding(),  # of the names
            os.fspath(rules.root),
            rules.bounds,
            os.fspath(repository.git_folder or ""),
            repository.prefix,
            sorted(repository.settings.items()),
            rules.outside,
        ),
        2,  # the version that writes equal values alike
    )


def _keeps_times(root: Path) -> bool:
    """Whether the file system that `root` lies in is known to keep the times of its folders."""
    if sys.platform == "darwin":  # the user's own disk does; what is mounted may come from anywhere
        with suppress(OSError, RuntimeError):
            return root.stat().st_dev == Path.home().stat().st_dev
        return False
    return _file_system(root) in _FILE_SYSTEMS


def _file_system(folder: Path) -> str:
    """The name of the file system that `folder` lies in, "" where the system does not tell.

    It is asked for the very mount: others may lie over it, or have names of any kind.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return ""
    try:
        opened = Path(f"/proc/self/fdinfo/{descriptor}").read_bytes().split()
        number = opened[opened.index(b"mnt_id:") + 1]
        mounts = Path("/proc/self/mountinfo").read_bytes().split(b"\n")
        mount = next(fields for line in mounts if (fields := line.split(b" "))[0] == number)
        return os.fsdecode(mount[mount.index(b"-") + 1])
    except (OSError, ValueError, StopIteration):
        return ""
    finally:
        os.close(descriptor)
