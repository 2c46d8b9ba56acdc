"""The walk returns the files that belong to the workspace and says why the others do not."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from planting import Plant

from modstar_lsp.errors import WorkspaceError
from modstar_lsp.files import Unreadable, Walk, is_allowed, read_source, walk, walk_again
from modstar_lsp.files.reasons import REASONS
from modstar_lsp.files.repository import Repository

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def paths(found: Walk) -> list[str]:
    return [file.path for file in found.files]


def reasons(found: Walk) -> dict[str, str]:
    return {skipped.path: skipped.reason for skipped in found.skipped}


def git(root: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a", *arguments], check=True
    )


def test_files_are_sorted_and_carry_their_stat(plant: Plant) -> None:
    root = plant({"b.py": "x = 1\n", "a/z.py": "", "a.py": "", "a/b/c.md": "hi"})
    found = walk(root)
    assert paths(found) == ["a.py", "a/b/c.md", "a/z.py", "b.py"]
    assert found.files[-1].size == 6
    assert found.files[-1].mtime_ns == (root / "b.py").stat().st_mtime_ns


def test_nested_ignore_files_and_negation(plant: Plant) -> None:
    root = plant(
        {
            ".gitignore": "*.log.py\n/top.py\nout/\n!important.log.py\n",
            "sub/.gitignore": "!kept.log.py\n/local.py\n",
            "a.log.py": "",
            "important.log.py": "",
            "top.py": "",
            "out/x.py": "",
            "sub/top.py": "",
            "sub/kept.log.py": "",
            "sub/local.py": "",
            "sub/deep/local.py": "",
        }
    )
    found = walk(root)
    assert paths(found) == ["important.log.py", "sub/deep/local.py", "sub/kept.log.py", "sub/top.py"]
    assert reasons(found)["out/"] == "ignored"
    assert "out/x.py" not in reasons(found)  # an ignored folder is reported once and never entered


def test_own_ignore_file_excludes_and_re_includes(plant: Plant) -> None:
    root = plant(
        {
            ".gitignore": "generated.py\n",
            ".modstarignore": "big.py\n!vendor/\n!generated.py\n!*.csv\n",
            "big.py": "",
            "generated.py": "",
            "vendor/lib.py": "",
            "table.csv": "a,b",
        }
    )
    assert paths(walk(root)) == ["generated.py", "table.csv", "vendor/lib.py"]


def test_secrets_stay_out_even_when_re_included(plant: Plant) -> None:
    secret = [
        ".env",
        ".env.production",
        "prod.env",
        "server.pem",
        "server.key",
        "id_rsa",
        "id_ed25519.old",
        "credentials.json",
        "secrets.yaml",
        ".netrc",
        ".npmrc",
        ".pypirc",
        ".ssh/config",
        "keys/app.p12",
        "terraform.tfvars",
        "my-service-account.json",
    ]
    harmless = [
        ".env.example",
        "credentials.py",
        "secrets.go",
        "password_reset.rb",
        "docs/secrets.md",
        "keys.py",
    ]
    root = plant(dict.fromkeys([*secret, *harmless], "x") | {".modstarignore": "!*\n!.ssh/\n"})
    found = walk(root, include=["*"])
    assert set(paths(found)) == {*harmless, ".modstarignore"}
    assert {reason for path, reason in reasons(found).items() if path != ".modstarignore"} == {"secret"}
    assert set(paths(walk(root))) >= set(harmless)
    assert not any(is_allowed(root, path) for path in secret)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("node_modules/x/index.js", "vendored"),
        ("third_party/x.c", "vendored"),
        ("__pycache__/a.py", "cache"),
        ("_build/a.py", "build output"),
        ("pkg.egg-info/top_level.txt", "cache"),
    ],
)
def test_default_folders_are_left_out(plant: Plant, path: str, reason: str) -> None:
    root = plant({path: "x", "kept.py": ""})
    found = walk(root)
    assert paths(found) == ["kept.py"]
    assert reasons(found) == {f"{path.split('/')[0]}/": reason}


def test_a_folder_called_vendors_is_left_out_where_it_holds_packages(plant: Plant) -> None:
    root = plant(
        {
            "shop/vendors/models.py": "",
            "shop/vendors/views/list.py": "",
            "web/vendors/chart/LICENSE.txt": "",
            "web/vendors/chart/chart.js": "",
            "js/vendors/moment/package.json": "{}",
            "js/vendors/moment/moment.js": "",
        }
    )
    found = walk(root)
    assert paths(found) == ["shop/vendors/models.py", "shop/vendors/views/list.py"]
    assert reasons(found) == {"js/vendors/": "vendored", "web/vendors/": "vendored"}
    assert is_allowed(root, "shop/vendors/models.py")
    assert not is_allowed(root, "web/vendors/chart/chart.js")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("jquery.min.js", "minified"),
        ("api.pb.go", "generated"),
        ("api_pb2.py", "generated"),
        ("package-lock.json", "lock file"),
        ("Cargo.lock", "lock file"),
        ("logo.png", "binary"),
        ("data.csv", "data"),
        ("fixture.json", "data"),
        ("notes.xyz", "not a source file"),
        ("LICENSE", "legal text"),
    ],
)
def test_default_files_are_left_out(plant: Plant, path: str, reason: str) -> None:
    root = plant({path: "x"})
    assert reasons(walk(root)) == {path: reason}
    assert not is_allowed(root, path)


def test_build_folders_need_evidence(plant: Plant) -> None:
    root = plant(
        {
            "rust/Cargo.toml": "",
            "rust/target/a.rs": "",
            "app/target/a.py": "",
            "net/a.csproj": "",
            "net/bin/a.cs": "",
            "tools/bin/a.py": "",
        }
    )
    assert paths(walk(root)) == ["app/target/a.py", "net/a.csproj", "rust/Cargo.toml", "tools/bin/a.py"]


def test_virtual_environments_are_left_out_under_any_name(plant: Plant) -> None:
    root = plant({"myenv/pyvenv.cfg": "", "myenv/lib/x.py": "", "a.py": ""})
    found = walk(root)
    assert paths(found) == ["a.py"]
    assert reasons(found) == {"myenv/": "virtual environment"}
    assert not is_allowed(root, "myenv/lib/x.py")


def test_large_files_are_left_out(plant: Plant) -> None:
    root = plant({"big.py": b"x" * 1_000_001, "data.yaml": b"x" * 200_000, "fine.py": b"x" * 999_999})
    found = walk(root)
    assert paths(found) == ["fine.py"]
    assert reasons(found) == {"big.py": "too large", "data.yaml": "data"}


def test_larger_files_are_let_in_on_request(plant: Plant) -> None:
    root = plant({"big.py": b"x = 1\n" * 300_000, "huge.py": b"x = 1\n" * 600_000, "a.py": ""})
    found = walk(root, max_bytes=2_000_000)
    assert paths(found) == ["a.py", "big.py"]
    assert reasons(found) == {"huge.py": "too large"}
    assert is_allowed(root, "big.py", max_bytes=2_000_000)
    assert not is_allowed(root, "big.py")
    assert len(read_source(root, "big.py", max_bytes=2_000_000)) == 1_800_000
    assert walk_again(root, found, ["big.py"], max_bytes=2_000_000) == found


def test_reasons_are_a_closed_set_without_paths(plant: Plant) -> None:
    """What is left out is summed up by reason: a reason that holds a path sums up nothing."""
    root = plant(
        {
            "g1.py": "# @generated\n",
            "g2.py": "# @generated\n",
            "big.py": b"x" * 1_000_001,
            "key.txt": "-----BEGIN PRIVATE KEY-----\n",
            "odd.py": b"\0\1",
            "node_modules/x.js": "",
            "photo.png": "",
            "lfs.py": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            ".env": "",
        }
    )
    found = walk(root)
    unread = []
    for file in found.files:
        with pytest.raises(Unreadable) as error:
            read_source(root, file.path)
        unread.append(error.value.reason)
    assert sorted(unread) == ["Git LFS pointer", "binary", "generated", "generated", "secret"]
    assert {*unread, *reasons(found).values()} <= set(REASONS)
    assert not [reason for reason in REASONS if any(char in reason for char in "/.:0123456789")]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX modes")
def test_an_executable_without_extension_is_a_script(plant: Plant) -> None:
    root = plant({"bin/tool": "#!/bin/sh\n", "bin/notes": "x"})
    (root / "bin/tool").chmod(0o755)
    assert paths(walk(root)) == ["bin/tool"]


def test_include_and_exclude_patterns(plant: Plant) -> None:
    root = plant(
        {"src/a.py": "", "src/a.js": "", "tests/a.py": "", "data/x.json": "{}", "node_modules/a.py": ""}
    )
    assert paths(walk(root, include=["*.py"])) == ["src/a.py", "tests/a.py"]
    assert paths(walk(root, include=["src/"])) == ["src/a.js", "src/a.py"]
    assert paths(walk(root, include=["*.json"])) == ["data/x.json"]
    assert paths(walk(root, exclude=["tests/", "*.js"])) == ["src/a.py"]
    assert paths(walk(root, include=["*.rs"])) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_links_are_not_followed(plant: Plant, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text("x")
    root = plant({"a.py": ""})
    (root / "folder").symlink_to(outside)
    (root / "file.py").symlink_to(outside / "secret.py")
    (root / "loop").symlink_to(root)
    (root / "gone.py").symlink_to(root / "nowhere.py")
    found = walk(root)
    assert paths(found) == ["a.py"]
    assert set(reasons(found).values()) == {"link"}
    assert not is_allowed(root, "folder/secret.py")
    assert not is_allowed(root, "file.py")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_special_files_are_skipped(plant: Plant) -> None:
    root = plant({"a.py": ""})
    os.mkfifo(root / "pipe.py")
    assert reasons(walk(root)) == {"pipe.py": "special file"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_reported(plant: Plant) -> None:
    root = plant({"a.py": "", "closed/b.py": ""})
    (root / "closed").chmod(0)
    try:
        assert reasons(walk(root)) == {"closed/": "unreadable"}
    finally:
        (root / "closed").chmod(0o755)


def test_a_folder_that_cannot_be_listed_is_reported(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    root = plant({"a.py": "", "closed/b.py": ""})
    listing = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = walk(root)
    assert paths(found) == ["a.py"]
    assert reasons(found) == {"closed/": "unreadable"}


def test_a_bad_root_is_one_clear_error(plant: Plant) -> None:
    root = plant({"a.py": ""})
    for path, words in ((root / "nowhere", "no such folder"), (root / "a.py", "not a folder")):
        with pytest.raises(WorkspaceError, match=words) as error:
            walk(path)
        assert "\n" not in str(error.value)
    with pytest.raises(WorkspaceError):
        walk(root / "a.py" / "b")


def test_an_empty_folder_has_no_files(plant: Plant) -> None:
    assert walk(plant({})) == Walk((), ())


@needs_git
def test_tracked_files_are_kept_although_ignored(plant: Plant) -> None:
    root = plant({"kept.py": "", "out/kept.py": "", "dist/kept.js": "", "package.json": "{}"})
    git(root, "init", "-q")
    git(root, "add", ".")
    plant({".gitignore": "*.py\nout/\n", "new.py": "", "out/new.py": "", "other/out/new.py": ""})
    found = walk(root)
    assert paths(found) == ["dist/kept.js", "kept.py", "out/kept.py", "package.json"]
    assert is_allowed(root, "out/kept.py")
    assert not is_allowed(root, "new.py")


@needs_git
@pytest.mark.parametrize("digest", ["sha1", "sha256"])
@pytest.mark.parametrize("version", [2, 3, 4])
def test_every_version_of_the_git_index_is_read(plant: Plant, version: int, digest: str) -> None:
    names = ["a.py", "folder/b.py", "folder/long-" + "x" * 200 + ".py", "folder/sub/c.py", "ü.py"]
    root = plant(dict.fromkeys(names, ""))
    git(root, "init", "-q", f"--object-format={digest}")
    git(root, "-c", f"index.version={version}", "add", ".")
    if version == 3:  # an entry with extended flags makes it one
        plant({"later.py": ""})
        git(root, "add", "-N", "later.py")
    repository = Repository(root)
    assert all(repository.tracks(name, folder=False) for name in names)
    assert repository.tracks("folder", folder=True)
    assert repository.tracks("folder/sub", folder=True)
    assert not repository.tracks("folder/b", folder=False)
    assert not repository.tracks("sub", folder=True)


def test_a_damaged_git_index_is_no_reason_to_fail(plant: Plant) -> None:
    root = plant(
        {".git/HEAD": "ref: refs/heads/main\n", ".git/index": b"DIRC\0\0\0\2\0\0\0\x09abc", "a.py": ""}
    )
    plant({".gitignore": "a.py\n"})
    assert paths(walk(root)) == []


def test_ignore_rules_hold_from_the_top_of_the_repository(plant: Plant, no_user_settings: Path) -> None:
    top = plant(
        {
            ".git/HEAD": "ref: refs/heads/main\n",
            ".git/info/exclude": "private.py\n",
            ".gitignore": "/pkg/made.py\n*.tmp.py\n",
            "pkg/made.py": "",
            "pkg/a.tmp.py": "",
            "pkg/private.py": "",
            "pkg/global.py": "",
            "pkg/a.py": "",
            "pkg/sub/made.py": "",
        }
    )
    (no_user_settings / "ignore").write_text("global.py\n")
    (no_user_settings / ".gitconfig").write_text("[core]\n\texcludesFile = ~/ignore\n")
    assert paths(walk(top / "pkg")) == ["a.py", "sub/made.py"]
    assert paths(walk(top)) == ["pkg/a.py", "pkg/sub/made.py"]


def test_a_root_that_is_ignored_itself_can_be_searched(plant: Plant) -> None:
    top = plant(
        {".git/HEAD": "ref: x\n", ".gitignore": "scratch/\n", "scratch/a.py": "", "scratch/b/c.py": ""}
    )
    assert paths(walk(top / "scratch")) == ["a.py", "b/c.py"]
    assert paths(walk(top / "scratch" / "b")) == ["c.py"]


def test_a_worktree_finds_its_repository(plant: Plant) -> None:
    top = plant(
        {
            "main/.git/HEAD": "ref: x\n",
            "main/.git/info/exclude": "x.py\n",
            "main/.git/worktrees/w/HEAD": "ref: y\n",
            "main/.git/worktrees/w/commondir": "../..\n",
            "w/x.py": "",
            "w/y.py": "",
        }
    )
    (top / "w/.git").write_text(f"gitdir: {top / 'main/.git/worktrees/w'}\n")
    assert paths(walk(top / "w")) == ["y.py"]


def test_one_path_gets_the_answer_of_the_walk(plant: Plant) -> None:
    root = plant(
        {
            ".gitignore": "*.gen.py\nout/\n",
            "sub/.gitignore": "local.py\n",
            ".modstarignore": "!lib/vendor/\n",
            "a.py": "",
            "a.gen.py": "",
            "out/a.py": "",
            "sub/local.py": "",
            "sub/a.py": "",
            "lib/vendor/a.py": "",
            "vendor/a.py": "",
            "logo.png": "",
            "web/package.json": "",
            "web/dist/a.js": "",
        }
    )
    everything = [found.relative_to(root).as_posix() for found in sorted(root.rglob("*")) if found.is_file()]
    assert [path for path in everything if is_allowed(root, path)] == paths(walk(root))
    assert is_allowed(root, "sub/not-yet.py")
    assert not is_allowed(root, "out/not-yet.py")
    assert not is_allowed(root, "../a.py")
    assert not is_allowed(root, "/etc/passwd")
    assert not is_allowed(root, "")


def test_of_many_files_each_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in range(20):
        (tmp_path / f"package_{folder}").mkdir()
        for file in range(50):
            (tmp_path / f"package_{folder}" / f"module_{file}.py").touch()
    (tmp_path / ".gitignore").write_text("*.log\nbuild/\n/docs/_build/\n*.py[cod]\n")
    listed: list[str] = []

    def counted(path: str | Path) -> Any:
        listed.append(os.fspath(path))
        return scandir(path)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", counted)
    assert len(walk(tmp_path).files) == 1000
    assert len(listed) == len(set(listed)) == 21


@needs_git
def test_linked_worktrees_inside_are_left_out(plant: Plant) -> None:
    root = plant({"a.py": "", "sub/b.py": ""})
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "x")
    for folder in ("wt", ".claude/worktrees/agent-1"):
        git(root, "worktree", "add", "-q", folder)
    found = walk(root)
    assert paths(found) == ["a.py", "sub/b.py"]
    assert reasons(found) == {"wt/": "worktree", ".claude/worktrees/agent-1/": "worktree"}
    assert not is_allowed(root, "wt/a.py")
    assert paths(walk(root / "wt")) == ["a.py", "sub/b.py"]  # asked for by itself
    plant({".modstarignore": "!wt/\n"})
    assert "wt/a.py" in paths(walk(root))


@needs_git
def test_a_worktree_that_holds_another_leaves_it_out(plant: Plant) -> None:
    top = plant({"main/a.py": ""})
    git(top / "main", "init", "-q")
    git(top / "main", "add", ".")
    git(top / "main", "commit", "-qm", "x")
    git(top / "main", "worktree", "add", "-q", "../other")
    git(top / "other", "worktree", "add", "-q", "inner")
    assert reasons(walk(top / "other")) == {"inner/": "worktree"}


@needs_git
def test_a_clone_inside_is_searched_and_its_own_excludes_hold(plant: Plant) -> None:
    root = plant(
        {"a.py": "", "made.py": "", "nested/b.py": "", "nested/made.py": "", "nested/sub/made.py": ""}
    )
    git(root, "init", "-q")
    git(root / "nested", "init", "-q")
    plant({"nested/.git/info/exclude": "made.py\n"})
    assert paths(walk(root)) == ["a.py", "made.py", "nested/b.py"]
    assert not is_allowed(root, "nested/sub/made.py")
    assert is_allowed(root, "made.py")


@needs_git
def test_a_submodule_has_excludes_of_its_own(plant: Plant) -> None:
    top = plant({"library/b.py": "", "main/a.py": ""})
    for name in ("library", "main"):
        git(top / name, "init", "-q")
        git(top / name, "add", ".")
        git(top / name, "commit", "-qm", "x")
    adding = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(top / "library"), "lib")
    git(top / "main", *adding)
    assert (top / "main/lib/.git").is_file()
    plant({"main/.git/modules/lib/info/exclude": "made.py\n", "main/lib/made.py": ""})
    assert paths(walk(top / "main")) == ["a.py", "lib/b.py"]


HUNG = """
import sys
from pathlib import Path
from typing import Any
from modstar_lsp.files import is_allowed, walk
from modstar_lsp.files.repository import other_worktrees
root = Path(sys.argv[1])
print([file.path for file in walk(root).files], is_allowed(root, "src/a.py"), len(other_worktrees(root)))
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
@pytest.mark.parametrize("what", ["pipe", "link to a pipe", "endless", "sparse"])
@pytest.mark.parametrize(
    "place",
    [
        ".gitignore",
        "src/.gitignore",
        "src/.modstarignore",
        ".git/info/exclude",
        ".git/commondir",
        ".git/index",
        ".git/worktrees/x/gitdir",
        "src/.git",
    ],
)
def test_what_never_ends_is_not_read(plant: Plant, place: str, what: str, no_user_settings: Path) -> None:
    root = plant({".git/HEAD": "ref: x\n", ".git/worktrees/x/HEAD": "ref: x\n", "src/a.py": "", "b.py": ""})
    odd = root / place
    odd.parent.mkdir(parents=True, exist_ok=True)
    if what == "pipe":
        os.mkfifo(odd)
    elif what == "link to a pipe":
        os.mkfifo(root / "pipe.bin")
        odd.symlink_to(root / "pipe.bin")
    elif what == "endless":
        odd.symlink_to("/dev/zero")
    else:
        with odd.open("wb") as file:
            file.truncate(20_000_000_000)
    command = "ulimit -v 2000000; exec " + shlex.join([sys.executable, "-c", HUNG, str(root)])
    asked = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert asked.stdout == "['b.py', 'src/a.py'] True 0\n", asked.stderr
