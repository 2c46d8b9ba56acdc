"""What a folder costs as it grows: the bench as a user runs it on a small one, and its picture."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench import big_tree, scale, scale_picture

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs /proc")


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trees")
    for number in range(30):
        source = root / "set" / f"repo{number % 2}" / f"f{number}.py"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(f"def value_{number}():\n    return {number}\n")
    return root


@pytest.fixture(scope="module")
def record(trees: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    peer = tmp_path_factory.mktemp("peer") / "peer.py"
    peer.write_text(
        "import os, pathlib, sys\n"
        "assert sys.argv[1] == 'search', sys.argv\n"
        "pathlib.Path(os.environ['SEMBLE_CACHE_LOCATION'], 'index').write_bytes(b'x' * 5000)\n"
    )
    out = tmp_path_factory.mktemp("out")
    sizes = ["--trees", str(trees), "--sizes", "0,10", "--rounds", "1", "--out", str(out)]
    command = f"{sys.executable} {peer}"
    assert scale.main([*sizes, "--peer", command, "--peer-model", str(out)]) == 0
    (written,) = out.glob("*-scale-*.json")
    return written


def test_every_part_is_measured_at_every_size(record: Path, trees: Path) -> None:
    raw = json.loads(record.read_text())["results"]["raw"]
    assert list(raw) == ["10", "all"]
    assert 10 <= raw["10"]["indexing"]["chunks"] < raw["all"]["indexing"]["chunks"]
    everything = raw["all"]
    assert everything["indexing"]["files"] == 30
    assert everything["indexing"]["sources"] == sum(file.stat().st_size for file in trees.rglob("*.py"))
    assert everything["indexing"]["private"] > 1e6 and everything["indexing"]["bytes"] > 1000
    assert [len(kind["seconds"]) for kind in everything["process"].values()] == [3, 3]
    assert everything["inside"]["scan_recall"] == 1 and len(everything["inside"]["scan"]) > 1
    assert everything["inside"]["graph_recall"] is None
    assert everything["peer"]["bytes"] == 5000 and len(everything["peer"]["again"]) == 1


def test_a_peer_that_fails_is_told_and_the_rest_goes_on(
    trees: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["--trees", str(trees), "--sizes", "10", "--rounds", "1", "--out", str(tmp_path)]
    command = f"{sys.executable} {tmp_path / 'none.py'}"
    assert scale.main([*sizes, "--peer", command, "--peer-model", str(tmp_path)]) == 0
    assert "ended with 2" in capsys.readouterr().out


def test_a_process_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(scale.Failed, match="given up after 0 s"):
        scale.watched([sys.executable, "-c", "import time; time.sleep(60)"], patience=0.2)


def test_the_picture_shows_both_and_is_the_same_each_time(record: Path, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        assert scale_picture.main([str(record), str(tmp_path / name)]) == 0
    drawn = (tmp_path / "a.svg").read_text("utf-8")
    assert "<!-- modstar -->" in drawn and "<!-- semble -->" in drawn
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_what_is_no_record_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none.json").write_text("[1]")
    assert scale_picture.main([str(tmp_path / "none.json"), str(tmp_path / "out.svg")]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "out.svg").exists()


def test_source_packages_are_laid_out_once_and_what_is_missing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("apt-get", "dpkg-source"):
        (tools / name).write_text(
            f"#!{sys.executable}\n"
            "import pathlib, sys\n"
            "name = sys.argv[-1]\n"
            "if name == 'gone': sys.exit('E: Unable to find a source package for gone')\n"
            "folder = pathlib.Path(f'{name}-1.0'); folder.mkdir(); (folder / 'a.py').write_text('x = 1\\n')\n"
        )
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    packages = tmp_path / "list.txt"
    packages.write_text("# some\nhello\n\ngone\n")
    for _ in range(2):
        assert big_tree.main(["--trees", str(tmp_path / "trees"), "--packages", str(packages)]) == 0
    assert [path.name for path in (tmp_path / "trees" / "debian").iterdir()] == ["hello"]
    assert (tmp_path / "trees" / "debian" / "hello" / "a.py").is_file()
    assert "gone is left out: E: Unable to find" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert big_tree.main(["--trees", str(tmp_path / "trees"), "--packages", str(packages)]) == 2
