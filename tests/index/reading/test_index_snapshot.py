"""A snapshot stays as it was, whatever is committed meanwhile."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest
from index_fakes import Tree, contents

from modstar_lsp.errors import StoreError


def test_a_held_snapshot_answers_from_its_own_generation(sources: Tree) -> None:
    terms = sources.terms()
    with sources.open() as index:
        sources.refresh(index)
        with index.snapshot() as once:
            before = contents(once, terms)
        with index.snapshot() as held:
            for number in range(12):
                sources.write("src/json_tools.py", f"def quaternion_{number}():\n    return {number}\n")
                sources.write(f"new{number}.py", "brand_new = True\n")
                sources.refresh(index)
            assert contents(held, terms) == before
            with index.snapshot() as newer:
                assert newer.generation > held.generation
                assert "quaternion" in newer.postings(["quaternion"])
            assert contents(held, terms) == before


def test_the_first_question_finds_what_later_ones_find(sources: Tree) -> None:
    """It is answered while the vectors are read; later ones from the vectors in memory."""
    sources.write("src/long.py", "\n\n".join(f"def part_{n}(value):\n    return {n}\n" for n in range(400)))
    with sources.open() as index:
        sources.refresh(index)
        question, other = np.eye(2, index.bundle.indexed, dtype=np.float32)
        some = np.arange(3, dtype=np.int32)

        def answers(*, loaded: bool) -> list[bytes]:
            with sources.open() as fresh, fresh.snapshot() as snapshot:
                if loaded:
                    snapshot.nearest(other, 1)
                    snapshot.nearest(question, 1)
                whole, within = snapshot.nearest(question, 20), snapshot.nearest(question, 2, some)
                return [part.tobytes() for part in (*whole, *within, snapshot.cosines(question, some))]

        assert answers(loaded=False) == answers(loaded=True)


def test_what_a_generation_takes_over_from_the_one_before_is_what_it_would_read(sources: Tree) -> None:
    """Saved files, deepened chunks and questions in any order; the fresh reading is another process's."""
    chance = random.Random(7)
    names = [f"module{number}.py" for number in range(40)]

    def define(name: str, *, further: str = "") -> None:
        body = "".join(f"    {chance.choice('abcdef') * 3}_{n} = open_{n}(value)\n" for n in range(12))
        functions = [f"def {name[:-3]}_{n}(value):\n{body}    return {chance.random()}\n" for n in range(12)]
        sources.write(name, "\n\n".join([*functions, further]))

    for name in names:
        define(name)
    with sources.open() as index:
        sources.refresh(index)
        for turn in range(12):
            with index.snapshot() as before:
                terms = {"value", "module3", "open", *(f"turn{n}" for n in range(turn + 1))}
                kept = contents(before, terms)
                codes = before.quantised().codes.copy()
                if turn % 3:
                    assert len(before.exits) == before.n
                if turn % 4 == 2:
                    index.deepen(sources.encoder, 4, order=range(chance.randrange(400), 440), limit=5)  # type: ignore[arg-type]
                else:
                    define(chance.choice(names), further=f"turn{turn} = 1\n")
                    sources.refresh(index)
                with index.snapshot() as after, sources.open() as other, other.snapshot() as fresh:
                    assert after.generation == fresh.generation > before.generation
                    assert contents(after, terms | {f"turn{turn}"}) == contents(
                        fresh, terms | {f"turn{turn}"}
                    )
                    assert np.array_equal(after.quantised().codes, fresh.quantised().codes)
                    assert np.array_equal(after.quantised().scales, fresh.quantised().scales)
                    assert np.array_equal(after.exits, fresh.exits)
                assert np.array_equal(before.quantised().codes, codes)
                assert contents(before, terms) == kept


def test_without_a_commit_the_snapshot_is_the_same(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        with index.snapshot() as first:
            pass
        with index.snapshot() as second:
            assert second is first
            with index.snapshot() as third:
                assert third is first
        with index.snapshot() as fourth:
            assert fourth.chunks([0])


def test_a_released_snapshot_says_so(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        with index.snapshot() as snapshot:
            pass
        with pytest.raises(StoreError, match="released"):
            snapshot.chunks([0])


def test_an_idle_snapshot_does_not_keep_the_log_from_shrinking(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        with index.snapshot() as snapshot:
            snapshot.postings(["json"])
        for number in range(60):
            sources.write("README.md", "# Words\n\n" + " ".join(f"word{number}x{i}" for i in range(3000)))
            sources.refresh(index)
        log = sources.folder / f"{sources.file.name}-wal"
        assert log.stat().st_size < 5_000_000


def test_threads_share_a_snapshot(sources: Tree) -> None:
    failures: list[BaseException] = []
    terms = sources.terms()
    with sources.open() as index:
        sources.refresh(index)
        with index.snapshot() as snapshot:
            expected = contents(snapshot, terms)

        def ask() -> None:
            try:
                for _ in range(10):
                    with index.snapshot() as snapshot:
                        assert contents(snapshot, terms) == expected
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_the_symbols_of_a_chunk_come_back_as_they_were(sources: Tree) -> None:
    from modstar_lsp.chunking import chunk_file

    with sources.open() as index:
        sources.refresh(index)
        with index.snapshot() as snapshot:
            stored = snapshot.chunks(range(snapshot.n))
    for path in ("src/json_tools.py", "src/net/client.py", "README.md"):
        made = chunk_file(path, (sources.root / path).read_text())
        kept = [chunk for chunk in stored if chunk.path == path]
        assert [(c.start_line, c.end_line, c.kind, c.name, c.scope, c.symbols) for c in kept] == [
            (c.start_line, c.end_line, c.kind, c.name, c.scope, c.symbols) for c in made
        ]
