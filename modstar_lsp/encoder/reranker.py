"""The last stage's encoder at run time: a vector for every token of a text.

The graphs are those of export/reranker.py, one a stretch of layers. Texts go through one at a time: nothing
is padded, and a vector never depends on what else is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.arrays import Floats
from modstar_lsp.encoder.bundle import Bundle, RerankerFiles
from modstar_lsp.encoder.readings import KeptReadings, Reading
from modstar_lsp.encoder.runtime import expect_inputs, in_a_line, open_session
from modstar_lsp.encoder.tokens import Tokens, open_tokenizer
from modstar_lsp.errors import BundleError

# Where one word of an identifier ends and the next begins.
_WITHIN = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_+")
# See `graph.CHARS_PER_TOKEN`.
_CHARS_PER_TOKEN = 48


class Reranker:
    """Reads texts for late interaction. Safe to use from several threads. kept: what was read, by content."""

    def __init__(self, files: RerankerFiles, paths: Mapping[str, Path], threads: int = 1) -> None:
        self.files = files
        self.kept = KeptReadings()
        self.depths = [one.depth for one in files.exits]
        self._sessions = [open_session(paths[one.file], threads=threads) for one in files.exits]
        for number, session in enumerate(self._sessions):
            expect_inputs(session, {"attention_mask", "states" if number else "input_ids"})
        self._tokenizer = open_tokenizer(paths[files.tokenizer])

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> Reranker | None:
        """The reranker of a bundle, its files checked; None when it has none. Raises BundleError."""
        files = bundle.reranker
        if files is None:
            return None
        try:
            return cls(files, {name: bundle.verified(name) for name in files.names})
        except (BundleError, MemoryError):
            raise
        except Exception as error:  # onnxruntime raises classes of its own
            reason = in_a_line(error)
            raise BundleError(f"bundle {bundle.folder}: its reranker cannot be loaded: {reason}") from None

    @classmethod
    def in_folder(cls, folder: Path, section: Mapping[str, Any], threads: int) -> Reranker:
        """The reranker whose files lie in `folder`, before they are part of a bundle."""
        files = RerankerFiles.from_section(section)
        return cls(files, {name: folder / name for name in files.names}, threads)

    def read_question(self, text: str) -> Reading:
        """A question at the deepest exit."""
        return self._read(self.tokens(text, self.files.question_tokens))

    def read(self, code: str) -> Reading:
        """A piece of code at the deepest exit, its first `code_tokens` tokens."""
        return self._read(self.tokens(code, self.files.code_tokens))

    def tokens(self, text: str, limit: int) -> Tokens:
        """What is read of a text: the words of its identifiers apart, at most `limit` tokens."""
        return self._tokenizer.encode(spread_identifiers(text[: limit * _CHARS_PER_TOKEN]), limit)

    def score(self, question: Reading, code: Reading) -> float:
        """How well `code` answers `question`."""
        found = self.files.exits[-1]
        mean = float(question.mean @ code.mean) * found.mean_scale
        if not question.weights.size or not code.vectors.size:
            return mean
        nearest = (question.vectors @ code.vectors.T).max(axis=1)
        late = float(nearest @ question.weights) / max(float(question.weights.sum()), 1e-6)
        return late * found.late_scale + mean

    def token_vectors(self, ids: list[int]) -> dict[int, Floats]:
        """The vectors of all tokens `ids` by depth, [tokens, dimension]: to compare with torch's."""
        states: Floats | None = None
        found = {}
        for number, depth in enumerate(self.depths):
            outputs = self._outputs(ids, number, states)
            states = outputs[0]
            found[depth] = outputs[1][0]
        return found

    def _read(self, found: Tokens) -> Reading:
        states: Floats | None = None
        for number in range(len(self.depths)):
            states, vectors, weights, mean = self._outputs(found.ids, number, states)
        part = np.array([takes_part(token) for token in found.tokens], bool)
        part &= np.array(found.special_tokens_mask) == 0
        return Reading(vectors[0][part], weights[0][part], mean[0])

    def _outputs(self, ids: Sequence[int], number: int, states: Floats | None) -> list[Floats]:
        inputs: dict[str, NDArray[Any]] = {"attention_mask": np.ones((1, len(ids)), np.int64)}
        if number == 0:
            inputs["input_ids"] = np.array([ids], np.int64)
        else:
            assert states is not None
            inputs["states"] = states
        outputs: list[Floats] = self._sessions[number].run(None, inputs)
        return outputs


def spread_identifiers(text: str) -> str:
    """`text` with the words of its identifiers apart: `readFile`, `read_file` as `read File`, `read file`."""
    return _WITHIN.sub(" ", text)


def takes_part(token: str) -> bool:
    """Whether a token is met: words and numbers, no punctuation."""
    return any(character.isalnum() for character in token)
