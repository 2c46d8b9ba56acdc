"""The walk returns the files that belong to the workspace and says why the others do not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from planting import Plant

from modstar_lsp.errors import WorkspaceError
from modstar_lsp.files import Walk, is_allowed, walk
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
    assert reasons(found) == {"big.py": "larger than 1 MB", "data.yaml": "data"}


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
@pytest.mark.parametrize("version", [2, 3, 4])
def test_every_version_of_the_git_index_is_read(plant: Plant, version: int) -> None:
    names = ["a.py", "folder/b.py", "folder/long-" + "x" * 200 + ".py", "folder/sub/c.py", "ü.py"]
    root = plant(dict.fromkeys(names, ""))
    git(root, "init", "-q")
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


def test_five_thousand_files_are_walked_quickly(tmp_path: Path) -> None:
    for folder in range(100):
        (tmp_path / f"package_{folder}").mkdir()
        for file in range(50):
            (tmp_path / f"package_{folder}" / f"module_{file}.py").touch()
    (tmp_path / ".gitignore").write_text("*.log\nbuild/\n/docs/_build/\n*.py[cod]\n")
    walk(tmp_path)
    started = time.process_time()
    assert len(walk(tmp_path).files) == 5000
    assert time.process_time() - started < 0.5  # about 0.05 s on the machine it was written on
