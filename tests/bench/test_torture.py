"""A torture of seconds: every part does a round, and nothing is lost, wrong, hung or unanswered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.torture.__main__ import main


def test_a_short_run_finds_nothing_and_leaves_its_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = ["damage", "kills", "lsp", "mcp", "hostile", "soak", "served"]
    sizes = ["--minutes", "0.02", "--files", "4", "--only", ",".join(parts)]
    status = main([*sizes, "--out", str(tmp_path)])
    (written,) = tmp_path.glob("*-torture-*.json")
    results = json.loads(written.read_text())["results"]
    assert list(results) == parts
    assert all(sum(part["tried"].values()) for part in results.values())
    assert [part["faults"] for part in results.values()] == [[]] * len(parts)
    assert status == 0
    assert written.with_suffix(".md").is_file()
    assert str(tmp_path) not in written.read_text()


def test_a_run_does_as_many_tries_as_were_asked_for(tmp_path: Path) -> None:
    tries = ["--tries", "damage=3,hostile=2,mcp=40"]
    assert main([*tries, "--files", "4", "--out", str(tmp_path)]) == 0
    (written,) = tmp_path.glob("*-torture-damage-hostile-mcp-*.json")
    results = json.loads(written.read_text())["results"]
    assert {part: sum(one["tried"].values()) for part, one in results.items()} == {
        "damage": 3,
        "hostile": 2,
        "mcp": 40,
    }


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--minutes", "1", "--only", "damage,rust"], "rust"),
        (["--tries", "rust=3"], "rust"),
        (["--tries", "damage=many"], "PART=NUMBER"),
        (["--only", "damage"], "--minutes or --tries"),
        (["--minutes", "1", "--tries", "damage=3"], "--minutes or --tries"),
    ],
)
def test_a_run_that_makes_no_sense_is_told(
    given: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(given)
    assert told in capsys.readouterr().err


def test_a_wrong_answer_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index whose checks are not looked at answers wrongly, and that is seen."""
    from bench.torture import damage
    from modstar_lsp.index.reading import snapshot
    from modstar_lsp.index.vectors import matrix

    def spoil(content: bytearray, at: int, chance: object) -> None:
        for name in (b"load", b"parse", b"send", b"merge"):
            content[:] = content.replace(name + b"_", name[::-1] + b"_")

    monkeypatch.setattr(damage, "KINDS", {"renamed": spoil})
    monkeypatch.setattr(snapshot, "check_of", lambda row: _Anything())
    monkeypatch.setattr(matrix, "check_of", lambda row: _Anything())
    assert main(["--tries", "damage=8", "--files", "4", "--out", str(tmp_path)]) == 1
    (written,) = tmp_path.glob("*-torture-*.json")
    faults = json.loads(written.read_text())["results"]["damage"]["faults"]
    assert any(fault.startswith("silently wrong") for fault in faults)


class _Anything(int):
    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__
