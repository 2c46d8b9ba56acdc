"""A walk that knows what folders held before finds exactly what one finds that knows nothing."""

from __future__ import annotations

import marshal
import os
import random
import shutil
import subprocess
import sys
import time
from binascii import crc32
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from planting import Plant

from modstar_lsp.files import Walk, listings, walk
from modstar_lsp.files.rules import WalkRules

# More than the clock of a file system ticks
A_TICK = 0.015

PATTERNS = ["*.log", "/a", "b/", "!c.py", "d*", "src/**/x.py", "# nothing", "a/b/c.py", "*", "!*.py"]
NAMES = ["a", "b", "c.py", "d.py", "e.go", "x.py", "y.log", "vendors", "build", "package.json", "pyvenv.cfg"]
RULES = [
    ".gitignore",
    ".modstarignore",
    "a/.gitignore",
    "b/a/.gitignore",
    ".git/info/exclude",
    "../.gitignore",
    "../.modstarignore",
]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets everything that is older than a tick count as old, and every listing be worth keeping."""
    monkeypatch.setattr(listings, "_TICK", int(A_TICK * 1e9 / 2))
    monkeypatch.setattr(listings, "_WORTH_WRITING", 0)
    monkeypatch.setattr(listings, "_WORTH_SHARE", 0.0)
    monkeypatch.setattr(listings, "_file_system", lambda folder: "ext4")


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many folders of the test were listed since the last time of asking."""
    told: list[object] = []
    scandir = os.scandir

    def counting(folder: str) -> object:
        if str(folder).startswith(str(tmp_path)):
            told.append(folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", counting)

    def since() -> int:
        count = len(told)
        told.clear()
        return count

    return since


def git(root: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a", *arguments],
        check=False,
        capture_output=True,
    )


def change(root: Path, chance: random.Random) -> None:
    """Does one of the things that people and programs do to trees."""
    folders = [
        root,
        *(path for path in sorted(root.rglob("*")) if path.is_dir() and ".git" not in path.parts),
    ]
    folder = chance.choice(folders)
    target = folder / chance.choice(NAMES)
    inside = [path for path in sorted(root.rglob("*")) if ".git" not in path.parts]
    any_path = chance.choice(inside or [target])
    with suppress(OSError):
        match chance.randrange(14):
            case 0 | 1:
                target.write_text("x = 1\n" * chance.randrange(3))
            case 2:
                target.mkdir()
                (target / chance.choice(NAMES)).write_text("y")
            case 3:
                shutil.rmtree(any_path) if any_path.is_dir() else any_path.unlink()
            case 4:
                any_path.rename(target)
            case 5:
                lines = chance.sample(PATTERNS, 3)
                (root / chance.choice(RULES)).write_text("\n".join(lines))
            case 6:
                (root / chance.choice(RULES)).unlink()
            case 7:
                target.symlink_to(any_path)
            case 8:
                any_path.chmod(chance.choice([0o644, 0o755]))
            case 9:
                git(
                    root,
                    *chance.choice(
                        [("add", "-A"), ("add", "-f", str(any_path)), ("rm", "--cached", "-rq", ".")]
                    ),
                )
            case 10:
                git(folder, "init", "-q")
                (folder / ".git/info/exclude").write_text(chance.choice(PATTERNS))
            case 11:
                any_path.write_bytes(b"z" * chance.choice([10, 120_000, 1_100_000]))
            case 12:
                places = [root / ".git", root.parent / ".git"]
                chance.shuffle(places)
                places[0].rename(places[1])
            case 13:
                other = chance.choice(folders)
                if not folder.is_relative_to(other) and not other.is_relative_to(folder):
                    folder.rename(root.parent / "aside")
                    other.rename(folder)
                    (root.parent / "aside").rename(other)


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("seed", range(16))
def test_it_finds_what_a_walk_finds_that_knows_nothing(plant: Plant, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    root = plant(
        {f"{folder}{name}": "" for folder in ("", "a/", "b/a/", "src/d/") for name in ("c.py", "x.py")}
    )
    if seed % 3:
        git(root if seed % 3 == 1 else tmp_path, "init", "-q")
    kept = tmp_path / "kept.bin"
    for step in range(25):
        found = walk(root, kept=kept)
        assert found == walk(root), (seed, step)
        time.sleep(A_TICK)
        assert walk(root, kept=kept) == found, (seed, step)
        for _ in range(chance.randrange(1, 4)):
            change(root, chance)


@pytest.mark.usefixtures("later")
def test_a_tree_of_folders_is_remembered_too(plant: Plant, tmp_path: Path, listed: Callable[[], int]) -> None:
    root = plant({"a.py": ""})
    for number in range(9):
        (root / f"{number}/{number}").mkdir(parents=True)
    kept = tmp_path / "kept.bin"
    with pytest.MonkeyPatch.context() as larger:
        larger.setattr(listings, "_WORTH_WRITING", 19)
        time.sleep(A_TICK)
        walk(root, kept=kept)
        assert listed() == 19
        walk(root, kept=kept)
        assert listed() == 0


@pytest.mark.usefixtures("later")
def test_only_what_changed_is_listed_again(plant: Plant, tmp_path: Path, listed: Callable[[], int]) -> None:
    root = plant({f"folder{number}/{name}.py": "" for number in range(20) for name in "abc"})
    kept = tmp_path / "kept.bin"
    time.sleep(A_TICK)
    walk(root, kept=kept)
    assert listed() == 21
    walk(root, kept=kept)
    assert listed() == 0
    (root / "folder3/new.py").write_text("")
    (root / "folder4/a.py").write_text("in place")
    found = walk(root, kept=kept)
    assert listed() == 1
    assert "folder3/new.py" in {file.path for file in found.files}
    assert next(file.size for file in found.files if file.path == "folder4/a.py") == 8
    time.sleep(A_TICK)
    walk(root, kept=kept)
    (root / "folder5/.gitignore").write_text("*.py\n")
    walk(root, kept=kept)
    assert listed() == 2  # folder3, which had only just changed, and folder5
    walk(root, kept=kept, exclude=["a.py"])
    assert listed() == 21  # other bounds


@pytest.mark.usefixtures("later")
def test_rules_that_change_hold_for_all_that_is_below(plant: Plant, tmp_path: Path) -> None:
    root = plant({".gitignore": "*.log\n", "a/b/c/x.py": "", "a/y.py": "", "z.py": ""})
    kept = tmp_path / "kept.bin"
    time.sleep(A_TICK)
    assert len(walk(root, kept=kept).files) == 3
    (root / ".gitignore").write_text("x.py\n")
    assert [file.path for file in walk(root, kept=kept).files] == ["a/y.py", "z.py"]
    time.sleep(A_TICK)
    (root / "a/.gitignore").write_text("y.py\n")
    assert [file.path for file in walk(root, kept=kept).files] == ["z.py"]


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("rules", [".gitignore", "a/.gitignore", ".git/info/exclude", ".git/index"])
def test_rules_that_have_just_changed_are_read_again(
    plant: Plant,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    listed: Callable[[], int],
    rules: str,
) -> None:
    root = plant({".git/HEAD": "", "a/b/c.py": "", "d/e.py": "", rules: "*.log\n#"})
    time.sleep(A_TICK)
    walk(root, kept=tmp_path / "kept.bin")
    walk(root, kept=tmp_path / "kept.bin")
    assert listed() == 4
    # Written so lately that it could be written again without a trace
    monkeypatch.setattr(
        listings.Listings,
        "settled",
        lambda _, states: all(state is None or state[0] != 7 for state in states),
    )
    (root / rules).write_text("*.log\n#")
    for _ in range(3):
        walk(root, kept=tmp_path / "kept.bin")
        # What git tracks has no part in it where nothing is ignored.
        assert listed() == {"a/.gitignore": 2, ".git/index": 0}.get(rules, 4)


@pytest.mark.usefixtures("later")
def test_a_folder_becomes_a_worktree_of_the_same_repository(plant: Plant, tmp_path: Path) -> None:
    root = plant(
        {
            ".git/HEAD": "ref: refs/heads/main\n",
            ".git/worktrees/other/HEAD": "ref: refs/heads/other\n",
            "other/.git": "gitdir: /somewhere/else\n",
            "other/a.py": "",
        }
    )
    kept = tmp_path / "kept.bin"
    time.sleep(A_TICK)
    assert [file.path for file in walk(root, kept=kept).files] == ["other/a.py"]
    (root / "other/.git").write_text(f"gitdir: {root / '.git/worktrees/other'}\n")
    assert [(skipped.path, skipped.reason) for skipped in walk(root, kept=kept).skipped] == [
        ("other/", "worktree")
    ]
    (root / "other/.git").write_text("gitdir: /somewhere/else\n")
    assert [file.path for file in walk(root, kept=kept).files] == ["other/a.py"]


def test_a_folder_that_has_just_changed_is_listed_again(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: Callable[[], int]
) -> None:
    monkeypatch.setattr(listings, "_WORTH_WRITING", 0)
    root = plant({"a.py": "", "b/c.py": ""})
    kept = tmp_path / "kept.bin"
    for _ in range(3):
        walk(root, kept=kept)
        assert listed() == 2


@pytest.mark.usefixtures("later")
def test_nothing_is_kept_of_a_file_system_that_is_not_known(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "_file_system", lambda folder: "nfs4")
    monkeypatch.setattr(listings.sys, "platform", "linux")
    root = plant({"a.py": "", "b/c.py": ""})
    time.sleep(A_TICK)
    walk(root, kept=tmp_path / "kept.bin")
    assert not (tmp_path / "kept.bin").exists()


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "foreign", "folder"])
def test_what_is_damaged_is_not_believed(plant: Plant, tmp_path: Path, damage: str) -> None:
    root = plant({f"{number}/a.py": "" for number in range(9)})
    kept = tmp_path / "kept.bin"
    time.sleep(A_TICK)
    before: Walk = walk(root, kept=kept)
    data = kept.read_bytes()
    kept.unlink()
    if damage == "folder":
        kept.mkdir()
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        kept.write_bytes(
            {"flip": flipped, "cut": data[:middle], "empty": b"", "foreign": b"#!/bin/sh\n"}[damage]
        )
    assert walk(root, kept=kept) == before


def test_the_file_systems_are_told_apart() -> None:
    if not Path("/proc/self/mounts").exists():
        pytest.skip("the system does not tell what is mounted where")
    assert listings._file_system(Path("/proc/self")) == "proc"
    assert listings._file_system(Path("/procession")) != "proc"


def in_namespace(tmp_path: Path, script: str) -> None:
    """Runs Python with mounts of its own, where the system lets us make some."""
    program = f"""
import os, subprocess, sys, time
from pathlib import Path
from modstar_lsp.files import listings, walk
A_TICK = {A_TICK}
listings._TICK = int(A_TICK * 1e9 / 2)
listings._WORTH_WRITING, listings._WORTH_SHARE = 0, 0.0
def sh(command): subprocess.run(command, shell=True, check=True)
{script}
"""
    unshare = ["unshare", "--map-root-user", "--mount"]
    try:
        subprocess.run([*unshare, "mount", "-t", "tmpfs", "none", tmp_path], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nothing may be mounted here")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [*unshare, sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr


def test_the_mount_is_asked_for_whatever_others_are_called_or_lie_below(tmp_path: Path) -> None:
    in_namespace(
        tmp_path,
        r"""
sh("mkdir -p hidden/self")
for name in ("a\x0cb", "c\u2028d", "e f\ng", "hidden/self"):
    os.makedirs(name, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", name], check=True)
sh("mount --rbind /proc hidden")
assert listings._file_system(Path("e f\ng")) == "tmpfs"
assert listings._file_system(Path("hidden/self")) == "proc"
""",
    )


def test_what_is_mounted_over_a_folder_is_found(tmp_path: Path) -> None:
    in_namespace(
        tmp_path,
        """
sh("mount -t tmpfs none . ")
os.chdir(os.getcwd())
sh("mkdir -p r/a r/b r/disk other; mount -t tmpfs none r/disk; touch r/disk/z.py")
sh(" touch r/a/x.py r/b/y.py other/o.py; echo y.py > ignore; touch r/b/.gitignore")
root, kept = Path("r"), Path("kept")
listed, scandir = [], os.scandir
for change in (
    "true",
    "mount --bind other r/a",
    "mount -t tmpfs none r/b; touch r/b/new.py",
    "touch r/b/newer.py",
    "umount r/b",
    "mount --bind ignore r/b/.gitignore",
    "echo '*.c' > ignore",
    "mount --bind /dev/null r/b/y.py",
    "umount r/b/y.py r/a",
):
    sh(change)
    for _ in range(2):
        assert walk(root, kept=kept) == walk(root), change
        time.sleep(A_TICK)
os.scandir = lambda folder: listed.append(folder) or scandir(folder)
walk(root, kept=kept)
assert [folder for folder in listed if "r/" in str(folder)] == [os.path.abspath("r/disk")]
""",
    )


def test_layers_that_are_laid_over_each_other_are_not_believed(tmp_path: Path) -> None:
    in_namespace(
        tmp_path,
        """
sh("mount -t tmpfs none .")
os.chdir(os.getcwd())
sh("mkdir -p low/a up work r; touch low/a/x.py")
over = "mount -t overlay -o lowerdir=low,upperdir=up,workdir=work none r"
if subprocess.run(over, shell=True).returncode:
    sys.exit()
sh("touch r/a/y.py")
time.sleep(A_TICK)
walk(Path("r"), kept=Path("kept"))
sh("umount r; touch low/a/new.py; " + over)
assert walk(Path("r"), kept=Path("kept")) == walk(Path("r"))
""",
    )


@pytest.mark.usefixtures("later")
def test_a_time_that_somebody_set_changes_nothing(
    plant: Plant, tmp_path: Path, listed: Callable[[], int]
) -> None:
    root = plant({".gitignore": "*.log\n", "a/b.py": "", "c/d.py": ""})
    kept = tmp_path / "kept.bin"
    for name in (".gitignore", "a"):
        os.utime(root / name, (4e9, 4e9))
    os.utime(root / "c", (1e9, 1e9))
    time.sleep(A_TICK)
    walk(root, kept=kept)
    walk(root, kept=kept)
    assert listed() == 3
    for name in ("a", "c"):
        before = (root / name).stat().st_mtime_ns
        (root / name / "new.py").touch()
        os.utime(root / name, ns=(before, before))
        assert f"{name}/new.py" in {file.path for file in walk(root, kept=kept).files}


@pytest.mark.usefixtures("later")
def test_what_git_tracks_is_asked_again_where_its_index_has_just_changed(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: Callable[[], int]
) -> None:
    root = plant({".git/HEAD": "", ".git/index": "", ".gitignore": "c.py", "a/b/c.py": "", "d/e.py": ""})
    time.sleep(A_TICK)
    walk(root, kept=tmp_path / "kept.bin")
    (root / ".git/index").write_text("changed")
    listed()
    monkeypatch.setattr(
        listings.Listings,
        "settled",
        lambda _, states: all(state is None or state[0] != len("changed") for state in states),
    )
    for _ in range(3):
        walk(root, kept=tmp_path / "kept.bin")
        assert listed() == 1  # a/b


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("asked", ["by another user", "in another encoding", "by other code"])
def test_others_make_their_own(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: Callable[[], int], asked: str
) -> None:
    root = plant({"a.py": "", "b/c.py": ""})
    kept = tmp_path / "kept.bin"
    time.sleep(A_TICK)
    walk(root, kept=kept)
    walk(root, kept=kept)
    assert listed() == 2
    match asked:
        case "by another user":
            monkeypatch.setattr(os, "geteuid", lambda: 4711, raising=False)
        case "in another encoding":
            monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
        case "by other code":
            monkeypatch.setattr(listings, "_code_digest", lambda: 4711)
    walk(root, kept=kept)
    assert listed() == 2


@pytest.mark.usefixtures("later")
def test_a_process_whose_code_was_replaced_keeps_nothing(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: Callable[[], int]
) -> None:
    root = plant({"a.py": "", "b/c.py": ""})
    monkeypatch.setattr(listings, "_CODE_STATES", [(__file__, 1, 2, 3)])
    time.sleep(A_TICK)
    walk(root, kept=tmp_path / "kept.bin")
    assert not (tmp_path / "kept.bin").exists()


@pytest.mark.usefixtures("later")
def test_two_installations_of_the_same_share_what_is_kept(plant: Plant, tmp_path: Path) -> None:
    package = Path(listings.__file__).parents[1]
    root = plant({"a.py": "", "b/c.py": ""})
    time.sleep(A_TICK)
    walk(root, kept=tmp_path / "kept.bin")
    before = (tmp_path / "kept.bin").stat().st_ino
    shutil.copytree(package, tmp_path / "elsewhere" / package.name, ignore=lambda folder, names: {"bundles"})
    program = f"""
from pathlib import Path
from modstar_lsp.files import listings, walk
assert listings.__file__.startswith({str(tmp_path)!r})
listings._TICK, listings._WORTH_WRITING = 1, 0
listings._file_system = lambda folder: "ext4"
walk(Path({str(root)!r}), kept=Path({str(tmp_path / "kept.bin")!r}))
"""
    subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "elsewhere")},
        cwd=tmp_path,
        check=True,
    )
    assert (tmp_path / "kept.bin").stat().st_ino == before


@pytest.mark.usefixtures("later")
def test_rules_that_change_while_they_are_read_are_read_again(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = plant({".git/HEAD": "", "a.py": "", "b.py": "", ".git/one": "a.py", ".git/two": "b.py"})
    config = root / ".git/config"
    config.write_text("[core]\nexcludesFile = .git/one\n")
    kept = tmp_path / "kept.bin"
    time.sleep(A_TICK)
    with monkeypatch.context() as meanwhile:
        made = listings.Listings

        def later(rules: WalkRules, file: Path) -> listings.Listings:
            config.write_text("[core]\nexcludesFile = .git/two\n")
            return made(rules, file)

        meanwhile.setattr(sys.modules["modstar_lsp.files.walk"], "Listings", later)
        assert [file.path for file in walk(root, kept=kept).files] == ["b.py"]
    assert [file.path for file in walk(root, kept=kept).files] == ["a.py"]


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(
    "forge",
    [
        lambda whole: None,
        lambda whole: whole[:2],
        lambda whole: (*whole[:2], 3),
        lambda whole: (*whole[:2], {"": 3}),
        lambda whole: (*whole[:2], {"": b"\xff"}),
        lambda whole: (*whole[:2], {"": marshal.dumps((*marshal.loads(whole[2][""])[:5], 1, 2, 3))}),
    ],
)
def test_what_is_forged_costs_a_walk(
    plant: Plant, tmp_path: Path, forge: Callable[[tuple[Any, ...]], Any]
) -> None:
    root = plant({f"{number}/a.py": "" for number in range(9)})
    kept = tmp_path / "kept.bin"
    time.sleep(A_TICK)
    before = walk(root, kept=kept)
    data = marshal.dumps(forge(marshal.loads(kept.read_bytes()[4:])))
    kept.write_bytes(crc32(data).to_bytes(4, "little") + data)
    assert walk(root, kept=kept) == before
    assert not kept.exists()
    assert walk(root, kept=kept) == before
    assert kept.exists()


@pytest.mark.usefixtures("later")
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no FIFOs")
@pytest.mark.parametrize("what", ["FIFO", "link to a device", "link to nothing"])
def test_what_is_no_file_is_not_waited_for(plant: Plant, tmp_path: Path, what: str) -> None:
    root = plant({"a.py": ""})
    kept = tmp_path / "kept.bin"
    if what == "FIFO":
        os.mkfifo(kept)
    else:
        kept.symlink_to("/dev/zero" if what == "link to a device" else "nowhere")
    time.sleep(A_TICK)
    for _ in range(2):
        assert [file.path for file in walk(root, kept=kept).files] == ["a.py"]
    assert kept.is_file()
    assert not kept.is_symlink()
