"""A store answers as a local index does."""

from __future__ import annotations

import pytest

from modstar_lsp.search import Options
from modstar_lsp.stores.asking import ask
from modstar_lsp.stores.store import StoreScope
from modstar_lsp.workspace.question import Question
from tests.stores.conftest import COPIED, Filled

QUESTIONS = {
    "walker": (
        "where are ignore patterns matched",
        "read_source",
        "which encoding does a file have",
        "do not follow links that lead out of the folder",
        "Watcher.start",
        "secret keys are left out",
    ),
    "plugin": (
        "show the hits in a picker",
        "preview of a hit",
        "check the health of the server",
        "status line",
        "setup",
    ),
    "pages": (
        "how does an agent ask",
        "what may a question hold",
        "install in emacs",
        "messages of the protocol",
    ),
}


@pytest.mark.parametrize("repository", COPIED)
def test_the_first_ten_are_those_of_the_local_index(filled: Filled, repository: str) -> None:
    options = Options(k=10, min_score=0.0)
    for text in QUESTIONS[repository]:
        question = Question.of_text(text)
        scope = StoreScope(repositories=(repository,))
        found = ask(filled.store, filled.encoder, question, scope, options)
        local = filled.local[repository].ask(question, options)
        assert len(local.hits) == 10
        assert [place.hit._replace(row=0, score=0, explanation={}) for place in found.places] == [
            hit._replace(row=0, score=0, explanation={}) for hit in local.hits
        ], text
        assert [place.hit.score for place in found.places] == pytest.approx(
            [h.score for h in local.hits], abs=1e-4
        )
        assert {place.repository for place in found.places} == {repository}
