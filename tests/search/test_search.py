"""What a question finds, asked of a real index with the bundle that ships."""

from __future__ import annotations

import pytest

from modstar_lsp.errors import QueryError
from modstar_lsp.search import Hit, Options
from modstar_lsp.search.filters import Filter
from modstar_lsp.workspace import Workspace

EVERYTHING = Options(min_score=0.0)


def first(workspace: Workspace, text: str, options: Options = EVERYTHING) -> Hit:
    return workspace.search(text, options).hits[0]


@pytest.mark.parametrize(
    ("question", "path"),
    [
        ("where do we retry failed uploads", "app/transfer/uploads.py"),
        ("parse json", "app/json_io.py"),
        ("check that the password of a user is right", "app/accounts.py"),
        ("deliver mail over smtp", "app/mailer.py"),
        ("sum of price times quantity in the shopping cart", "web/src/cart.ts"),
        ("parse_json settings", "app/json_io.py"),
    ],
)
def test_a_sentence_finds_its_file(workspace: Workspace, question: str, path: str) -> None:
    assert first(workspace, question).path == path


@pytest.mark.parametrize("name", ["parse_json", "parseJson", "PARSE_JSON", "parse_json()"])
def test_a_name_finds_its_definition_however_it_is_written(workspace: Workspace, name: str) -> None:
    hit = first(workspace, name)
    assert (hit.path, hit.start_line <= 4 <= hit.end_line) == ("app/json_io.py", True)


@pytest.mark.parametrize(
    ("name", "path"), [("Mailer.send", "app/mailer.py"), ("AccountStore.send", "app/accounts.py")]
)
def test_a_qualified_name_finds_the_member_of_that_class(workspace: Workspace, name: str, path: str) -> None:
    assert first(workspace, name).path == path


@pytest.mark.parametrize("question", ["uploading", "uploads", "uploaded"])
def test_an_inflected_word_finds_the_plain_one(workspace: Workspace, question: str) -> None:
    assert first(workspace, question).path == "app/transfer/uploads.py"


def test_code_stands_above_its_test_and_its_documentation(workspace: Workspace) -> None:
    paths = [hit.path for hit in workspace.search("parse json document", EVERYTHING).hits]
    assert paths[0] == "app/json_io.py"
    assert paths.index("app/json_io.py") < paths.index("tests/test_json_io.py")
    assert paths.index("app/json_io.py") < paths.index("README.md")


def test_a_question_about_tests_may_find_a_test(workspace: Workspace) -> None:
    assert first(workspace, "test of parse json").path == "tests/test_json_io.py"


def test_filters_leave_only_what_they_name(workspace: Workspace) -> None:
    go = Filter(languages=frozenset({"go"}))
    only_go = workspace.search("sum of prices", Options(filters=(go,), min_score=0.0))
    assert {hit.path for hit in only_go.hits} == {"billing/invoice.go"}
    only_web = workspace.search("sum of prices", Options(filters=(Filter(globs=("web/**",)),), min_score=0.0))
    assert {hit.path for hit in only_web.hits} == {"web/src/cart.ts"}


@pytest.mark.parametrize(
    "options",
    [
        Options(filters=(Filter(globs=("nothing/*.x",)),)),
        Options(filters=(Filter(languages=frozenset({"cobol"})),)),
    ],
)
def test_a_filter_that_matches_no_file_is_an_error_of_one_line(
    workspace: Workspace, options: Options
) -> None:
    with pytest.raises(QueryError) as error:
        workspace.search("sum", options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "   ", "?!", "\n"])
def test_a_question_without_words_is_an_error(workspace: Workspace, text: str) -> None:
    with pytest.raises(QueryError):
        workspace.search(text)


@pytest.mark.parametrize("options", [Options(k=0), Options(k=-3), Options(min_score=2.0), Options(depth=99)])
def test_options_that_make_no_sense_are_errors(workspace: Workspace, options: Options) -> None:
    with pytest.raises(QueryError):
        workspace.search("sum", options)


def test_a_question_of_ten_thousand_words_is_answered(workspace: Workspace) -> None:
    hits = workspace.search("parse json document " + "word " * 10_000, EVERYTHING).hits
    assert hits[0].path == "app/json_io.py"


def test_k_bounds_the_hits_and_their_scores_fall(workspace: Workspace) -> None:
    hits = workspace.search("send a message", Options(k=3, min_score=0.0)).hits
    assert len(hits) == 3
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_nothing_in_the_project_answers_and_it_says_so(workspace: Workspace) -> None:
    results = workspace.search("quantum chromodynamics lattice simulation of gluons")
    assert results.hits == ()


def test_no_follower_is_shown_that_scores_much_less_than_a_first_hit_has_to(workspace: Workspace) -> None:
    for question in ("parse_json", "upload a file", "password", "total price of the cart"):
        hits = workspace.search(question).hits
        assert hits
        assert all(hit.score >= 0.08 for hit in hits)


def test_the_threshold_names_the_closest_instead(workspace: Workspace) -> None:
    results = workspace.search("parse json", Options(min_score=1.0))
    assert results.hits == ()
    assert results.closest is not None
    assert results.closest.path == "app/json_io.py"


def test_a_hit_explains_its_score(workspace: Workspace) -> None:
    explanation = first(workspace, "parse_json").explanation
    assert explanation["definition"] > 0
    plain = workspace.search("parse_json", Options(rules=False, min_score=0.0)).hits[0].explanation
    assert set(plain) <= {"lexical", "dense", "nearest_words"}


@pytest.mark.parametrize(
    "options", [Options(dense=False, min_score=0.0), Options(lexical=False, min_score=0.0)]
)
def test_words_alone_and_meaning_alone_both_answer(workspace: Workspace, options: Options) -> None:
    assert first(workspace, "parse a json document", options).path == "app/json_io.py"


CART = (
    "export function totalPrice(items: Item[]): number {\n  let total = 0;\n  for (const item of items) {\n"
    "    total += item.price * item.quantity;\n  }\n  return total;\n}\n"
)


def test_find_similar_leaves_the_selection_out(workspace: Workspace) -> None:
    hits = workspace.similar(CART, EVERYTHING, origin=("web/src/cart.ts", 1, 7)).hits
    assert hits
    assert not [hit for hit in hits if hit.path == "web/src/cart.ts" and hit.start_line <= 7]


def test_find_similar_prefers_a_reimplementation_to_a_call(workspace: Workspace) -> None:
    hits = workspace.similar(CART, EVERYTHING, origin=("web/src/cart.ts", 1, 7)).hits
    assert hits[0].path == "billing/invoice.go"


def test_find_similar_of_free_code_finds_the_original(workspace: Workspace) -> None:
    assert workspace.similar(CART, EVERYTHING).hits[0].path == "web/src/cart.ts"


def test_find_similar_of_nothing_is_an_error(workspace: Workspace) -> None:
    with pytest.raises(QueryError):
        workspace.similar("{ } ;")
