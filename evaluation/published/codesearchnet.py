"""CodeSearchNet (Husain et al. 2019): six languages, a docstring asks for its function.

Three layouts are read, each with a folder a language: the authors' (`python/final/jsonl/test/*.jsonl.gz`),
that of GraphCodeBERT and CodeXGLUE (`python/test.jsonl`, `python/codebase.jsonl`), which leaves out pairs
that are no English sentence, and the hub's (`python/test-*.parquet`).
"""

from __future__ import annotations

from pathlib import Path

from evaluation.published.files import Row, files_of, rows_of
from evaluation.published.retrieval import RetrievalSet
from evaluation.record import file_digest
from evaluation.sets import SetError

LANGUAGES = ("ruby", "javascript", "go", "python", "java", "php")
# What of a function is read. Figures of one way are not comparable with those of another.
#   tokens    its tokens with blanks between them, no docstring: CodeXGLUE, UniXcoder, CodeT5+
#   stripped  its source without its docstring: MTEB
#   source    its source as it is: the docstring that asks stands in many a Python and PHP function
CODE = ("tokens", "stripped", "source")
_TOKENS = ("code_tokens", "func_code_tokens")
_SOURCE = ("code", "original_string", "func_code_string", "whole_func_string")
_ASKS = ("docstring_tokens", "func_documentation_tokens")
_DOCSTRING = ("docstring", "func_documentation_string")
_URL = ("url", "func_code_url")


def languages_in(folder: Path) -> list[str]:
    """The languages that `folder` has; SetError when there is none."""
    found = [language for language in LANGUAGES if (folder / language).is_dir()]
    if not found:
        raise SetError(f"no CodeSearchNet at {folder}: it has none of the folders {', '.join(LANGUAGES)}")
    return found


def load_codesearchnet(folder: Path, language: str, code: str = "tokens") -> RetrievalSet:
    """The test questions of one language among all its codes of development and test (the full corpus).

    code: one of CODE. SetError, in one line, for files that are missing or broken.
    """
    place = folder / language
    for inside in (place / "final" / "jsonl", place / "data", place):
        if tests := files_of(inside, "test"):
            break
    else:
        raise SetError(f"{place}: no test.jsonl, no final/jsonl/test/*.jsonl.gz and no test-*.parquet")
    held = files_of(inside, "codebase")
    if not held:
        valid = files_of(inside, "valid") or files_of(inside, "validation")
        if not valid:
            raise SetError(
                f"{inside}: neither codebase nor valid beside test: the full corpus is both together"
            )
        held = [*tests, *valid]
    documents: dict[str, str] = {}
    for row in rows_of(held):
        documents.setdefault(row.text(*_URL), _code(row, code))
    place_of = {url: at for at, url in enumerate(documents)}
    queries, relevant = [], []
    for row in rows_of(tests):
        url = row.text(*_URL)
        if url not in place_of:
            raise SetError(f"{row.path}, row {row.number}: its code {url[:80]} is not in the corpus")
        queries.append(row.text(*_ASKS, *_DOCSTRING))
        relevant.append({place_of[url]: 1})
    return RetrievalSet(
        name=f"codesearchnet {language}",
        queries=tuple(queries),
        documents=tuple(documents.values()),
        relevant=tuple(relevant),
        language=language,
        digests={f"{language}/{path.name}": file_digest(path) for path in {*tests, *held}},
    ).checked()


def _code(row: Row, code: str) -> str:
    if code == "tokens":
        return row.text(*_TOKENS)
    source = row.text(*_SOURCE)
    return source.replace(row.text(*_DOCSTRING), "") if code == "stripped" else source
