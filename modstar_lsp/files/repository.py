"""What git knows about a folder, read from its files: no git process is started.

A process would cost 5 ms and more, and git would obey the repository's own configuration
(`core.fsmonitor` names a command), while a workspace must never choose a command.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from modstar_lsp.files.ignore import Patterns, read_patterns
from modstar_lsp.files.opening import read_regular

# An index of a million files is about this large; a larger one is not read.
MAX_INDEX_BYTES = 200_000_000
# The files by which a git folder names another hold one path; a configuration is written by hand.
_MAX_PATH_BYTES = 4_096
_MAX_CONFIG_BYTES = 1_000_000

# What is read of git's configuration, and how it stands there; compiled when there is something to find.
_SETTINGS = ("core.excludesfile", "core.ignorecase", "extensions.objectformat")
_SETTING = r"(?i)^\s*([a-z]+)\s*(?:=\s*(\"[^\"]*\"|.*?)\s*)?(?:[#;].*)?$"
_SECTION = r"^\s*\[\s*([\w.-]+)[^\]]*\]"
_TRUE = ("", "true", "yes", "on", "1")


class Repository:
    """The git work tree that `root` lies in, if any, and the ignore rules that hold in it from outside.

    settings: those of `_SETTINGS` that its configuration has.  rule_files: the files that `excludes` reads,
    whether they are there or not.
    """

    def __init__(self, root: Path) -> None:
        self.top: Path | None = None
        self.git_folder: Path | None = None
        for folder in (root, *root.parents):
            found = _git_folder(folder / ".git")
            if found is not None:
                self.top, self.git_folder = folder, found
                break
        inside = "" if self.top is None or self.top == root else root.relative_to(self.top).as_posix()
        self.prefix = f"{inside}/" if inside else ""
        self.settings = settings = (
            _settings(_common_folder(self.git_folder) / "config") if self.git_folder else {}
        )
        named = settings.get("core.excludesfile", "")
        # A repository that came in an archive names no share of somebody's: Windows would log in there.
        self._excludes_file = "" if named.replace("\\", "/").startswith("//") else named
        # git sets it where the disk tells no capitals from small letters: on macOS and Windows.
        self.folds_case = settings.get("core.ignorecase", "no").lower() in _TRUE
        self._hash_bytes = 32 if settings.get("extensions.objectformat", "").lower() == "sha256" else 20
        self.rule_files = self._rule_files()
        self._worktrees: Path | None = None
        self._index: bytes | None = None
        self._tracked: frozenset[str] | None = None

    def excludes(self) -> list[Patterns]:
        """The user's global excludes and .git/info/exclude, weakest first; their base is the top folder."""
        found = [read_patterns(path, follow=True, folded=self.folds_case) for path in self.rule_files]
        return [patterns for patterns in found if patterns is not None]

    def _rule_files(self) -> list[Path]:
        named = self._excludes_file
        shared = (self.top or Path()) / _from_home(named) if named else _global_excludes()
        return [path for path in (shared, self._info_exclude()) if path is not None]

    def index_file(self) -> Path | None:
        """What `tracks` reads, whether it is there or not; None where no repository is."""
        return self.git_folder and self.git_folder / "index"

    def _info_exclude(self) -> Path | None:
        if self.git_folder is None:
            return None
        return _common_folder(self.git_folder) / "info" / "exclude"

    def is_linked_worktree(self, folder: Path) -> bool:
        """Whether `folder`, whose `.git` is a file, is another worktree of this repository.

        It holds the same files once more; git itself looks at it as one opaque entry.
        """
        if self.git_folder is None:
            return False
        named = _named_git_folder(folder / ".git")
        if named is None:
            return False
        if self._worktrees is None:
            self._worktrees = _common_folder(self.git_folder).resolve() / "worktrees"
        return self._worktrees == named.resolve().parent

    def tracks(self, path: str, *, folder: bool) -> bool:
        """Whether git tracks `path` (relative to the root), or something below it where it is a folder."""
        if self.git_folder is None:
            return False
        if self._index is None:
            self._index = _read_index(self.git_folder / "index")
        full = self.prefix + path
        needle = os.fsencode(f"{full}/" if folder else full)
        # Names stand in full in the index but for version 4, so most questions need no parsing.
        if self._index[4:8] in (b"\0\0\0\2", b"\0\0\0\3") and needle not in self._index:
            return False
        if self._tracked is None:
            names = _index_names(self._index, self._hash_bytes)
            folders = {name[:at] for name in names for at in _slashes(name)}
            self._tracked = frozenset(names) | frozenset(f"{name}/" for name in folders)
        return (f"{full}/" if folder else full) in self._tracked


def other_worktrees(root: Path) -> list[Path]:
    """The same folder as `root` in the repository's other worktrees, where it exists."""
    repository = Repository(root)
    if repository.top is None or repository.git_folder is None:
        return []
    common = _common_folder(repository.git_folder).resolve()
    tops = [common.parent] if common.name == ".git" else []
    for named in sorted((common / "worktrees").glob("*/gitdir")):
        try:
            tops.append(Path(_line(named)).parent)
        except OSError:
            continue
    here = root.resolve()
    folders = [top.resolve() / repository.prefix for top in tops]
    return [folder for folder in folders if folder != here and folder.is_dir()]


def _slashes(name: str) -> list[int]:
    return [at for at, char in enumerate(name) if char == "/"]


def nested_excludes(folder: Path, folded: bool) -> Patterns | None:
    """The patterns in the info/exclude of a repository of its own at `folder`: a submodule, or a clone."""
    file = nested_excludes_file(folder)
    return None if file is None else read_patterns(file, follow=True, folded=folded)


def nested_excludes_file(folder: Path) -> Path | None:
    """What `nested_excludes` reads, whether it is there or not."""
    found = _git_folder(folder / ".git")
    return None if found is None else _common_folder(found) / "info" / "exclude"


def _git_folder(dot_git: Path) -> Path | None:
    """The git folder that `.git` is or, in a worktree or submodule, names."""
    try:
        if dot_git.is_dir():
            return dot_git if (dot_git / "HEAD").exists() else None
        folder = _named_git_folder(dot_git)
        return folder if folder is not None and (folder / "HEAD").is_file() else None
    except OSError:  # a folder that may not be entered
        return None


def _named_git_folder(dot_git: Path) -> Path | None:
    """What a file `.git` names, whether it exists or not."""
    try:
        line = _line(dot_git)
    except OSError:
        return None
    return dot_git.parent / line[len("gitdir:") :].strip() if line.startswith("gitdir:") else None


def _common_folder(git_folder: Path) -> Path:
    """A linked worktree has its own index, and shares info/exclude with the main one."""
    try:
        return git_folder / _line(git_folder / "commondir")
    except OSError:
        return git_folder


def _line(path: Path) -> str:
    """The one line of a file in a git folder. Raises OSError, also where no such file is."""
    data = read_regular(path, _MAX_PATH_BYTES).strip()
    if not data or b"\0" in data:
        raise OSError(f"{path}: names no path")
    return os.fsdecode(data)


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # no home folder: nothing is there
        return Path("/nonexistent")


def _from_home(named: str) -> Path:
    return _home() / named[2:] if named.startswith("~/") else Path(named)


def _global_excludes() -> Path:
    xdg = Path(os.environ.get("XDG_CONFIG_HOME") or _home() / ".config") / "git"
    override = os.environ.get("GIT_CONFIG_GLOBAL")
    configs = [Path(override)] if override else [_home() / ".gitconfig", xdg / "config"]
    for config in (*configs, Path("/etc/gitconfig")):
        named = _settings(config).get("core.excludesfile")
        if named:
            return _from_home(named)
    return xdg / "ignore"


def _settings(config: Path) -> dict[str, str]:
    """Those of `_SETTINGS` that a configuration of git has."""
    try:
        text = read_regular(config, _MAX_CONFIG_BYTES).decode("utf-8-sig", "surrogateescape")
    except OSError:
        return {}
    lower = text.lower()
    if not any(name.partition(".")[2] in lower for name in _SETTINGS):
        return {}
    section = ""
    found = {}
    for line in text.splitlines():
        head = re.match(_SECTION, line)
        if head:
            section, line = head[1].lower(), line[head.end() :]
        setting = re.match(_SETTING, line)
        if setting and (name := f"{section}.{setting[1].lower()}") in _SETTINGS:
            found[name] = (setting[2] or "").strip('"').replace("\\\\", "\\")
    return found


def _read_index(file: Path) -> bytes:
    try:
        data = read_regular(file, MAX_INDEX_BYTES)
    except OSError:
        return b""
    return data if data[:4] == b"DIRC" else b""


def _index_names(data: bytes, hash_bytes: int) -> list[str]:
    """The paths in a git index (versions 2 to 4); what a damaged one still tells."""
    if len(data) < 12:
        return []
    version = int.from_bytes(data[4:8], "big")
    count = int.from_bytes(data[8:12], "big")
    if version not in (2, 3, 4):
        return []
    names: list[str] = []
    at = 12
    previous = b""
    try:
        for _ in range(count):
            start = at
            flags = int.from_bytes(data[at + 40 + hash_bytes : at + 42 + hash_bytes], "big")
            at += 42 + hash_bytes
            if version >= 3 and flags & 0x4000:
                at += 2
            if version == 4:
                drop = data[at] & 0x7F
                while data[at] & 0x80:
                    at += 1
                    drop = ((drop + 1) << 7) | (data[at] & 0x7F)
                at += 1
                end = data.index(0, at)
                name = previous[: len(previous) - drop] + data[at:end]
                at = end + 1
                previous = name
            else:
                end = data.index(0, at)
                name = data[at:end]
                at = start + ((end - start + 8) & ~7)
            names.append(os.fsdecode(name))
    except (ValueError, IndexError):
        pass
    return names
