"""Folders come, go and have any name; each hit says which one it lies in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from lsp_process import Client
from shop import FILES, lay_out

PARCEL = "def weigh_parcel(parcel):\n    return parcel.mass * 1000\n"


def change_folders(client: Client, added: list[Path], removed: list[Path]) -> None:
    def named(folders: list[Path]) -> list[Any]:
        return [{"uri": folder.as_uri(), "name": folder.name} for folder in folders]

    client.notify(
        "workspace/didChangeWorkspaceFolders", {"event": {"added": named(added), "removed": named(removed)}}
    )


def places(client: Client, query: str, **filters: Any) -> list[tuple[str, str]]:
    return [(hit["folder"], hit["path"]) for hit in client.search(query, minScore=0, **filters)["hits"]]


def test_several_folders_are_searched_together(
    start: Callable[..., Client], project: Path, tmp_path: Path
) -> None:
    post = lay_out(tmp_path / "post", {"parcel.py": PARCEL, "upload.py": "def upload(parcel):\n    pass\n"})
    client = start()
    client.initialize(project, post)
    client.ready(2)
    hits = client.search("upload a parcel", minScore=0)["hits"]
    assert {hit["folder"] for hit in hits} == {project.as_uri(), post.as_uri()}
    assert [hit["rank"] for hit in hits] == list(range(1, len(hits) + 1))
    scores = [hit["score"] for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert {folder for folder, _ in places(client, "upload", folders=[post.as_uri()])} == {post.as_uri()}
    code = {"textDocument": {"uri": (post / "upload.py").as_uri()}, "position": {"line": 0, "character": 0}}
    similar = client.request("modstar/similar", code | {"minScore": 0})["hits"]
    assert project.as_uri() in {hit["folder"] for hit in similar}
    assert (post.as_uri(), "upload.py") not in [(hit["folder"], hit["path"]) for hit in similar]


def test_folders_are_added_and_removed(start: Callable[..., Client], project: Path, tmp_path: Path) -> None:
    post = lay_out(tmp_path / "post", {"parcel.py": PARCEL})
    client = start()
    client.initialize(project)
    client.ready()
    assert (post.as_uri(), "parcel.py") not in places(client, "weigh a parcel")
    change_folders(client, [post], [])
    client.ready(2)
    assert places(client, "weigh a parcel")[0] == (post.as_uri(), "parcel.py")
    change_folders(client, [], [project])
    client.ready(1)
    assert {folder for folder, _ in places(client, "upload settings parcel")} == {post.as_uri()}
    change_folders(client, [], [post])
    assert client.search("weigh a parcel")["hits"] == []
    change_folders(client, [project], [])
    client.ready(1)
    assert places(client, "parse json")


def test_an_open_document_outlives_its_folder_and_counts_again_in_the_next(
    start: Callable[..., Client], project: Path
) -> None:
    client = start()
    client.initialize()
    uri = client.open(project / "app/new.py", PARCEL)
    assert client.search("weigh a parcel")["hits"] == []
    change_folders(client, [project], [])
    client.ready()
    assert places(client, "weigh a parcel")[0] == (project.as_uri(), "app/new.py")
    assert client.search("weigh a parcel", minScore=0)["hits"][0]["uri"] == uri


@pytest.mark.parametrize("more", [{}, {"rootUri": None, "rootPath": None}, {"workspaceFolders": []}])
def test_without_a_folder_it_answers_none(start: Callable[..., Client], more: Any) -> None:
    client = start()
    client.initialize(**more)
    answer = client.search("parse json")
    assert answer["hits"] == []
    assert answer["message"]
    assert client.request("workspace/symbol", {"query": "parse json"}) in ([], None)
    assert client.request("modstar/status", {})["folders"] == []
    assert client.exit() == 0


@pytest.mark.parametrize("key", ["rootUri", "rootPath"])
def test_clients_of_old_name_one_root(start: Callable[..., Client], project: Path, key: str) -> None:
    client = start()
    client.initialize(**{key: project.as_uri() if key == "rootUri" else str(project)})
    client.ready()
    assert places(client, "parse json")[0] == (project.as_uri(), "app/json_io.py")


@pytest.mark.parametrize(
    "name",
    ["two words", "100%", "%41", "ä漢😀", "a#b", "q?", "c;d", "plus+and&", "it's", "[x]", "back\\slash"],
)
def test_names_of_any_kind(start: Callable[..., Client], tmp_path: Path, name: str) -> None:
    folder = lay_out(tmp_path / name, {f"{name} 1/{name}.py": PARCEL, "other.py": FILES["app/json_io.py"]})
    client = start()
    client.initialize(folder)
    client.ready()
    hit = client.search("weigh a parcel", minScore=0)["hits"][0]
    assert hit["folder"] == folder.as_uri()
    assert hit["path"] == f"{name} 1/{name}.py"
    assert Path(unquote(hit["uri"].removeprefix("file://"))) == folder / hit["path"]
    assert hit["uri"].isascii()
    # The same file under the client's own spelling of its name is the same file.
    spelled = (
        "file://" + json.dumps(str(folder / hit["path"]))[1:-1].replace("\\\\", "\\")
        if name == "two words"
        else ((folder / hit["path"]).as_uri())
    )
    document = {
        "uri": spelled,
        "languageId": "python",
        "version": 1,
        "text": PARCEL.replace("weigh", "measure"),
    }
    client.notify("textDocument/didOpen", {"textDocument": document})
    hits = client.search("measure_parcel", minScore=0)["hits"]
    assert (hits[0]["uri"], hits[0]["symbol"]) == (spelled, "measure_parcel")
    assert [other["path"] for other in hits].count(hit["path"]) == 1
    client.notify("textDocument/didClose", {"textDocument": {"uri": spelled}})
    assert client.search("measure_parcel", minScore=0)["hits"][0]["symbol"] == "weigh_parcel"


def test_a_folder_within_another_gives_each_place_once(start: Callable[..., Client], project: Path) -> None:
    client = start()
    client.initialize(project, project / "app")
    client.ready(2)
    hits = client.search("parse json settings", minScore=0)["hits"]
    found = [(hit["uri"], json.dumps(hit["range"])) for hit in hits]
    assert len(found) == len(set(found))


def test_a_folder_that_is_not_there_or_not_a_file_says_so(
    start: Callable[..., Client], project: Path
) -> None:
    client = start()
    client.initialize(project, project.parent / "missing")
    change_folders(client, [], [])
    client.notify(
        "workspace/didChangeWorkspaceFolders",
        {"event": {"added": [{"uri": "vscode-vfs://github/a/b", "name": "remote"}], "removed": []}},
    )
    status = client.until(
        lambda status: (
            [folder["coverage"]["state"] for folder in status["folders"]] == ["ready", "failed", "off"]
        )
    )
    assert [bool(folder.get("message")) for folder in status["folders"]] == [False, True, True]
    assert places(client, "parse json")[0] == (project.as_uri(), "app/json_io.py")


def test_a_folder_that_is_open_through_a_link_too_gives_each_place_once(
    start: Callable[..., Client], project: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(project)
    client = start()
    client.initialize(project, tmp_path / "link")
    client.ready(2)
    found = [(hit["path"], str(hit["range"])) for hit in client.search("parse json", minScore=0)["hits"]]
    assert found
    assert len(found) == len(set(found))
