"""`python -m train.data` as a user runs it: sources in, a corpus out, nothing lost when it is killed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from functools import partial
from pathlib import Path

import pytest

from train.data import CorpusError, read_corpus, read_lines
from train.data.functions import definitions
from train.data.harvest import Entry, Harvest, Settings, run
from train.data.history import is_about, subject_of
from train.data.sources import SourceError, is_wanted, opened

MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software"
GPL = "GNU GENERAL PUBLIC LICENSE Version 3"


def function(name: str, topic: str) -> str:
    return (
        f'def {name}(path, {topic}s):\n    """Reads every {topic} of a file that is listed in the table."""\n'
        f"    found = []\n    for {topic} in {topic}s:\n        if {topic} in open(path).read():\n"
        f"            found.append({topic}.strip('{name}'))\n"
        f"    return sorted(found, key=lambda one: one.{topic}_{name})\n\n\n"
    )


def tree(root: Path, licence: str = MIT, topics: tuple[str, ...] = ("apple", "pear", "plum")) -> Path:
    (root / "src").mkdir(parents=True)
    (root / "LICENSE").write_text(licence)
    for topic in topics:
        (root / "src" / f"{topic}.py").write_text("import os\n\n\n" + function(f"read_{topic}", topic))
    (root / "src" / "test_it.py").write_text(function("test_it", "cherry"))
    return root


def harvest(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "train.data", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )


def rows(out: Path, kind: str = "functions") -> list[dict[str, str]]:
    return [json.loads(line) for file in sorted(out.glob(f"{kind}-*.jsonl.zst")) for line in read_lines(file)]


def in_process(out: Path, *specs: object, **options: Path) -> dict[str, Entry]:
    made = Harvest(out, Settings(), **options)
    open_source = partial(opened, is_excluded=made.excluded.covers, repositories=out.parent)
    run(made, [str(spec) for spec in specs], open_source, lambda line: None)
    return made.done


def test_a_folder_becomes_a_corpus_that_training_reads(tmp_path: Path) -> None:
    done = harvest("harvest", "--out", tmp_path / "out", tree(tmp_path / "fruit"))
    assert done.returncode == 0 and "3 functions (python 3)" in done.stdout
    pairs, report = read_corpus(tmp_path / "out")
    assert report.broken == 0 and {pair.name for pair in pairs} == {"read_apple", "read_pear", "read_plum"}
    assert {(pair.licence, pair.source, pair.path.split("/")[0]) for pair in pairs} == {
        ("MIT", "fruit", "src")
    }
    assert all("Reads every" in pair.query and "Reads every" not in pair.code for pair in pairs)
    (window,) = rows(tmp_path / "out" / "windows", "windows")
    assert window["src"] == "fruit" and len(window["snippets"]) == len(window["paths"]) == 3


def test_archives_and_repositories_are_read_like_folders(tmp_path: Path) -> None:
    fruit = tree(tmp_path / "own+fruit")
    with tarfile.open(tmp_path / "nuts-1.0.tar.xz", "w:xz") as archive:
        archive.add(tree(tmp_path / "nuts", topics=("walnut",)), "nuts-1.0")
    with zipfile.ZipFile(tmp_path / "berries.whl", "w") as wheel:
        wheel.writestr("berries/a.py", function("read_berry", "berry"))
        wheel.writestr("berries-1.dist-info/METADATA", "Name: berries\nVersion: 1\nLicense-Expression: MIT\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(fruit)]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "Start"]):
        subprocess.run(git + command, check=True, capture_output=True)
    apple = fruit / "src" / "apple.py"
    apple.write_text(apple.read_text().replace("if apple in", "if apple not in"))
    subprocess.run(
        [*git, "commit", "-qam", "fix(read): skip the apples that were listed twice (#12)"], check=True
    )
    out = tmp_path / "out"
    done = in_process(out, "git:own/fruit", tmp_path / "nuts-1.0.tar.xz", tmp_path / "berries.whl")
    assert not [entry.failed for entry in done.values() if entry.failed]
    assert {(row["name"], row["src"]) for row in rows(out)} == {
        ("read_apple", "own+fruit"), ("read_pear", "own+fruit"), ("read_plum", "own+fruit"),
        ("read_walnut", "nuts-1.0"), ("read_berry", "berries"),
    }  # fmt: skip
    (commit,) = rows(out, "commits")
    assert commit["text"] == "skip the apples that were listed twice" and commit["name"] == "read_apple"
    assert "not in" in commit["code"] and len(commit["commit"]) == 12


def test_copyleft_unknown_and_bundled_code_stays_out(tmp_path: Path) -> None:
    out = tmp_path / "out"
    bundled = tree(tmp_path / "mixed")
    (bundled / "src" / "vendor").mkdir()
    (bundled / "src" / "vendor" / "melon.py").write_text(function("read_melon", "melon"))
    (bundled / "src" / "fig.py").write_text(
        "# SPDX-License-Identifier: GPL-2.0\n" + function("read_fig", "fig")
    )
    bare = tree(tmp_path / "bare", topics=("kiwi",))
    (bare / "LICENSE").unlink()
    in_process(out, tree(tmp_path / "gpl", GPL, ("lime",)), bare, bundled)
    assert {row["name"] for row in rows(out)} == {"read_apple", "read_pear", "read_plum"}


def test_a_folder_below_its_licence_is_refused_by_naming_the_licence(tmp_path: Path) -> None:
    fruit = tree(tmp_path / "fruit")
    done = harvest("harvest", "--out", tmp_path / "out", fruit / "src")
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 1
    assert f"its licence lies above it ({fruit / 'LICENSE'}): harvest {fruit}" in done.stdout
    assert rows(tmp_path / "out") == []
    (fruit / "src" / "fig.py").write_text("# SPDX-License-Identifier: MIT\n" + function("read_fig", "fig"))
    assert harvest("harvest", "--again", "--out", tmp_path / "out", fruit / "src").returncode == 0
    assert [row["name"] for row in rows(tmp_path / "out")] == ["read_fig"]


def test_near_copies_of_another_source_are_made_once(tmp_path: Path) -> None:
    out = tmp_path / "out"
    in_process(out, tree(tmp_path / "one"), tree(tmp_path / "two"))
    assert {row["src"] for row in rows(out)} == {"one"} and len(rows(out)) == 3
    in_process(tmp_path / "more", tree(tmp_path / "three", topics=("apple", "quince")), against=out)
    assert [row["name"] for row in rows(tmp_path / "more")] == ["read_quince"]


def test_evaluation_sets_stay_out(tmp_path: Path) -> None:
    sets = tmp_path / "eval" / "some"
    sets.mkdir(parents=True)
    (sets / "corpus.jsonl").write_text(json.dumps({"id": 1, "code": function("read_pear", "pear")}))
    listed = tmp_path / "exclude.txt"
    listed.write_text("own/nuts\n")
    fruit = tree(tmp_path / "fruit")
    (fruit / "src" / "nuts").mkdir()
    (fruit / "src" / "nuts" / "a.py").write_text(function("read_almond", "almond"))
    done = in_process(
        tmp_path / "out", fruit, tree(tmp_path / "own+nuts"), evaluation=tmp_path / "eval", exclude=listed
    )
    assert {row["name"] for row in rows(tmp_path / "out")} == {"read_apple", "read_plum"}
    assert "excluded" in done[str(tmp_path / "own+nuts")].failed


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    out, first, second = (
        tmp_path / "out",
        tree(tmp_path / "one"),
        tree(tmp_path / "two", topics=("quince", "medlar")),
    )
    in_process(out, first)
    whole = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    in_process(out, second)
    uncut = {file: file.read_bytes() for file in out.rglob("*.zst")}
    # Killed while the second source was being written: some files grown, the manifest's line half there.
    for file, content in whole.items():
        file.write_bytes(content + (b'{"spec": "half' if file.name == "manifest.jsonl" else b"half a frame"))
    in_process(out, first, second)
    assert {file: file.read_bytes() for file in out.rglob("*.zst")} == uncut
    assert len(rows(out)) == 5


def test_a_stopped_run_leaves_nothing_unpacked(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    specs = []
    for name in ("one", "two", "three"):
        specs.append(str(tmp_path / f"{name}.tar"))
        with tarfile.open(specs[-1], "w") as archive:
            archive.add(tree(tmp_path / name, topics=(name,)), name)

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Harvest(tmp_path / "out", Settings()), specs, partial(opened, scratch=scratch), stop)
    assert not list(scratch.iterdir()) and len(rows(tmp_path / "out")) == 1


def test_a_source_that_cannot_be_read_is_one_line_and_the_rest_is_taken(tmp_path: Path) -> None:
    (tmp_path / "broken.tar.gz").write_bytes(b"\x1f\x8bnot at all")
    done = harvest(
        "harvest",
        "--out",
        tmp_path / "out",
        tmp_path / "broken.tar.gz",
        tmp_path / "absent",
        tree(tmp_path / "ok"),
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr + done.stdout
    assert len(done.stdout.splitlines()) == 3 and "3 functions" in done.stdout
    assert "cannot be unpacked" in done.stdout and "no such file" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["harvest", "--out", "out"],
        ["harvest", "--out", "out", "--list", "absent.txt"],
        ["harvest", "--out", "out", "--evaluation", "absent", "x"],
        ["harvest", "--out", "out", "--most", "-1", "x"],
        ["show", "--out", "out"],
        ["summary", "--out", "out"],
    ],
)
def test_wrong_use_is_one_clear_line(tmp_path: Path, arguments: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(
        [sys.executable, "-m", "train.data", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert (
        done.returncode == 2
        and len(done.stderr.strip().splitlines()) == 1
        and done.stderr.startswith("train.data: ")
    )


def test_another_programs_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "manifest.jsonl").write_text('{"name": "else"}\n')
    with pytest.raises(CorpusError, match="manifest"):
        Harvest(tmp_path, Settings())


def test_an_archive_cannot_write_elsewhere(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        for name in ("a/../../out.py", "/tmp/out.py", "a/ok.py"):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"x=1\n"))
        link = tarfile.TarInfo("a/link.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with opened(str(tmp_path / "evil.tar"), tmp_path) as found:
        assert found.files == ["ok.py", "tmp/out.py"]
    assert not Path("/tmp/out.py").exists()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["evil.tar"]


def test_a_packages_name_is_no_command(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a package"), opened("npm:--eval=x y", tmp_path):
        pass


def test_a_subject_that_shares_no_word_with_a_function_is_not_about_it() -> None:
    (close,) = definitions("python", b"def close(self):\n    self.socket.shutdown()\n")
    assert is_about("Stop leaking sockets", close) and is_about("Allow closing twice", close)
    assert not is_about("Use the new logo on this page", close)


@pytest.mark.parametrize("path", ["a/b.py", "lib/x.go", "Main.java"])
def test_wanted(path: str) -> None:
    assert is_wanted(path)


@pytest.mark.parametrize(
    "path",
    [
        "a/tests/b.py",
        "test_b.py",
        "x_test.go",
        "a.spec.ts",
        "FooTest.java",
        "vendor/a.go",
        "a.min.js",
        "a.pb.go",
        "a.md",
        "x.d.ts",
    ],
)
def test_not_wanted(path: str) -> None:
    assert not is_wanted(path)


@pytest.mark.parametrize(
    ("line", "subject"),
    [
        (
            "[KAFKA-123] Avoid copying the buffer when it is not full (#45)",
            "Avoid copying the buffer when it is not full",
        ),
        ("feat(parser): Accept a trailing comma in lists", "Accept a trailing comma in lists"),
        ("GH-77: Close the socket if the handshake fails.", "Close the socket if the handshake fails"),
        ("Merge pull request #1 from a/b", ""),
        ("Fix typo in the docs of the parser", ""),
        ("Bump version to 1.2.3 for release", ""),
        ("wip", ""),
    ],
)
def test_commit_subjects(line: str, subject: str) -> None:
    assert subject_of(line) == subject
