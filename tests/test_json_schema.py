"""What the commands print with --json is what docs/schema.json says, and the schema names every field."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from modstar_lsp import __version__
from tests.cli.conftest import FILES, Shell, make_shell, write_files

SCHEMA = json.loads((Path(__file__).parents[1] / "docs/schema.json").read_text("utf-8"))


def strict(schema: Any) -> Any:
    """The schema without room for fields that it does not name."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inside = {key: strict(value) for key, value in schema.items()}
    return (
        {**inside, "additionalProperties": False}
        if "required" in schema and "properties" in schema
        else inside
    )


def check(text: str, kind: str) -> dict[str, Any]:
    """One printed object, which is of this kind in every field."""
    told = json.loads(text)
    schema = {**strict(SCHEMA), "$ref": f"#/$defs/{kind}"}
    problems = [
        f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(told)
    ]
    assert not problems
    assert told["version"] == __version__
    return told


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shop that is indexed, and another project beside it."""
    folder = tmp_path_factory.mktemp("json")
    for name in ("shop", "store"):
        (folder / name / ".git").mkdir(parents=True)
        write_files(folder / name, FILES)
    return make_shell(folder, folder / "shop")


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "arguments",
    [
        ("parse_json",),
        ("parse_json", "--explain", "--no-snippet"),
        ("json document", "--min-score", "0", "-k", "50"),
        ("parse json", ".", "../store"),
        ("--similar", "src/shop/jsonio.py:6", "--min-score", "0"),
    ],
)
def test_hits(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert check(shell.query(*arguments, "--json").out, "search")["hits"]


@pytest.mark.parametrize("question", ["gluon lattice chromodynamics", "parse_jsno"])
def test_nothing_found(shell: Shell, question: str) -> None:
    told = check(shell.query(question, "--json", "--min-score", "1").out, "search")
    assert not told["hits"] and (told["closest"] or told["did_you_mean"])


@pytest.mark.parametrize(
    ("arguments", "kind"), [((), "index"), (("--dry-run",), "dry_run"), (("--status",), "status")]
)
def test_the_index(shell: Shell, arguments: tuple[str, ...], kind: str) -> None:
    shell.index()  # no status without one, whichever test comes first
    assert check(shell.index(*arguments, "--json").out, kind)["files"]


def test_an_index_that_goes(shell: Shell) -> None:
    gone = write_files(shell.cwd.parent / "gone", {"scale.py": "def weigh_parcel(parcel):\n    return 1\n"})
    for command in (shell.index, shell.index):
        assert command(str(gone)).status == 0
    shutil.rmtree(gone)
    assert len(check(shell.run("indexes", "--json").out, "indexes")["indexes"]) >= 1
    assert len(check(shell.run("indexes", "prune", "--dry-run", "--json").out, "pruned")["removed"]) == 1
    assert not check(shell.run("indexes", "prune", "--json").out, "pruned")["dry_run"]


def test_a_cleared_index(shell: Shell) -> None:
    store = str(shell.cwd.parent / "store")
    assert shell.index(store).status == 0
    assert check(shell.index("--clear", store, "--json").out, "cleared")["cleared"] == 7


def test_a_watched_folder_tells_each_change_in_a_line(shell: Shell) -> None:
    with shell.start("index", "--watch", "--json") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stderr.readline()  # that it watches
        first = ""
        while not first.endswith("\n}\n"):
            first += process.stdout.readline().decode()
        check(first, "index")
        write_files(shell.cwd, {"src/shop/coupon.py": "def redeem_coupon(code):\n    return code\n"})
        assert check(process.stdout.readline().decode(), "change")["added"] == 1
        process.terminate()
        process.communicate(timeout=60)
