"""A name with a typing error is answered with the name that was meant."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modstar_lsp.index.reading.snapshot import Snapshot
from modstar_lsp.search import Options
from modstar_lsp.search.filters import Filter
from modstar_lsp.search.suggest import slips
from modstar_lsp.workspace import Workspace

NAMES = st.from_regex("[a-z_]{4,16}", fullmatch=True)


@given(NAMES, st.data())
def test_a_name_is_found_by_any_one_slip(name: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(name) - 1))
    letter = data.draw(st.sampled_from("abcxyz_"))
    slip = data.draw(
        st.sampled_from(
            [
                name[:at] + name[at + 1 :],
                name[:at] + letter + name[at:],
                name[:at] + letter + name[at + 1 :],
                name[:at] + name[at : at + 2][::-1] + name[at + 2 :],
            ]
        )
    )
    others = ["".join(random.Random(n).choices("qwertuiop", k=12)) for n in range(20)]
    assert slips(slip, [*others, name]) == ([name] if slip != name else [])


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("verify_pasword", "verify_password"),
        ("AccountStor", "AccountStore"),
        ("totalPirce", "totalPrice"),
        ("SumOfLnes", "SumOfLines"),
        ("AccountStore.verify_passwrod", "verify_password"),
        ("resume_uplaod", "resume_upload"),
    ],
)
def test_the_name_that_was_meant_is_told_as_it_is_written(
    workspace: Workspace, asked: str, meant: str
) -> None:
    results = workspace.search(asked, Options(min_score=1.0))
    assert not results.hits
    assert results.did_you_mean == meant


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("compare_digset", "compare_digest"),  # of another package
        ("UplaodFailed", "UploadFailed"),
        ("why UploadFaild is raised", "UploadFailed"),
        ("AccountStore.as_strings", "as_string"),
        ("sendmial", "sendmail"),
        ("conection", "connection"),
    ],
)
def test_where_no_definition_is_near_what_occurs_is_told_as_it_is_written(
    workspace: Workspace, asked: str, meant: str
) -> None:
    assert workspace.search(asked, Options(min_score=1.0)).did_you_mean == meant


def test_of_a_pasted_text_few_names_are_looked_into(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    monkeypatch.setattr(Snapshot, "names", lambda self, least, most: looked.append(least) or [])
    text = " ".join(f"zq_{letter * 9}" for letter in "abcdefghijklmnopqrst")
    assert workspace.search(text, Options(min_score=1.0)).did_you_mean == ""
    assert 0 < len(looked) < 10


def test_what_occurs_in_files_that_the_filters_leave_out_was_not_meant(workspace: Workspace) -> None:
    outside = Filter(not_languages=frozenset({"python"}))
    results = workspace.search("compare_digset", Options(min_score=1.0, filters=(outside,)))
    assert results.did_you_mean == ""


@pytest.mark.parametrize(
    "asked", ["verify_password", "wholly_unrelated_name", "password of a user", "up", "x_" * 400]
)
def test_nothing_is_made_up(workspace: Workspace, asked: str) -> None:
    assert workspace.search(asked, Options(min_score=1.0)).did_you_mean == ""


def test_it_is_told_when_nothing_good_was_found(workspace: Workspace) -> None:
    assert workspace.search("parse_json").did_you_mean == ""


def test_what_the_filters_leave_out_is_not_what_was_meant(workspace: Workspace) -> None:
    within = Filter(languages=frozenset({"python"}))
    outside = Filter(not_languages=frozenset({"python"}))
    for bounds, meant in ((within, "verify_password"), (outside, "")):
        results = workspace.search("verify_pasword", Options(min_score=1.0, filters=(bounds,)))
        assert results.did_you_mean == meant


def test_beside_hits_it_is_told_of_one_name_that_occurs_nowhere(workspace: Workspace) -> None:
    results = workspace.search("verify_pasword", Options(min_score=0))
    assert results.hits and not results.did_you_mean
    assert results.note == '"verify_pasword" occurs nowhere; did you mean verify_password?'


@pytest.mark.parametrize(
    "asked", ["verifyPassword", "verify_password", "passwords", "where is verify_pasword"]
)
def test_beside_hits_nothing_is_made_up(workspace: Workspace, asked: str) -> None:
    results = workspace.search(asked, Options(min_score=0))
    assert results.hits and not results.note
