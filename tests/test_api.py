"""`import modstar`: what a program or a notebook can rely on."""

from __future__ import annotations

import doctest
import inspect
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import modstar
from modstar_lsp.workspace import Workspace
from tests.cli.conftest import FILES, write_files
from tests.reader_endpoint import completion, playing

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shop in `~/src/shop` of a home folder of its own."""
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "cache"))
    (tmp_path / "src/shop/.git").mkdir(parents=True)
    return write_files(tmp_path / "src/shop", FILES)


def test_every_example_of_the_page_does_what_it_says(shop: Path) -> None:
    page = ROOT / "docs/api.md"
    failed, tried = doctest.testfile(str(page), module_relative=False, verbose=False)
    assert tried > 20 and not failed


def test_the_page_names_everything_that_is_offered() -> None:
    page = (ROOT / "docs/api.md").read_text("utf-8")
    documented = {*re.findall(r"\w+", page)}
    offered = {name for name in vars(modstar.Project) if not name.startswith("_")}
    assert offered <= documented
    for name in modstar.__all__:
        assert (getattr(modstar, name).__doc__ or "").strip(), name


def test_it_is_typed_and_each_argument_is_documented() -> None:
    assert (Path(modstar.__file__).parent / "py.typed").is_file()
    told = f"{modstar.open.__doc__}{modstar.Project.search.__doc__}"
    for call in (modstar.open, modstar.Project.search):
        for name, parameter in inspect.signature(call).parameters.items():
            assert parameter.annotation is not inspect.Parameter.empty or name == "self"
            assert name == "self" or f"{name}:" in told


def test_a_saved_file_is_found_and_a_deleted_one_is_not(shop: Path) -> None:
    with modstar.open(shop) as project:
        assert project.search("redeem coupon code", min_score=0)[0].path != "coupon.py"
        write_files(shop, {"coupon.py": "def redeem_coupon(code):\n    return code.strip()\n"})
        assert project.search("redeem coupon code")[0].path == "coupon.py"
        (shop / "coupon.py").unlink()
        asis = project.search("redeem coupon code", refresh=False, min_score=0)
        assert asis[0].path == "coupon.py" and asis[0].text == ""
        assert project.search("redeem coupon code", min_score=0)[0].path != "coupon.py"


def test_what_is_saved_while_a_project_is_watched_is_found(shop: Path) -> None:
    indexed = threading.Event()
    with modstar.open(shop) as project, project.watch(lambda report: indexed.set()) as watch:
        write_files(shop, {"coupon.py": "def redeem_coupon(code):\n    return code.strip()\n"})
        assert indexed.wait(60)
        assert watch.is_fresh
        assert project.search("redeem coupon code")[0].path == "coupon.py"
        with pytest.raises(modstar.WorkspaceError, match="watched already"):
            project.watch()
    with modstar.open(shop) as project:
        project.watch().close()
        project.watch().close()


def test_what_was_let_into_a_project_is_watched(shop: Path) -> None:
    write_files(shop, {"coupon.rules": "first rule\n"})
    with Workspace.open(shop) as workspace:
        workspace.refresh(include=["*.rules"])
    indexed = threading.Event()
    with modstar.open(shop) as project, project.watch(lambda report: indexed.set()):
        write_files(shop, {"coupon.rules": "redeem a coupon once\n"})
        assert indexed.wait(60)
        assert project.search("redeem a coupon once")[0].path == "coupon.rules"


def test_a_folder_of_a_project_is_searched_in_its_index(shop: Path) -> None:
    with modstar.open(shop / "web") as project:
        assert project.root == shop.resolve()
        assert {hit.path.split("/")[0] for hit in project.search("parse json", min_score=0)} == {"web"}


def test_without_a_path_it_is_the_project_around_the_current_folder(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop / "src/shop")
    assert modstar.open().root == shop.resolve()
    monkeypatch.chdir(shop.parents[1])
    with pytest.raises(modstar.WorkspaceError, match="a lot to index"):
        modstar.open()


def test_several_threads_may_ask_one_project(shop: Path) -> None:
    found: list[str] = []
    with modstar.open(shop) as project:
        threads = [
            threading.Thread(target=lambda: found.append(project.search("parse_json")[0].symbol))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == ["parse_json"] * 8


def test_a_table_obeys_nothing_that_stands_in_the_code(shop: Path) -> None:
    code = 'def show_banner(page):\n    page.write("</pre><script>alert(1)</script>&amp;")\n'
    write_files(shop, {"web/<b>&.py": code})
    with modstar.open(shop) as project:
        answer = project.search("show_banner <i>")
        for shown in (answer._repr_html_(), answer[0]._repr_html_()):
            assert "show_banner" in shown and "&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;" in shown
            assert not re.search(r"<(script|b|i)\b", shown)
        nothing = project.search("gluon <script> chromodynamics", min_score=1)
        assert "<script" not in nothing._repr_html_() and "no good match" in nothing._repr_html_()


@pytest.mark.parametrize(
    ("mistake", "kind", "said"),
    [
        (lambda project: project.search("..."), modstar.QueryError, "holds no words"),
        (lambda project: project.search("json", language="klingon"), modstar.QueryError, "language must"),
        (lambda project: project.search("json", k=0), modstar.QueryError, "k "),
        (lambda project: project.search("json", content="code " * 3), modstar.QueryError, "content"),
        (lambda project: project.outline("src"), modstar.WorkspaceError, "no such file"),
        (lambda project: project.outline("../../../etc/passwd"), modstar.WorkspaceError, "outside"),
        (lambda project: project.outline(".env"), modstar.WorkspaceError, "not searched"),
        (lambda project: project.similar(modstar.Place("web/client.ts", 900)), modstar.QueryError, "900"),
        (lambda project: project.similar(modstar.Place("web/client.ts", 0)), modstar.QueryError, "from 1"),
        (lambda project: project.similar("  "), modstar.QueryError, "holds no words"),
    ],
)
def test_a_mistake_is_one_line_of_its_kind(shop: Path, mistake, kind, said: str) -> None:  # type: ignore[no-untyped-def]
    with modstar.open(shop) as project, pytest.raises(kind) as error:
        mistake(project)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_importing_it_loads_neither_numpy_nor_a_model() -> None:
    program = "import sys, modstar; print(sorted({'numpy', 'onnxruntime', 'tree_sitter'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_the_users_own_reader_orders_or_a_note_says_why_not(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = "what happens when sending a picture fails?"
    with playing() as endpoint, modstar.open(shop) as project:
        monkeypatch.setenv("MODSTAR_READER", endpoint.url)
        before = project.search(question, min_score=0, k=30)
        ordered = project.search(question, min_score=0, k=30, budget=60)
        assert [hit.path for hit in ordered][1:3] == [hit.path for hit in before][:2] and not ordered.note
        endpoint.answer = lambda request: completion("")
        assert "no list of numbers" in project.search(question, min_score=0, budget=60).note


def test_what_can_be_no_path_or_no_number_is_refused_in_one_line(shop: Path) -> None:
    for wrong in ({"path": ""}, {"path": "a\0"}, {"path": shop, "index_dir": ""}):
        with pytest.raises(modstar.WorkspaceError, match="must name a folder"):
            modstar.open(**wrong)  # type: ignore[arg-type]
    with pytest.raises(modstar.WorkspaceError, match="no such folder"):
        modstar.open("~no-such-user/src")
    with modstar.open(shop) as project:
        for path in ("a\0", "x" * 5_000, "\ud800", "~no-such-user/a.py"):
            with pytest.raises(modstar.WorkspaceError):
                project.outline(path)
        with pytest.raises(modstar.QueryError, match="the budget is nan"):
            project.search("tax", budget=float("nan"))
        with pytest.raises(TypeError, match="question must be a str"):
            project.search(None)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="a str, a Hit or a Place"):
            project.similar(("cmd/tax.go", 4))  # type: ignore[arg-type]
