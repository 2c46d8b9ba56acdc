"""However an index came about, it answers as one made from scratch."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from index_fakes import Tree, contents

NAMES = st.sampled_from(["a.py", "b.py", "lib/a.py", "lib/c.md", "lib/deep/d.txt", "ü.py"])
WORDS = st.sampled_from(["parse_json", "HTTPAdapter", "retry", "naïve", "x1", "upload", "größe"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    parts = []
    for _ in range(draw(st.integers(0, 4))):
        name = draw(WORDS)
        body = " + ".join(draw(st.lists(WORDS, min_size=1, max_size=4)))
        parts.append(f"def {name}(value):\n    {name} = {body}\n    return {name}\n\n\n")
    return "".join(parts) + draw(st.sampled_from(["", "# end\n", "retry = 1\n"]))


class History(RuleBasedStateMachine):
    """Files come, change, move and go; the index is refreshed, deepened, reopened in between."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="modstar-test-"))
        self.tree = Tree(self.base)
        self.index = self.tree.open()
        self.fresh = False

    def present(self) -> list[str]:
        return sorted(
            p.relative_to(self.tree.root).as_posix() for p in self.tree.root.rglob("*") if p.is_file()
        )

    @rule(name=NAMES, text=texts())
    def write(self, name: str, text: str) -> None:
        self.tree.write(name, text)
        self.fresh = False

    @precondition(lambda self: self.present())
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        self.tree.remove(data.draw(st.sampled_from(self.present())))
        self.fresh = False

    @precondition(lambda self: self.present())
    @rule(data=st.data(), name=NAMES)
    def move(self, data: st.DataObject, name: str) -> None:
        self.tree.move(data.draw(st.sampled_from(self.present())), name)
        self.fresh = False

    @rule()
    def reopen(self) -> None:
        self.index.close()
        self.index = self.tree.open()
        assert self.index.notice == ""

    @rule(stop=st.integers(0, 2))
    def refresh_in_part(self, stop: int) -> None:
        left = iter(range(stop))
        self.tree.refresh(self.index, cancelled=lambda: next(left, None) is None)
        self.fresh = False

    @rule()
    def refresh(self) -> None:
        report = self.tree.refresh(self.index)
        assert report.complete
        self.fresh = True

    @invariant()
    def equals_one_made_from_scratch(self) -> None:
        if not self.fresh:
            return
        self.fresh = False
        other = Tree(self.base / "other")
        other.root = self.tree.root
        terms = self.tree.terms()
        with other.open() as scratch:
            other.refresh(scratch)
            with scratch.snapshot() as expected, self.index.snapshot() as found:
                assert contents(found, terms) == contents(expected, terms)
            scratch.clear()

    def teardown(self) -> None:
        self.index.close()
        shutil.rmtree(self.base)


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
