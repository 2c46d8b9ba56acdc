"""An unsaved document over the index answers as the index would once that text were saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from index_fakes import DIMENSION, Tree, contents
from numpy.typing import NDArray

from modstar_lsp.index.reading.unsaved import UnsavedView, digest_of, unsaved_document

# Files that hold each other's words, in several languages, and what is in no index.
TEXTS = [
    "",
    "\n \n",
    "def parse_json(text):\n    return json.loads(text)\n",
    "class Client:\n    def send(self, request):\n        return self.post(request)\n\n    def close(self):\n"
    "        self.session = None\n",
    "def parse_json(text):\n    return text\n\n\ndef send_request(client):\n    return client.send()\n",
    "# Uploads\n\nFailed uploads are retried.\n\n## Clients\n\nA client sends.\n",
    "-----BEGIN RSA PRIVATE KEY-----\nparse json\n",
    "# @generated\nparse = 1\n",
    "parse\0json",
    "na\u00efve = '\U0001f600'\n\ud800",
]
PATHS = ["a.py", "src/b.py", "src/c.md", "z/parse_json.py"]
trees = st.dictionaries(st.sampled_from(PATHS), st.sampled_from(TEXTS[:-1]), max_size=4)
unsaved = st.dictionaries(st.sampled_from(PATHS), st.sampled_from(TEXTS), max_size=3)


def answers(tree: Tree, saved: Mapping[str, str], over: Mapping[str, str], terms: set[str]) -> object:
    for path, text in saved.items():
        tree.write(path, text)
    with tree.open() as index:
        tree.refresh(index)
        with index.snapshot() as snapshot:
            made = [unsaved_document(path, text, tree.encoder) for path, text in over.items()]  # type: ignore[arg-type]
            view = Comparable(snapshot, made) if made else snapshot
            return contents(view, terms)  # type: ignore[arg-type]


class Comparable(UnsavedView):
    """Shows its vectors, which searching does not ask for."""

    def vectors(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        basis = np.eye(DIMENSION, dtype=np.float32)
        return np.stack([self.cosines(direction, rows) for direction in basis], axis=1)


@settings(max_examples=60, deadline=None)
@given(trees, unsaved)
def test_a_draft_counts_as_if_it_were_saved(saved: dict[str, str], over: dict[str, str]) -> None:
    terms = {
        "parse",
        "json",
        "client",
        "send",
        "text",
        "uploads",
        "b",
        "src",
        "key",
        "generated",
        "ve",
        "parse_json",
    }
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        laid = answers(Tree(Path(one)), saved, over, terms)
        storable = {path: text.encode("utf-8", "replace").decode() for path, text in over.items()}
        assert laid == answers(Tree(Path(other)), saved | storable, {}, terms)


def test_a_draft_keeps_the_deeper_vectors_of_chunks_that_did_not_change(tree: Tree) -> None:
    functions = [
        f"def stage_{n}(value):\n" + "".join(f"    value = fold_{n}_{m}(value, {m})\n" for m in range(40))
        for n in range(3)
    ]
    tree.write("stages.py", "\n\n".join(functions))
    with tree.open() as index:
        tree.refresh(index)
        index.deepen(tree.encoder, 4)  # type: ignore[arg-type]
        made = unsaved_document("stages.py", "\n\n".join([*functions[:2], "pass\n"]), tree.encoder)  # type: ignore[arg-type]
        with index.snapshot() as snapshot:
            view = UnsavedView(snapshot, [made])
            assert view.n < snapshot.n
            # The first function is as it was, so it has the vector that it got at exit 4.
            deep = snapshot.vectors([0])[0]
            assert made.vectors.cosines(deep)[0] < 0.995 < view.cosines(deep, [0])[0]


def test_the_text_of_a_file_is_known_by_its_digest(sources: Tree) -> None:
    with sources.open() as index:
        sources.refresh(index)
        with index.snapshot() as snapshot:
            text = (sources.root / "src/json_tools.py").read_text()
            for path, content, same in [
                ("src/json_tools.py", text, True),
                ("src/json_tools.py", "\ufeff" + text, True),
                ("src/json_tools.py", text + " ", False),
                ("new.py", text, False),
            ]:
                assert (snapshot.digest(path) == digest_of(content)) is same
