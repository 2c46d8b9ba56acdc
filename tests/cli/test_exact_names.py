"""A name typed exactly is found, on its own line: grep's promise, kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Shell, make_shell, write_files

NEIGHBOURS = {
    "p.py": '''\
def from_json(text):
    """What to_json gave, read again."""
    return text


def to_json(value):
    return str(value)


def before_request(handler):
    return handler


def after_request(handler):
    return handler
''',
    "q.ts": """\
export class Panel {
  open() { return 1 }
  isOpen() { return this.state }
  onOpen() { return 2 }
  canEdit() { return true }
  edit() { return 3 }
}
""",
    "results.py": '''\
class ResultSet:
    """A collection of results.

    results (list): what is in the ResultSet.
    """

    def results(self):
        return self._results
''',
    "range.rb": """\
class Range
  def empty?
    first > last
  end

  def empty!
    clear
  end

  def exclude_end?
    @open
  end
end
""",
    "errors.rb": "class Errors < Hash\n  def on(name)\n    self[name]\n  end\nend\n",
    "model.rb": "class Model\n  def errors\n    @errors ||= Errors.new\n  end\nend\n",
    "handles.py": "class Console:\n"
    + "".join(f"    def part_{n}(self):\n        return self._prev_handles, {n}\n\n" for n in range(30)),
    "deploy.sh": '#!/bin/sh\nexport CREATE_UNICODE_ENVIRONMENT=1\nrun "$CREATE_UNICODE_ENVIRONMENT"\n',
    "Ops.hs": "module Ops where\n\n(.:?) :: Int -> Int -> Int\n(.:?) a b = a\n",
    "render.scala": "class Renderable {\n  def <<#(s: String) = quote(s)\n  def +??(a: Int) = a\n}\n",
    "pipes.ml": "let first x = x\n\nlet ( ** ) a b = pow a b\n\nlet ( *. ) a b = mul a b\n",
    "sums.rb": "class Sums\n  def add(a)\n    a\n  end\n\n  def +@\n    self\n  end\nend\n",
    "vector.cpp": """struct V {
  V operator+(const V& o) const {
    return o;
  }
  V& operator+=(const V& o) {
    return *this;
  }
  int operator()(int x) {
    return x * 2;
  }
  int& operator [] (int i) {
    return d[i];
  }
};

std::ostream& operator<<(std::ostream& o, const V& v) {
  return o << v.x;
}

bool V::operator==(const V& o) {
  return x == o.x;
}
""",
    "price.py": 'def g(x):\n    """消費税込みの価格を計算する関数"""\n    return x\n',
    "notes.py": 'def reset(account):\n    """Письмо о восстановлении пароля."""\n    return account\n',
}


@pytest.fixture(scope="module")
def neighbours(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    base = tmp_path_factory.mktemp("names")
    return make_shell(base, write_files(base / "project", NEIGHBOURS))


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("to_json", "p.py:6"),
        ("from_json", "p.py:1"),
        ("before_request", "p.py:10"),
        ("after_request", "p.py:14"),
        ("to json", "p.py:6"),
        ("open", "q.ts:2"),
        ("isOpen", "q.ts:3"),
        ("canEdit", "q.ts:5"),
        ("edit", "q.ts:6"),
        ("ResultSet", "results.py:1"),
        ("resultset", "results.py:1"),
        ("exclude_end", "range.rb:10"),
        ("exclude_end?", "range.rb:10"),
        ("errors", "model.rb:2"),
        ("Errors", "errors.rb:1"),
        (".:?", "Ops.hs:3"),
        ("(.:?)", "Ops.hs:3"),
        ("<<#", "render.scala:2"),
        ("+??", "render.scala:3"),
        ("( ** )", "pipes.ml:3"),
        ("*.", "pipes.ml:5"),
        ("+@", "sums.rb:6"),
        ("operator+", "vector.cpp:2"),
        ("operator +=", "vector.cpp:5"),
        ("+=", "vector.cpp:5"),
        ("operator()", "vector.cpp:8"),
        ("operator[]", "vector.cpp:11"),
        ("operator<<", "vector.cpp:16"),
        ("V::operator==", "vector.cpp:20"),
    ],
)
def test_a_name_leads_to_its_own_definition_among_its_neighbours(
    neighbours: Shell, name: str, place: str
) -> None:
    assert neighbours.query(name).places[0] == place


@pytest.mark.parametrize("asked", ["<|>", "()", '"', "- -"])
def test_signs_that_are_no_operator_here_are_no_question(neighbours: Shell, asked: str) -> None:
    answer = neighbours.query("--", asked)
    assert answer.status == 2
    assert "no words" in answer.err


def test_an_identifier_that_nothing_defines_is_found_where_it_is_used(neighbours: Shell) -> None:
    answer = neighbours.query("CREATE_UNICODE_ENVIRONMENT")
    assert answer.status == 0
    assert answer.places[0].startswith("deploy.sh:")


def test_an_identifier_with_an_underscore_before_it_is_found_in_the_many_places_that_use_it(
    neighbours: Shell,
) -> None:
    answer = neighbours.query("_prev_handles")
    assert answer.status == 0
    assert answer.places[0].startswith("handles.py:")


def test_words_that_stand_together_in_one_place_are_never_no_match(neighbours: Shell) -> None:
    answer = neighbours.query("восстановлении пароля")
    assert answer.status == 0
    assert answer.places[0].startswith("notes.py:")


@pytest.mark.parametrize("asked", ["消費税込みの価格を計算する関数", "価格を計算する"])
def test_what_holds_all_words_is_not_hidden_behind_what_would_be_withheld(
    neighbours: Shell, asked: str
) -> None:
    answer = neighbours.query(asked, "-k", "1")
    assert answer.status == 0
    assert answer.places == ["price.py:1"]


def test_an_identifier_that_only_a_test_uses_is_found_before_what_sounds_like_it(tmp_path: Path) -> None:
    sounding = "".join(
        f"class ErrorBytes{n}:\n    def error_of_bytes(self, errors):\n        return bytes(errors)\n\n\n"
        for n in range(4)
    )
    write_files(
        tmp_path / "src",
        {
            **{f"pkg/bytes{number}/error.py": sounding for number in range(6)},
            "pkg/tests/test_reading.py": "def test_reading(server):\n    errorBytes = server.read()\n",
        },
    )
    shell = make_shell(tmp_path, tmp_path / "src")
    assert shell.query("errorBytes").places[0].startswith("pkg/tests/test_reading.py:")
