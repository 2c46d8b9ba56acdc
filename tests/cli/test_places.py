"""Where is searched: a folder or file inside a project, several folders, everything that has an index."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import FILES, Answer, Shell, make_shell, write_files

EVERYTHING = ("--min-score", "0", "-k", "50")


def files(answer: Answer) -> set[str]:
    return {place.split(":")[0] for place in answer.places}


def indexes(shell: Shell, base: Path | None = None) -> set[str]:
    """The folders that have an index, by name."""
    folder = base or Path(shell.environment["XDG_CACHE_HOME"]) / "modstar"
    return {entry.name.rpartition("-")[0] for entry in folder.iterdir()}


def test_a_folder_inside_a_repository_is_searched_in_its_index(shell: Shell) -> None:
    answer = shell.query("parse json", "web", *EVERYTHING)
    assert files(answer) == {"web/client.ts", "web/Basket.tsx"}
    assert indexes(shell) == {"shop"}, "the folder gets no index of its own"
    inside = shell.query("parse json", "shop", *EVERYTHING, cwd=shell.cwd / "src")
    assert files(inside) == {"shop/jsonio.py", "shop/upload.py", "shop/pool.py"}
    assert indexes(shell) == {"shop"}


def test_a_single_file_may_be_named(shell: Shell) -> None:
    assert files(shell.query("retry", "src/shop/upload.py", *EVERYTHING)) == {"src/shop/upload.py"}
    both = shell.query("parse json", "src/shop/jsonio.py", "web/client.ts", *EVERYTHING)
    assert files(both) == {"src/shop/jsonio.py", "web/client.ts"}
    assert indexes(shell) == {"shop"}


@pytest.mark.parametrize("name", ["logo.png", ".env", "build/generated.py"])
def test_a_file_that_is_not_searched_is_refused_in_one_line(shell: Shell, name: str) -> None:
    answer = shell.query("password", name)
    assert (answer.status, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert name in answer.err


def test_globs_count_from_the_folder_that_was_named(shell: Shell) -> None:
    assert files(shell.query("json", "src", "-g", "shop/j*.py", *EVERYTHING)) == {"src/shop/jsonio.py"}


def test_an_ignored_folder_that_is_named_is_searched_by_itself(shell: Shell) -> None:
    answer = shell.query("built by nobody", "build", *EVERYTHING)
    assert files(answer) == {"build/generated.py"}
    assert indexes(shell) == {"build"}


def test_a_repository_inside_another_is_searched_by_itself(shell: Shell) -> None:
    (shell.cwd / "plugin" / ".git").mkdir(parents=True)
    write_files(shell.cwd, {"plugin/gift.py": "def wrap_gift(gift):\n    return gift\n"})
    assert files(shell.query("wrap gift", "plugin")) == {"plugin/gift.py"}
    assert indexes(shell) == {"plugin"}


def test_a_folder_with_an_index_of_its_own_keeps_it(shell: Shell) -> None:
    assert shell.index("web").status == 0
    assert files(shell.query("parse json", "web", *EVERYTHING)) == {"web/client.ts", "web/Basket.tsx"}
    assert indexes(shell) == {"web"}


def test_outside_of_a_repository_only_an_index_above_counts(tmp_path: Path) -> None:
    shell = make_shell(tmp_path, write_files(tmp_path / "plain", FILES))
    assert files(shell.query("parse json", "web", *EVERYTHING)) == {"web/client.ts", "web/Basket.tsx"}
    assert indexes(shell) == {"web"}, "nobody asked for more"
    assert shell.index(".").status == 0
    assert files(shell.query("tax", "cmd", *EVERYTHING)) == {"cmd/tax.go"}
    assert indexes(shell) == {"web", "plain"}


def test_a_file_in_no_project_is_refused_with_what_to_do(tmp_path: Path) -> None:
    shell = make_shell(tmp_path, write_files(tmp_path / "plain", FILES))
    answer = shell.query("tax", "cmd/tax.go")
    assert (answer.status, answer.err.count("\n")) == (2, 1)
    assert "cmd/tax.go" in answer.err


def test_an_index_folder_of_ones_own_holds_for_folders_too(shell: Shell, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert shell.index("--index-dir", str(other)).status == 0
    assert files(shell.query("json", "web", "--index-dir", str(other), *EVERYTHING))
    assert indexes(shell, other) == {"shop"}
    assert not Path(shell.environment["XDG_CACHE_HOME"]).exists()


# -- several


@pytest.fixture
def two(shell: Shell, tmp_path: Path) -> Path:
    """A second project beside the shop."""
    (tmp_path / "store" / ".git").mkdir(parents=True)
    return write_files(
        tmp_path / "store",
        {
            "gift.py": "def wrap_gift(gift):\n    return gift.paper\n",
            "tax.py": "def tax_of(price):\n    pass\n",
        },
    )


def test_hits_of_several_folders_are_ranked_together_and_name_theirs(shell: Shell, two: Path) -> None:
    answer = shell.query("tax on a price", ".", str(two), "--json", *EVERYTHING)
    found = json.loads(answer.out)
    assert {hit["root"] for hit in found["hits"]} == {str(shell.cwd), str(two)} == set(found["roots"])
    scores = [hit["score"] for hit in found["hits"]]
    assert scores == sorted(scores, reverse=True)
    shown = files(shell.query("tax on a price", ".", str(two), *EVERYTHING))
    assert {"cmd/tax.go", str(two / "tax.py")} <= shown
    assert len(shell.query("tax on a price", ".", str(two), "--min-score", "0", "-k", "2").headers) == 2


def test_twins_of_one_repository_give_no_hit_twice(shell: Shell, tmp_path: Path) -> None:
    twin = shutil.copytree(shell.cwd, tmp_path / "twin")
    write_files(twin, {"cmd/tax.go": FILES["cmd/tax.go"].replace("100", "1_000")})
    answer = json.loads(shell.query("tax json", ".", str(twin), "--json", *EVERYTHING).out)
    places = [(hit["path"], hit["start_line"], hit["text"]) for hit in answer["hits"]]
    assert len(places) == len(set(places))
    changed = [hit["root"] for hit in answer["hits"] if hit["path"] == "cmd/tax.go" and hit["symbol"]]
    assert set(changed) == {str(shell.cwd), str(twin)}, "what differs is found in both"


def test_a_folder_inside_another_that_is_searched_gives_no_hit_twice(shell: Shell) -> None:
    places = shell.query("json", ".", "web", *EVERYTHING).places
    assert places == shell.query("json", ".", *EVERYTHING).places


def test_all_searches_every_folder_that_has_an_index(shell: Shell, two: Path, tmp_path: Path) -> None:
    assert shell.query("wrap a gift", "--all").status == 2, "there is none yet"
    assert shell.index().status == shell.index(str(two)).status == 0
    gone = write_files(tmp_path / "gone", {"gift.py": "def wrap_gift():\n    pass\n"})
    assert shell.index(str(gone)).status == 0
    shutil.rmtree(gone)
    answer = shell.query("wrap a gift", "--all", cwd=tmp_path)
    assert answer.places[0] == "store/gift.py:1"
    assert "gone" not in answer.out + answer.err


def test_all_says_that_an_index_cannot_be_read(shell: Shell, two: Path, tmp_path: Path) -> None:
    assert shell.index().status == shell.index(str(two)).status == 0
    (database,) = (tmp_path / "cache/modstar").glob("store-*/index-*.sqlite")
    database.write_bytes(b"no database")
    answer = shell.query("tax", "--all")
    assert answer.status == 2 and answer.places, "as grep has it"
    assert (
        answer.err == "modstar-query: 1 of the indexes cannot be read: not searched (see modstar indexes)\n"
    )


def test_fifty_projects_are_searched_together(shell: Shell, tmp_path: Path) -> None:
    for number in range(50):
        write_files(
            tmp_path / f"many/p{number}", {f"part{number}.py": f"def weigh_part_{number}(part):\n    pass\n"}
        )
    paths = [str(tmp_path / f"many/p{number}") for number in range(50)]
    answer = shell.query("weigh_part_31", *paths)
    assert answer.places[0] == f"{tmp_path}/many/p31/part31.py:1"
    if sys.platform != "win32":
        import resource

        def as_on_macos() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

        answer = shell.query("weigh_part_31", "--all", preexec_fn=as_on_macos)
        assert answer.places[0] == f"{tmp_path}/many/p31/part31.py:1"


def test_folders_in_a_list_are_searched_as_if_named(shell: Shell, two: Path, tmp_path: Path) -> None:
    listed = tmp_path / "projects.txt"
    listed.write_text(f"# mine\n.\n\n{two}\n")
    named = shell.query("tax on a price", ".", str(two), *EVERYTHING)
    assert shell.query("tax on a price", "--from", str(listed), *EVERYTHING).out == named.out != ""
    listed.write_text(f"{two}\n")
    assert shell.query("tax on a price", ".", "--from", str(listed), *EVERYTHING).out == named.out
    listed.write_text(f"{two}\n{tmp_path / 'gone'}\n")
    answer = shell.query("wrap a gift", "--from", str(listed))
    assert answer.status == 2 and answer.places[0] == f"{two}/gift.py:1" and answer.err.count("\n") == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_begins_with_a_byte_order_mark(shell: Shell, two: Path, tmp_path: Path, encoding: str) -> None:
    listed = tmp_path / "projects.txt"
    listed.write_bytes(f"{two}\r\n".encode(encoding))
    answer = shell.query("wrap a gift", "--from", str(listed))
    assert answer.places[0] == f"{two}/gift.py:1" and not answer.err


def test_a_list_comes_in_by_a_pipe(shell: Shell, two: Path) -> None:
    answer = shell.query("wrap a gift", "--from", "-", stdin=f"{two}\n".encode())
    assert answer.places[0] == f"{two}/gift.py:1" and not answer.err
    answer = shell.query("wrap a gift", "--from", "-", stdin=b"")
    assert (
        answer.status == 2 and answer.err == "modstar-query: standard input: names no folder (one a line)\n"
    )


@pytest.mark.parametrize("content", [None, b"", b"# nothing\n", b"a\0b\n", b"a\n" * 10_000_000])
def test_a_list_that_is_missing_or_names_nothing_is_one_line(
    shell: Shell, tmp_path: Path, content: bytes | None
) -> None:
    listed = tmp_path / "projects.txt"
    if content is not None:
        listed.write_bytes(content)
    answer = shell.query("tax", "--from", str(listed))
    assert answer.status == 2 and answer.err.count("\n") == 1 and str(listed) in answer.err


def test_one_folder_that_cannot_be_searched_does_not_keep_the_others_from_it(
    shell: Shell, two: Path, tmp_path: Path
) -> None:
    missing = str(tmp_path / "none" / "here")
    answer = shell.query("tax", ".", missing, str(two), *EVERYTHING)
    assert answer.status == 2 and files(answer) >= {"cmd/tax.go", str(two / "tax.py")}, "as grep has it"
    assert answer.err == f"modstar-query: {missing}: no such folder or file\n"
    nothing = shell.query("tax", missing, f"{missing}/2")
    assert (nothing.status, nothing.out, nothing.err.count("\n")) == (2, "", 2)
    answer = shell.query("tax", ".", str(two), "-t", "go", *EVERYTHING)
    assert answer.status == 0 and files(answer) == {"cmd/tax.go"}
    assert shell.query("tax", ".", str(two), "-t", "cobol").status == 2


def test_a_folder_whose_index_cannot_be_read_is_named_beside_the_hits_of_others(
    shell: Shell, two: Path, tmp_path: Path
) -> None:
    assert shell.index().status == shell.index(str(two)).status == 0
    (database,) = (tmp_path / "cache/modstar").glob("store-*/index-*.sqlite")
    database.write_bytes(b"no database")
    answer = shell.query("tax", ".", str(two), "--no-refresh", "--json", *EVERYTHING)
    assert answer.status == 2 and answer.err.startswith(f"modstar-query: {two}: the index in ")
    assert answer.err.count("\n") == 1
    assert {hit["path"] for hit in json.loads(answer.out)["hits"]} >= {"cmd/tax.go"}


def test_a_phrase_that_stands_in_one_folder_is_not_words_in_the_others(shell: Shell, two: Path) -> None:
    answer = shell.query('"value added tax"', ".", str(two), *EVERYTHING)
    assert answer.err == "" and str(two) not in answer.out


def test_a_question_of_words_without_quotes_is_still_told(shell: Shell) -> None:
    answer = shell.query("where", "are", "prices")
    assert answer.status == 2 and "quotes" in answer.err
