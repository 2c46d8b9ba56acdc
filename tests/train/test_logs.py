"""Work that takes long says how far it is; work that does not says nothing."""

from __future__ import annotations

import pytest

from train import logs


def test_long_work_tells_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logs, "SILENT", 0.0)
    assert list(logs.counted("abc", "letters read", 3)) == ["a", "b", "c"]
    told = capsys.readouterr()
    assert not told.out
    assert [line.split(",")[0] for line in told.err.splitlines()] == [
        "letters read: 1 of 3",
        "letters read: 2 of 3",
        "letters read: 3 of 3",
    ]


def test_short_work_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(logs.counted([1, 2], "numbers")) == [1, 2]
    assert not capsys.readouterr().err
