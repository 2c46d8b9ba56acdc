"""Where code comes from: a folder, an archive, a git directory, or a package named by its registry.

    path/to/folder  path/to/archive.tar.gz|.zip|.whl|.tgz  path/to/repository(.git)
    git:OWNER/NAME        a clone in the folder of repositories, called OWNER/NAME, OWNER+NAME or NAME
    pypi:NAME  npm:NAME   a wheel, a tarball
    debian:NAME  deb:NAME  a source package, a binary one

Packages are fetched by the registries' ordinary clients (pip, npm, apt-get) into a temporary folder
and nothing of them is run: wheels only, no scripts, no build. Each becomes a folder of the files that matter.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from modstar_lsp.chunking.grammars import GRAMMARS
from modstar_lsp.files.languages import language_by_name
from train.data.licences import is_licence_file, licence_above, metadata_licence

# A file larger than this is data or generated.
LARGEST_FILE = 600_000
# Files taken of one source; the largest repositories at hand have a third of it.
MOST_FILES = 60_000
# A client that is silent for so long has hung (seconds).
PATIENCE = 900

_METADATA = frozenset(
    {"METADATA", "PKG-INFO", "package.json", "composer.json", "Cargo.toml", "copyright", "control"}
)
# Tests describe themselves, not what they test; bundled copies belong to somebody else.
_LEFT_OUT = frozenset(
    "test tests testing __tests__ spec specs testdata test-data testsuite unittest unittests e2e fixtures "
    "mocks __mocks__ "
    "vendor vendored third_party third-party thirdparty 3rdparty external externals extern node_modules "
    "bundled deps "
    "_vendor site-packages .git generated gen __generated__ pb snapshots corpus fuzz bench benchmark "
    "benchmarks locale "
    "locales i18n translations migrations jmh testfixtures jstests javatests androidtest commontest jvmtest "
    "nativetest "
    "sharedtest integrationtest integration-test inttest functionaltest testlib testutils".split()
)
_TEST_FILE = re.compile(
    r"(?:^test_|^tests?\.|_tests?\.|_spec\.|\.spec\.|\.test\.|-test\.|tests?\.(?:java|kt|cs|scala|swift|php"
    r"|groovy|hs)$"
    r"|spec\.(?:scala|kt|hs|groovy)$|^conftest\.py|_mock\.|\.mock\.|mock\.go$)",
    re.I,
)
_GENERATED_NAME = re.compile(
    r"(?:\.min\.|\.pb\.|_pb2|\.g\.cs$|\.g\.dart$|\.designer\.cs$|\.generated\.|_generated|^zz_|bindata"
    r"|\.d\.[cm]?ts$|_string\.go$"
    r"|\.bundle\.|\.umd\.|\.iife\.|lextab|parsetab|\.xcstrings|assemblyinfo\.cs$|unicode_?data|-min\.js"
    r"|amalgamat)",
    re.I,
)
_FORGE = re.compile(r"(?:github|gitlab)\.com[/:]([\w.-]+)/([\w.-]+?)(?:\.git)?(?=[/\s#\"'>)?,;]|$)", re.I)
_HOME = re.compile(
    r"^(?:Home-page|Project-URL:\s*(?:Source|Repository|Homepage|Code|GitHub)[^,\n]*|repository"
    r"|homepage)\b.*",
    re.M | re.I,
)


class SourceError(Exception):
    """A source cannot be read; the message is one line for the user."""


@dataclass(slots=True)
class Tree:
    """A source laid out as a folder."""

    root: Path
    source: str  # owner+name, or registry-name: what rows carry as `src`
    version: str = ""
    digest: str = ""
    names: set[str] = field(default_factory=set)  # every owner/name it is known to come from
    metadata: str = ""  # licence that the package states
    debian: str = ""  # text of debian/copyright
    git: Path | None = None
    above: Path | None = None  # the licence of the project that a given folder is a part of
    files: list[str] = field(default_factory=list)


def is_wanted(path: str) -> bool:
    """Whether a file could hold code worth reading, by its path (relative, with "/")."""
    folders, _, name = path.rpartition("/")
    lower = name.lower()
    if language_by_name(lower) not in GRAMMARS or _TEST_FILE.search(lower) or _GENERATED_NAME.search(lower):
        return False
    return not any(
        part in _LEFT_OUT or part.endswith((".tests", ".test", "-tests", "_tests"))
        for part in folders.lower().split("/")
    )


@contextmanager
def opened(
    spec: str,
    scratch: Path | None = None,
    is_excluded: Callable[[str], bool] = lambda name: False,
    repositories: Path | None = None,
) -> Iterator[Tree]:
    """The source as a folder for the time of the block; what was fetched or unpacked is deleted after it.

    A source whose name `is_excluded` is not even unpacked.
    """
    registry, _, name = spec.partition(":")
    with tempfile.TemporaryDirectory(prefix="harvest-", dir=scratch) as made:
        folder = Path(made)
        if registry in _FETCH and name and not Path(spec).exists():
            if not re.fullmatch(r"@?[\w.+-]+(?:/[\w.+-]+)?(?:[=@]{1,2}[\w.+~:-]+)?", name):
                raise SourceError(f"{spec}: not a package's name")
            _refuse(is_excluded, {f"{registry}-{name}"})
            tree = fetch_package(registry, name, folder)
        elif registry == "git":
            _refuse(is_excluded, {name})
            tree = _repository(_clone(name, repositories), folder, name.replace("/", "+", 1))
        else:
            tree = _local(Path(spec), folder, is_excluded)
        tree.files = kept_files(tree.root)
        _describe(tree)
        _refuse(is_excluded, {tree.source, *tree.names})
        yield tree


def _refuse(is_excluded: Callable[[str], bool], names: set[str]) -> None:
    found = sorted(name for name in names if is_excluded(name))
    if found:
        raise SourceError(f"{found[0]}: excluded, its code belongs to an evaluation set")


def _clone(name: str, repositories: Path | None) -> Path:
    """Where the clone of owner/name lies."""
    if repositories is None:
        raise SourceError(f"git:{name}: --repositories names the folder that holds the clones")
    plus = name.replace("/", "+", 1)
    for one in (name, f"{name}.git", plus, f"{plus}.git", f"{plus}/repo", name.split("/")[-1]):
        if (repositories / one / ".git").exists() or (repositories / one / "objects").is_dir():
            return repositories / one
    raise SourceError(f"git:{name}: no clone of it in {repositories}")


def _local(path: Path, folder: Path, is_excluded: Callable[[str], bool]) -> Tree:
    if not path.exists():
        raise SourceError(
            f"{path}: no such file or folder, and no git:OWNER/NAME, pypi:NAME, npm:NAME or debian:NAME"
        )
    if path.is_dir():
        git = path if (path / "objects").is_dir() else path / ".git"
        if git.exists():
            name = path.parent.name if path.name in ("repo", ".git") else path.resolve().name
            _refuse(is_excluded, {name.removesuffix(".git")})
            return _repository(path, folder, name.removesuffix(".git"))
        return Tree(path, path.resolve().name, above=licence_above(path))
    tree = Tree(
        folder / "tree",
        re.sub(r"\.(?:tar(?:\.\w+)?|tgz|zip|whl|crate|gem)$", "", path.name),
        digest=_sha256(path),
    )
    _unpack(path, tree.root)
    return tree


def _repository(path: Path, folder: Path, name: str) -> Tree:
    """The files of the newest commit; a work tree beside it is not looked at."""
    head = git(path, "rev-parse", "HEAD").strip()
    tree = Tree(folder / "tree", name, version=head, digest=head, git=path)
    tree.root.mkdir()
    lay_out(path, "HEAD", tree.root, LARGEST_FILE, _is_kept, MOST_FILES)
    return tree


def lay_out(
    repository: Path,
    commit: str,
    root: Path,
    largest: int,
    is_kept: Callable[[str], bool] = lambda path: True,
    most: int | None = None,
) -> None:
    """Write the files of a commit below `root`, up to `most`: no links, none of more than `largest` bytes."""
    wanted = []
    for row in git(repository, "ls-tree", "-r", "-l", "-z", commit).split("\0"):
        facts, _, file = row.partition("\t")
        mode, _, blob, size = facts.split() if facts else ("", "", "", "")
        # A partial copy may lack blobs; git says "-" or "BAD" for their size.
        if mode.startswith("100") and size.isdigit() and int(size) <= largest and is_kept(file):
            wanted.append((blob, file))
    with Blobs(repository) as blobs:
        for blob, file in wanted[:most]:
            content = blobs.read(blob)
            if content:
                _write(root, file, content)


class Blobs:
    """Contents of a repository by the names of their blobs, from one git process."""

    def __init__(self, repository: Path) -> None:
        self._process = subprocess.Popen(
            git_command(repository, "cat-file", "--batch"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Blobs:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def read(self, blob: str) -> bytes:
        """The content, empty when the copy does not hold it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(blob.encode() + b"\n")
        self._process.stdin.flush()
        head = self._process.stdout.readline().split()
        if len(head) != 3 or not head[2].isdigit():
            return b""
        content = self._process.stdout.read(int(head[2]))
        self._process.stdout.read(1)
        return content


def git_command(path: Path, *arguments: str) -> list[str]:
    """A git call on a repository that is only data: no hook, pager or program of its configuration runs."""
    return [
        "git", "--no-pager", "-c", "safe.directory=*", "-c", "core.fsmonitor=false",
        "-c", "core.hooksPath=/dev/null", "-c", "diff.external=", "-c", "core.attributesFile=/dev/null",
        "-c", "protocol.allow=never", "-C", str(path), *arguments,
    ]  # fmt: skip


def git(path: Path, *arguments: str) -> str:
    """What a git call prints; SourceError when it fails."""
    done = subprocess.run(git_command(path, *arguments), capture_output=True, timeout=PATIENCE)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
        raise SourceError(f"{path}: {said or 'git failed'}")
    return done.stdout.decode("utf-8", "replace")


def fetch_package(registry: str, name: str, folder: Path) -> Tree:
    """The package laid out as folder/"tree".

    Its digest is of all files that came, one after the other in the order of their names.
    SourceError when the registry's client fails or brings nothing.
    """
    got = folder / "got"
    got.mkdir()
    command = [part.replace("{name}", name).replace("{got}", str(got)) for part in _FETCH[registry]]
    if shutil.which(command[0]) is None:
        raise SourceError(f"{registry}:{name}: {command[0]} is not installed")
    try:
        done = subprocess.run(command, cwd=got, capture_output=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"{registry}:{name}: {command[0]} did not finish in {PATIENCE} s") from error
    files = sorted(one for one in got.iterdir() if one.is_file())
    if done.returncode or not files:
        said = [line for line in done.stderr.decode("utf-8", "replace").split("\n") if line.strip()]
        raise SourceError(
            f"{registry}:{name}: not fetched ({said[-1].strip()[:120] if said else 'nothing came'})"
        )
    source = f"{registry}-{name.lstrip('@').replace('/', '_')}"
    tree = Tree(folder / "tree", source, digest=_sha256(*files))
    for file in sorted(files, key=lambda one: ".debian.tar." in one.name):
        if file.suffix in (".dsc", ".asc"):
            match = re.search(r"^Version:\s*(\S+)", file.read_text(encoding="utf-8", errors="replace"), re.M)
            tree.version = match[1] if match else tree.version
            tree.names.update(_forges(file.read_text(encoding="utf-8", errors="replace")))
            continue
        under = tree.root
        component = re.search(r"\.orig-([\w-]+)\.tar", file.name)
        if component:
            under = tree.root / component[1]
        _unpack(file, under)
        tree.version = tree.version or file.name
    shutil.rmtree(got)
    return tree


_FETCH = {
    "pypi": [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary",
        ":all:",
        "-d",
        "{got}",
        "{name}",
    ],
    "npm": ["npm", "pack", "--silent", "--ignore-scripts", "{name}"],
    "debian": ["apt-get", "source", "-qq", "--download-only", "{name}"],
    "deb": ["apt-get", "download", "-qq", "{name}"],
}


def _unpack(file: Path, root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    try:
        if zipfile.is_zipfile(file):
            _unzip(file, root)
        elif file.suffix == ".deb":
            done = subprocess.run(
                ["dpkg-deb", "--fsys-tarfile", str(file)], capture_output=True, timeout=PATIENCE
            )
            if done.returncode:
                raise SourceError(f"{file.name}: dpkg-deb cannot read it")
            _untar(io.BytesIO(done.stdout), root, strip=0)
        else:
            with file.open("rb") as stream:
                _untar(stream, root, strip=0 if ".debian.tar." in file.name else 1)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise SourceError(f"{file.name}: cannot be unpacked ({error})") from error


def _untar(stream: IO[bytes], root: Path, strip: int) -> None:
    count = 0
    with tarfile.open(fileobj=stream, mode="r|*") as archive:
        for member in archive:
            if not member.isreg() or member.size > LARGEST_FILE:
                continue
            path = member.name.removeprefix("./")
            path = path.split("/", strip)[-1] if strip and "/" in path else path
            content = archive.extractfile(member) if _is_kept(path) else None
            if content is not None:
                _write(root, path, content.read())
                count += 1
                if count >= MOST_FILES:
                    break


def _unzip(file: Path, root: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist()[: 4 * MOST_FILES]:
            if not member.is_dir() and member.file_size <= LARGEST_FILE and _is_kept(member.filename):
                _write(root, member.filename, archive.read(member))


def _is_kept(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name in _METADATA or is_licence_file(name) or is_wanted(path)


def _write(root: Path, path: str, content: bytes) -> None:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if (
        ".." in parts
        or path.startswith("/")
        or not parts
        or any(len(part) > 200 or "\0" in part for part in parts)
    ):
        return
    target = root.joinpath(*parts)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        pass  # a name that is a file here and a folder there


def kept_files(root: Path) -> list[str]:
    """Relative paths of the files that matter, in order; links are not followed."""
    found: list[str] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(one for one in folders if one != ".git" and not (Path(folder) / one).is_symlink())
        relative = Path(folder).relative_to(root).as_posix()
        for name in sorted(names):
            path = name if relative == "." else f"{relative}/{name}"
            if _is_kept(path) and not (Path(folder) / name).is_symlink():
                found.append(path)
        if len(found) >= MOST_FILES:
            break
    return found[:MOST_FILES]


def _describe(tree: Tree) -> None:
    """What the tree's own metadata say: where it comes from and its licence."""
    for path in tree.files:
        folders, _, name = path.rpartition("/")
        if (
            name not in _METADATA
            or folders.count("/") > 1
            or (tree.root / path).stat().st_size > LARGEST_FILE
        ):
            continue
        text = (tree.root / path).read_text(encoding="utf-8", errors="replace")
        if name == "copyright" and folders == "debian":
            tree.debian = text
            tree.names.update(
                _forges("\n".join(re.findall(r"^(?:Source|Homepage|Upstream-Contact):.*", text, re.M)))
            )
        elif name == "control" and folders == "debian":
            tree.names.update(_forges("\n".join(re.findall(r"^Homepage:.*", text, re.M))))
        elif folders in ("", "package") or (name == "METADATA" and folders.endswith(".dist-info")):
            tree.metadata = tree.metadata or metadata_licence(name, text)
            tree.version = tree.version or _stated_version(name, text)
            tree.names.update(_homes(name, text))
    if "+" in tree.source:
        tree.names.add(tree.source.replace("+", "/", 1).lower())
    elif len(tree.names) == 1:
        # One upstream: rows carry it, so that the same project from two registries is one repository.
        tree.source = next(iter(tree.names)).replace("/", "+", 1)


def _homes(name: str, text: str) -> set[str]:
    if name.endswith(".json"):
        try:
            row = json.loads(text)
            return _forges(json.dumps(row.get("repository", ""))) or _forges(
                json.dumps(row.get("homepage", ""))
            )
        except (ValueError, AttributeError):
            return set()
    head = text.split("\n\n", 1)[0]
    return _forges("\n".join(match[0] for match in _HOME.finditer(head)))


def _stated_version(name: str, text: str) -> str:
    match = re.search(
        r'"version"\s*:\s*"([^"]+)"' if name.endswith(".json") else r"^Version:\s*(\S+)", text, re.M
    )
    return match[1] if match else ""


def _forges(text: str) -> set[str]:
    return {
        f"{owner}/{name}".lower()
        for owner, name in _FORGE.findall(text)
        if owner.lower() not in ("sponsors", "orgs")
    }


def _sha256(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
