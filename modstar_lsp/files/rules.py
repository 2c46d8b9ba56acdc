"""Every reason to leave something out of a workspace, but for what the content of a file says."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Literal

from modstar_lsp.files import kinds, secrets
from modstar_lsp.files.ignore import Patterns, read_patterns
from modstar_lsp.files.opening import DiskState, disk_state
from modstar_lsp.files.reasons import Reason
from modstar_lsp.files.repository import Repository, nested_excludes, nested_excludes_file

IGNORE_FILE = ".gitignore"
OWN_IGNORE_FILE = ".modstarignore"
_IGNORE_FILES = (IGNORE_FILE, OWN_IGNORE_FILE)
#: What may bring rules of its own into a folder.
RULE_NAMES = (*_IGNORE_FILES, ".git")
# A folder with one of these is not part of the project.
_MARKED_FOLDERS: dict[str, Reason] = {
    "pyvenv.cfg": "virtual environment",
    "conda-meta": "virtual environment",
    "CACHEDIR.TAG": "cache",
}

# Of the folders in one that may hold packages so many are looked at.
_MAX_PACKAGES = 20
# Why something is left out, "" when it is not.
_Because = Reason | Literal[""]
SILENT: Reason = "version control"

# The pattern files that hold in a folder, strongest first, each with the length of its base in a path
# relative to the root (negative: the base lies above the root by that text).
PatternChain = tuple[tuple[Patterns, int, str], ...]
# Both chains: git's, and that of our own ignore files
Chains = tuple[PatternChain, PatternChain]
# Of each file whose rules hold, what changes with it
RulesState = tuple[DiskState | None, ...]


class WalkedFolder:
    """A folder that a walk comes to.

    path: of the disk.  prefix: relative to the root, with "/" at its end.  above: the folder that it is in.
    forced: whether .modstarignore let it in against the defaults.  names: of what is in it (those of
    `RULE_NAMES` are enough), None where nobody asked.  unlike: whether the rules that hold for it are others
    than an earlier walk met.
    """

    __slots__ = ("above", "chains", "forced", "names", "path", "prefix", "unlike")

    def __init__(self, path: str, prefix: str, above: WalkedFolder | None, forced: bool) -> None:
        self.path = path
        self.prefix = prefix
        self.above = above
        self.forced = forced
        self.names: Container[str] | None = None
        self.unlike: bool = above is not None and above.unlike
        self.chains: Chains | None = None  # among its entries, once they were asked for

    def inside(self, name: str, forced: bool) -> WalkedFolder:
        """The folder `name` in this one."""
        return WalkedFolder(
            f"{self.path.rstrip(os.sep)}{os.sep}{name}", f"{self.prefix}{name}/", self, forced
        )


class WalkRules:
    """Every reason to leave something out, in the order of their strength.

    bounds: include, exclude and max_bytes.  began: when, in ns, before anything was read.  outside: what
    changes with the rules that hold in the whole workspace, but for those named in a call.  asked_git: how
    often it was asked what git tracks.  looked_inside: how often a reason was looked for in the folders of a
    folder.
    """

    def __init__(self, root: Path, include: Sequence[str], exclude: Sequence[str], max_bytes: int) -> None:
        self.began = time.time_ns()
        self.bounds = tuple(include), tuple(exclude), max_bytes
        self.asked_git = self.looked_inside = 0
        self.max_bytes = max_bytes
        self.root = root
        self.include = Patterns(include) if include else None
        self.exclude = Patterns(exclude) if exclude else None
        self.repository = Repository(root)
        self.outside: RulesState = tuple(map(disk_state, _rules_outside(self.repository, root)))
        self._folded = self.repository.folds_case
        top = self.repository.top or root
        prefix = self.repository.prefix
        chain: list[tuple[Patterns, int, str]] = [
            (patterns, 0, prefix) for patterns in self.repository.excludes()
        ]
        own: list[tuple[Patterns, int, str]] = []
        above = [part for part in prefix.split("/") if part]
        for depth in range(len(above)):
            folder = top.joinpath(*above[:depth])
            inside = "/".join(above[depth:]) + "/"
            for name, found in ((IGNORE_FILE, chain), (OWN_IGNORE_FILE, own)):
                patterns = read_patterns(folder / name, folded=self._folded)
                if patterns is not None:
                    found.append((patterns, 0, inside))
        chain.reverse()
        own.reverse()
        self.git: PatternChain = tuple(chain)
        self.own: PatternChain = tuple(own)
        # A root that its repository ignores was asked for all the same: then what ignores it does not count.
        if above and any(self._above(patterns, inside) for patterns, _, inside in (*self.git, *self.own)):
            self.git = self.own = ()

    @staticmethod
    def _above(patterns: Patterns, inside: str) -> bool:
        parts = inside.rstrip("/").split("/") if inside else []
        return any(
            patterns.verdict("/".join(parts[: depth + 1]), part, True) is True
            for depth, part in enumerate(parts)
        )

    def root_folder(self) -> WalkedFolder:
        """Where the walk begins."""
        return WalkedFolder(os.fspath(self.root), "", None, forced=False)

    def chains(self, folder: WalkedFolder) -> Chains:
        """The pattern chains that hold among the entries of `folder`; it reads ignore files."""
        unread = []
        above: WalkedFolder | None = folder
        while above is not None and above.chains is None:
            unread.append(above)
            above = above.above
        chains = (self.git, self.own) if above is None or above.chains is None else above.chains
        for inner in reversed(unread):
            chains = inner.chains = self._enter(inner, *chains)
        return chains

    def _enter(self, folder: WalkedFolder, git: PatternChain, own: PatternChain) -> Chains:
        names = folder.names
        at = len(folder.prefix)
        if at and (names is None or ".git" in names):
            patterns = nested_excludes(Path(folder.path), self._folded)
            if patterns is not None:
                git = ((patterns, at, ""), *git)
        if names is None or IGNORE_FILE in names:
            patterns = read_patterns(Path(folder.path, IGNORE_FILE), folded=self._folded)
            if patterns is not None:
                git = ((patterns, at, ""), *git)
        if names is None or OWN_IGNORE_FILE in names:
            patterns = read_patterns(Path(folder.path, OWN_IGNORE_FILE), folded=self._folded)
            if patterns is not None:
                own = ((patterns, at, ""), *own)
        return git, own

    def state_in(self, folder: WalkedFolder, names: Container[str]) -> RulesState:
        """What changes with the rules that `folder`, which holds `names`, adds to those above it."""
        found = [disk_state(Path(folder.path, name)) for name in _IGNORE_FILES if name in names]
        if folder.prefix and ".git" in names:
            excludes = nested_excludes_file(Path(folder.path))
            found.append(None if excludes is None else disk_state(excludes))
        return tuple(found)

    def marked(self, folder: Path | str, holds: Callable[[str], bool]) -> _Because:
        """Why a folder is no part of the project by what it `holds`, "" when it is."""
        reason: _Because = next((why for marker, why in _MARKED_FOLDERS.items() if holds(marker)), "")
        if not reason and holds(".git") and self.repository.is_linked_worktree(Path(folder)):
            return "worktree"
        return reason

    def marked_again(self, folder: WalkedFolder, names: Container[str], before: str) -> str:
        """`marked` of a folder that holds the same `names` as `before`."""
        if before not in ("", "worktree") or ".git" not in names or not folder.prefix or folder.forced:
            return before
        return self.marked(folder.path, ".git".__eq__)

    @staticmethod
    def verdict(chain: PatternChain, path: str, name: str, is_folder: bool) -> bool | None:
        """As of `Patterns`: what the strongest patterns say that speak about `path`."""
        for patterns, skip, above in chain:
            found = patterns.verdict(path[skip:] if skip else above + path, name, is_folder)
            if found is not None:
                return found
        return None

    def git_ignores(self, git: PatternChain, path: str, name: str, is_folder: bool) -> bool:
        """Whether git ignores it; what git tracks it does not ignore."""
        return self.verdict(git, path, name, is_folder) is True and not self._tracks(path, is_folder)

    def _tracks(self, path: str, is_folder: bool) -> bool:
        self.asked_git += 1
        return self.repository.tracks(path, folder=is_folder)

    def _has_packages(self, path: str) -> bool:
        self.looked_inside += 1
        return _has_packages(self.root / path)

    def folder(
        self,
        git: PatternChain,
        own: PatternChain,
        path: str,
        name: str,
        forced: bool,
        beside: Callable[[str], bool],
    ) -> tuple[_Because, bool]:
        """Why a folder is not entered ("": it is), and whether .modstarignore forced it in."""
        if name in kinds.VERSION_CONTROL:
            return SILENT, False
        if secrets.is_secret_folder(name):
            return "secret", False
        if self.exclude is not None and self.exclude.verdict(path, name, True):
            return "excluded", False
        own_verdict = self.verdict(own, path, name, True) if own else None
        if own_verdict is not None:
            return ("ignored", False) if own_verdict else ("", True)
        if git and self.git_ignores(git, path, name, True):
            # A reason that says more than "ignored" where there is one
            return kinds.folder_reason(name, beside, lambda: False, lambda: False) or "ignored", False
        if not forced:
            reason = kinds.folder_reason(
                name,
                beside,
                lambda: self._tracks(path, True),
                lambda: self._has_packages(path),
            )
            if reason:
                return reason, False
        return "", forced

    def name(self, git: PatternChain, own: PatternChain, path: str, name: str) -> _Because:
        """Why a file is left out by its path alone, "" when it is not."""
        if name in kinds.VERSION_CONTROL:  # of a linked worktree or a submodule
            return SILENT
        if secrets.is_secret(path.lower()):
            return "secret"
        if self.exclude is not None and self.exclude.verdict(path, name, False):
            return "excluded"
        own_verdict = self.verdict(own, path, name, False) if own else None
        if own_verdict is not None:
            return "ignored" if own_verdict else ""
        if git and self.git_ignores(git, path, name, False):
            return "ignored"
        return ""

    def file(self, own: PatternChain, path: str, name: str, status: os.stat_result | None) -> _Because:
        """Why a file that its path allows is left out all the same, "" when it belongs to the workspace."""
        size = 0
        executable = False
        if status is not None:
            if not stat.S_ISREG(status.st_mode):
                return "special file"
            size = status.st_size
            executable = bool(status.st_mode & 0o111)
        if self.include is not None:
            if not self._includes(path, name):
                return "not included"
            return "too large" if size > self.max_bytes else ""
        reason = kinds.file_reason(name.lower(), size, executable, self.max_bytes)
        if reason and own and self.verdict(own, path, name, False) is False and size <= self.max_bytes:
            return ""
        return reason

    def _includes(self, path: str, name: str) -> bool:
        """Whether an include pattern matches the file or a folder above it."""
        assert self.include is not None
        verdict = self.include.verdict(path, name, False)
        while verdict is None and "/" in path:
            path = path.rpartition("/")[0]
            verdict = self.include.verdict(path, path.rpartition("/")[2], True)
        return verdict is True


def _has_packages(folder: Path) -> bool:
    """Whether a folder in `folder` is a package with a manifest or a licence of its own."""
    try:
        with os.scandir(folder) as listing:
            inside = [entry.path for entry in listing if entry.is_dir(follow_symlinks=False)]
        for path in sorted(inside)[:_MAX_PACKAGES]:
            for inner in Path(path).iterdir():
                lower = inner.name.lower()
                if lower in kinds.PACKAGE_SIGNS or lower.partition(".")[0] in kinds.PACKAGE_SIGNS:
                    return True
    except OSError:
        pass
    return False


def rules_outside(root: Path) -> list[Path]:
    """The files outside of `root`, or in its `.git`, whose rules hold in it; some may not be there."""
    return _rules_outside(Repository(root.absolute()), root.absolute())


def _rules_outside(repository: Repository, root: Path) -> list[Path]:
    files = list(repository.rule_files)
    if repository.top is not None:
        above = [folder for folder in root.parents if folder.is_relative_to(repository.top)]
        files += [folder / name for folder in above for name in (IGNORE_FILE, OWN_IGNORE_FILE)]
    return files
