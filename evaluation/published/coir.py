"""The layout that CoIR and MTEB share with BEIR: a corpus, queries, and which answers which.

TASK/corpus.jsonl  queries.jsonl  qrels/test.tsv                          (BEIR; also .jsonl, .parquet)
TASK/corpus/*.parquet  queries/*.parquet  qrels/test-*.parquet            (MTEB; also data/ for qrels/)
TASK-queries-corpus/data/corpus-*.parquet, queries-*.parquet  TASK-qrels/data/test-*.parquet  (CoIR)
TASK/python-corpus/*.parquet  python-queries/..  python-qrels/..  go-corpus/..    (MTEB, subsets)
"""

from __future__ import annotations

from pathlib import Path

from evaluation.published.files import files_of, rows_of
from evaluation.published.retrieval import RetrievalSet
from evaluation.record import file_digest
from evaluation.sets import SetError

_CORPUS, _QUERIES, _QRELS = "corpus", "queries", "qrels"


def load_coir(folder: Path, split: str = "test", code_asks: bool = False) -> list[RetrievalSet]:
    """The task in `folder`, or where it has subsets (`python-corpus` ..) a set for each.

    The whole corpus is searched, and asked are the queries that `split` has an answer to, as CoIR does it.
    code_asks: the queries are code. SetError, in one line, for files that are missing or broken.
    """
    if not folder.is_dir() and not folder.with_name(f"{folder.name}-queries-corpus").is_dir():
        raise SetError(f"no set at {folder}")
    subsets = sorted(
        path.name.removesuffix(f"-{_CORPUS}")
        for path in folder.glob(f"*-{_CORPUS}")
        if path.is_dir() and not path.name.endswith(f"-{_QUERIES}-{_CORPUS}")
    )
    return [_load(folder, split, code_asks, subset) for subset in subsets or [""]]


def _load(folder: Path, split: str, code_asks: bool, subset: str) -> RetrievalSet:
    name = f"{folder.name} {subset}".strip()
    start = f"{subset}-" if subset else ""
    both = folder.with_name(f"{folder.name}-{_QUERIES}-{_CORPUS}") / "data"
    beside = folder.with_name(f"{folder.name}-{_QRELS}") / "data"
    corpus = _first((folder, f"{start}{_CORPUS}"), (folder / "data", _CORPUS), (both, _CORPUS))
    queries = _first((folder, f"{start}{_QUERIES}"), (folder / "data", _QUERIES), (both, _QUERIES))
    qrels = _first(
        (folder / f"{start}{_QRELS}", split),
        (folder / "data" if not subset else folder / f"{subset}-data", split),
        (beside, split),
    )
    for what, found in ((_CORPUS, corpus), (_QUERIES, queries), (f"{_QRELS} of {split}", qrels)):
        if not found:
            raise SetError(f"{folder}: no {what} of {name}: neither .jsonl nor .tsv nor .parquet")
    grades: dict[str, dict[str, int]] = {}
    for row in rows_of(qrels):
        grade = row.number_of("score") if "score" in row.values else 1
        if grade > 0:
            answers = grades.setdefault(row.text("query-id", "query_id", "qid"), {})
            answers[row.text("corpus-id", "corpus_id", "pid")] = grade
    place_of: dict[str, int] = {}
    documents: list[str] = []
    for row in rows_of(corpus):
        if place_of.setdefault(row.text("_id", "id"), len(documents)) == len(documents):
            title = row.values.get("title")
            documents.append(f"{title} {row.text('text')}" if title else row.text("text"))
    asked, relevant = [], []
    for row in rows_of(queries):
        answers = grades.get(row.text("_id", "id"), {})
        for answer in answers:
            if answer not in place_of:
                raise SetError(f"{row.path}, row {row.number}: its answer {answer[:80]} is not in the corpus")
        if answers:
            asked.append(row.text("text"))
            relevant.append({place_of[answer]: grade for answer, grade in answers.items()})
    files = [*corpus, *queries, *qrels]
    return RetrievalSet(
        name=name,
        queries=tuple(asked),
        documents=tuple(documents),
        relevant=tuple(relevant),
        code_asks=code_asks,
        digests={f"{path.parent.name}/{path.name}": file_digest(path) for path in files},
    ).checked()


def _first(*places: tuple[Path, str]) -> list[Path]:
    return next((found for folder, stem in places if (found := files_of(folder, stem))), [])
