"""What is measured is kept beside what was measured before."""

from __future__ import annotations

from pathlib import Path

from evaluation.record import Record


def test_a_second_record_of_a_day_leaves_the_first(tmp_path: Path) -> None:
    written = []
    for value in (1, 2, 3):
        record = Record("worth", "python -m bench.worth", "0123456789", {})
        record.tables.append(f"value {value}")
        written.append(record.write(tmp_path))
    assert len(set(written)) == 3
    for value, file in enumerate(written, 1):
        assert f"value {value}" in file.read_text("utf-8")
        assert file.with_suffix(".json").is_file()
