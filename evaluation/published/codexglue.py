"""CodeXGLUE's text to code: AdvTest, whose names are made unreadable, and CoSQA, asked by people.

AdvTest is a folder with `test.jsonl`, every function of which is a candidate. CoSQA is one with
`cosqa-retrieval-test-500.json` (or -dev-) and `code_idx_map.txt`, its 6,267 candidates.
"""

from __future__ import annotations

import json
from pathlib import Path

from evaluation.published.files import rows
from evaluation.published.retrieval import RetrievalSet
from evaluation.record import file_digest
from evaluation.sets import SetError

COSQA_CODES = "code_idx_map.txt"


def load_advtest(folder: Path) -> RetrievalSet:
    """AdvTest: a docstring among all functions of the same file."""
    path = folder / "test.jsonl"
    queries, documents = [], []
    for row in rows(path):
        queries.append(row.text("docstring_tokens", "docstring"))
        documents.append(row.text("function_tokens", "code_tokens", "function", "code"))
    return RetrievalSet(
        name="advtest",
        queries=tuple(queries),
        documents=tuple(documents),
        relevant=tuple({at: 1} for at in range(len(documents))),
        language="python",
        digests={path.name: file_digest(path)},
    ).checked()


def load_cosqa(folder: Path, split: str = "test") -> RetrievalSet:
    """CoSQA: a question that people asked a web search among all codes of the set."""
    path, codes = folder / f"cosqa-retrieval-{split}-500.json", folder / COSQA_CODES
    if not codes.is_file():
        raise SetError(f"{codes} is missing: the set in {folder.name} is not complete")
    try:
        known = json.loads(codes.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SetError(f"{codes} is no JSON: {error}") from None
    if not isinstance(known, dict) or not all(isinstance(number, int) for number in known.values()):
        raise SetError(f"{codes} is no JSON object of code -> number")
    place_of = {number: at for at, number in enumerate(known.values())}
    queries, relevant = [], []
    for row in rows(path):
        number = row.number_of("retrieval_idx")
        if number not in place_of:
            raise SetError(f"{path}, row {row.number}: its code {number} is not in {COSQA_CODES}")
        queries.append(row.text("doc", "docstring_tokens"))
        relevant.append({place_of[number]: 1})
    return RetrievalSet(
        name=f"cosqa {split}",
        queries=tuple(queries),
        documents=tuple(known),
        relevant=tuple(relevant),
        language="python",
        digests={one.name: file_digest(one) for one in (path, codes)},
    ).checked()
