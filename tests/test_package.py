"""What is installed: the wheel answers by itself, offline, and carries the runtime and its bundle alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Run by the installed program's Python: nothing may open a connection or look up a name.
OFFLINE = """
import sys

def forbid(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise SystemExit(f"tried to reach the network: {event} {arguments}")

sys.addaudithook(forbid)
sys.path.insert(0, sys.argv.pop(1))
from importlib import import_module
module = import_module(f"modstar_lsp.cli.{sys.argv.pop(1)}")
assert module.__file__.startswith(sys.path[0]), module.__file__
sys.exit(module.main())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel, built from a copy of the sources."""
    source = tmp_path_factory.mktemp("source")
    for name in ("modstar", "modstar_lsp"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "docs" / "man", source / "docs" / "man")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    out = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        out,
        source,
    ]
    subprocess.run(build, check=True, timeout=300)
    (wheel,) = out.glob("modstar-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out / "site")
    return out / "site"


def run(installed: Path, command: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", OFFLINE, str(installed), command, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_wheel_holds_the_runtime_its_bundle_and_the_manual_alone(installed: Path) -> None:
    assert {entry.name for entry in installed.iterdir() if entry.suffix not in (".dist-info", ".data")} == {
        "modstar",
        "modstar_lsp",
    }
    (data,) = installed.glob("*.data")
    brought = {file.relative_to(data).as_posix() for file in data.rglob("*") if file.is_file()}
    assert brought == {f"data/share/man/man1/{page.name}" for page in (ROOT / "docs" / "man").iterdir()}
    assert (installed / "modstar/py.typed").is_file()
    assert (installed / "modstar_lsp/bundles/default/modstar.json").is_file()
    assert (installed / "modstar_lsp/py.typed").is_file()


def test_the_wheel_and_its_bundle_stay_small(installed: Path) -> None:
    (wheel,) = installed.parent.glob("modstar-*.whl")
    assert wheel.stat().st_size < 60_000_000
    bundle = installed / "modstar_lsp/bundles/default"
    assert sum(file.stat().st_size for file in bundle.iterdir()) < 70_000_000


def test_an_installed_modstar_indexes_and_answers_offline(installed: Path, tmp_path: Path) -> None:
    indexes = str(tmp_path / "indexes")
    project = str(ROOT / "modstar_lsp")
    made = run(installed, "index", project, "--index-dir", indexes, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    found = run(installed, "query", "merge posting segments", project, "--index-dir", indexes, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert "index/words/segments.py" in found.stdout
    nothing = run(
        installed, "query", "gluon lattice chromodynamics", project, "--index-dir", indexes, cwd=tmp_path
    )
    assert nothing.returncode == 1, nothing.stdout


def test_an_installed_modstar_answers_programs(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "scale.py").write_text("def weigh_parcel(parcel):\n    return parcel.mass * GRAVITY\n")
    program = """
import sys
sys.path.insert(0, sys.argv[1])
import modstar
assert modstar.__file__.startswith(sys.argv[1])
with modstar.open(".", index_dir="indexes") as project:
    print(project.search("weigh a parcel", min_score=0)[0].symbol)
"""
    command = [sys.executable, "-c", program, str(installed)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "weigh_parcel", done.stderr


def test_every_exit_of_the_bundle_answers_offline(installed: Path, tmp_path: Path) -> None:
    from modstar_lsp.encoder import open_bundle

    project = tmp_path / "project"
    project.mkdir()
    (project / "scale.py").write_text("def weigh_parcel(parcel):\n    return parcel.mass * GRAVITY\n")
    (project / "gate.py").write_text("def open_gate(gate):\n    gate.lift()\n")
    for one in open_bundle().exits:
        depth = str(one.depth)
        where = [str(project), "--index-dir", str(tmp_path / f"indexes-{depth}")]
        assert run(installed, "index", *where, "--exit", depth, cwd=tmp_path).returncode == 0
        found = run(
            installed, "query", "weigh a parcel", *where, "--exit", depth, "--min-score", "0", cwd=tmp_path
        )
        assert found.stdout.splitlines()[0].split(":")[0].endswith("scale.py"), (depth, found)
