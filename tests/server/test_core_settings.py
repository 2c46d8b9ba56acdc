"""Settings, trust, commands and progress, as a client uses them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lsp_process import CAPABILITIES, Client, Message
from shop import FILES, lay_out

from modstar_lsp.server.settings import Settings, parse_settings

WITHOUT_PULL: Message = {**CAPABILITIES, "workspace": {**CAPABILITIES["workspace"], "configuration": False}}

Start = Callable[..., Client]


# -- settings


def settings(client: Client) -> Any:
    return client.request("modstar/status", {})["settings"]


def warnings(client: Client) -> list[str]:
    return [message["message"] for message in client.said("window/showMessage") if message["type"] == 2]


def test_settings_are_asked_for(start: Start, project: Path) -> None:
    client = start(configuration={"search": {"limit": 1}, "index": {"exclude": ["web/"]}})
    client.initialize(project)
    client.ready()
    assert settings(client)["search"]["limit"] == 1
    assert len(client.search("parse_settings a JSON document")["hits"]) == 1
    assert "totalPrice" not in client.symbols("total price of the items", limit=20)


def test_settings_are_pushed_where_the_client_cannot_be_asked(start: Start, project: Path) -> None:
    client = start()
    client.initialize(project, capabilities=WITHOUT_PULL, options={"settings": {"search": {"limit": 2}}})
    client.ready()
    assert settings(client)["search"]["limit"] == 2
    client.notify("workspace/didChangeConfiguration", {"settings": {"modstar": {"search": {"limit": 3}}}})
    assert settings(client)["search"]["limit"] == 3


@pytest.mark.parametrize(
    "nothing", [None, [], {}, {"modstar": []}, {"modstar": {}}, {"modstar": None}], ids=str
)
def test_no_settings_in_any_spelling_are_the_defaults(start: Start, project: Path, nothing: Any) -> None:
    client = start(configuration=None)
    client.initialize(project, capabilities=WITHOUT_PULL)
    client.notify("workspace/didChangeConfiguration", {"settings": nothing})
    assert settings(client) == Settings().wire()
    assert warnings(client) == []


def test_a_wrong_setting_is_reported_once_and_defaulted(start: Start, project: Path) -> None:
    client = start(configuration={"search": {"limit": "many"}, "background": {"share": 0.25}})
    client.initialize(project)
    client.ready()
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    status = client.ready()
    assert status["settings"]["search"]["limit"] == 20
    assert status["settings"]["background"]["share"] == 0.25
    assert len(status["problems"]) == 1
    assert [line for line in warnings(client) if "modstar.search.limit" in line] == status["problems"]


@pytest.mark.parametrize(
    "raw",
    [
        "text",
        7,
        [1],
        {"search": 3},
        {"search": {"limit": True}},
        {"search": {"limit": 201}},
        {"search": {"minScore": 2}},
        {"index": {"exclude": "web/"}},
        {"index": {"exclude": [""]}},
        {"index": {"untrusted": "always"}},
        {"background": {"share": 0}},
        {"background": {"onBattery": False}},
        {"codeLens": {"enabled": "yes"}},
        {"search": {"limt": 3}},
    ],
    ids=str,
)
def test_each_wrong_value_is_named(raw: Any) -> None:
    found, problems = parse_settings(raw)
    assert found == Settings()
    assert len(problems) == 1 and problems[0].startswith("modstar")


def test_what_clients_add_for_themselves_is_no_problem() -> None:
    assert parse_settings({"trace": {"server": "off"}, "path": ["x"], "enable": True}) == (Settings(), [])


def test_dotted_names_are_understood() -> None:
    assert parse_settings({"search.limit": 5})[0].search_limit == 5


def test_excluded_files_leave_and_return_with_the_setting(start: Start, project: Path) -> None:
    client = start()
    client.initialize(project)
    client.ready()
    client.comes_up("totalPrice", "total price of the items")
    client.configuration = {"index": {"exclude": ["web/"]}}
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    client.goes_away("totalPrice", "total price of the items")
    client.configuration = []  # an empty table of Lua
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    client.comes_up("totalPrice", "total price of the items")
    client.configuration = {"index": {"exclude": ["web/"]}}
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    client.goes_away("totalPrice", "total price of the items")
    client.exit()

    again = start()  # the setting is gone while nobody looked
    again.initialize(project)
    again.comes_up("totalPrice", "total price of the items")


def test_globs_given_on_the_command_line_outlive_a_session_without_settings(
    start: Start, project: Path, tmp_path: Path
) -> None:
    from modstar_lsp.workspace import Workspace

    with Workspace.open(project, index_dir=tmp_path / "indexes") as workspace:
        workspace.refresh(exclude=["web/"])
    client = start()
    client.initialize(project)
    client.ready()
    assert "totalPrice" not in client.symbols("total price of the items")


# -- trust


def test_an_untrusted_workspace_is_not_indexed_until_it_is_trusted(
    start: Start, project: Path, tmp_path: Path
) -> None:
    client = start()
    client.initialize(project, options={"trusted": False})
    status = client.until(lambda status: status["folders"][0]["coverage"]["state"] == "off")
    assert "not trusted" in status["folders"][0]["message"]
    assert client.search("parse_settings a JSON document")["hits"] == []
    assert not (tmp_path / "indexes").exists()
    client.notify("modstar/trust", {"trusted": True})
    client.ready()
    assert client.symbols("parse_settings a JSON document")[0] == "parse_json"


def test_trust_that_is_taken_away_ends_indexing(client: Client) -> None:
    client.notify("modstar/trust", {"trusted": False})
    client.until(lambda status: status["folders"][0]["coverage"]["state"] == "off")
    assert client.search("parse_settings a JSON document")["hits"] == []


def test_a_temporary_index_is_gone_with_the_server(start: Start, project: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    client = start(
        configuration={"index": {"untrusted": "temporary"}}, environment={"TMPDIR": str(temporary)}
    )
    client.initialize(project, options={"trusted": False})
    status = client.ready()
    place = Path(status["folders"][0]["indexFolder"])
    assert temporary in place.parents and place.is_dir()
    if sys.platform != "win32":
        assert place.parent.stat().st_mode & 0o077 == 0
    assert client.symbols("parse_settings a JSON document")[0] == "parse_json"
    client.exit()
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "indexes").exists()


# -- commands


def test_paused_it_answers_from_what_it_knows_and_learns_nothing(client: Client, project: Path) -> None:
    client.command("modstar.pause")
    assert client.request("modstar/status", {})["paused"] is True
    late = project / "app" / "late.py"
    late.write_text('def compress_archive():\n    """Pack files into an archive."""\n')
    client.changed(late, kind=1)
    for _ in range(20):
        assert "compress_archive" not in client.symbols("compress archive")
    assert client.symbols("parse_settings a JSON document")[0] == "parse_json"
    client.command("modstar.resume")
    client.comes_up("compress_archive")
    assert client.ready()["paused"] is False


def test_cleared_it_knows_nothing_until_it_is_resumed(client: Client) -> None:
    client.command("modstar.clear")
    client.until(lambda status: status["folders"][0]["coverage"]["chunks"] == 0)
    assert client.search("parse_settings a JSON document")["hits"] == []
    assert client.request("modstar/status", {})["folders"][0]["coverage"]["state"] == "paused"
    client.command("modstar.resume")
    client.comes_up("parse_json")


def test_reindexed_it_knows_everything_again(client: Client) -> None:
    before = client.ready()["folders"][0]["coverage"]["chunks"]
    client.command("modstar.reindex")
    coverage = client.request("modstar/status", {})["folders"][0]["coverage"]
    assert coverage["state"] == "indexing" or coverage["chunks"] == before  # never "ready" with nothing
    client.comes_up("parse_json")
    assert client.ready()["folders"][0]["coverage"]["chunks"] == before


def test_an_unknown_command_is_an_error(client: Client) -> None:
    error = client.error("workspace/executeCommand", {"command": "modstar.dance", "arguments": []})
    assert error["code"] == -32602
    assert "modstar.dance" in error["message"]


# -- progress and status


@pytest.fixture
def large(project: Path) -> Path:
    code = FILES["app/transfer.py"]
    return lay_out(project, {f"many/{n}.py": code.replace("upload", f"upload_{n}") * 4 for n in range(1500)})


def progress(client: Client, kind: str) -> list[Message]:
    values = [params["value"] for params in client.said("$/progress")]
    return [value for value in values if value.get("kind") == kind]


def test_a_long_indexing_shows_how_far_it_is(start: Start, large: Path) -> None:
    client = start()
    client.initialize(large)
    client.ready()
    assert len(client.said("window/workDoneProgress/create")) == 1
    (begin,) = progress(client, "begin")
    assert begin["cancellable"] and large.name in begin["title"]
    reports = progress(client, "report")
    assert reports and all(" of " in report["message"] for report in reports)
    assert client.wait(lambda message: message.get("params", {}).get("value", {}).get("kind") == "end")


def test_a_client_without_bars_is_sent_none(start: Start, large: Path) -> None:
    client = start()
    client.initialize(large, capabilities={**CAPABILITIES, "window": {}})
    client.ready()
    assert client.said("window/workDoneProgress/create") == client.said("$/progress") == []


def test_cancelling_the_bar_pauses_and_resume_goes_on(start: Start, large: Path) -> None:
    client = start()
    client.initialize(large)
    begun = client.wait(lambda message: message.get("params", {}).get("value", {}).get("kind") == "begin")
    client.notify("window/workDoneProgress/cancel", {"token": begun["params"]["token"]})
    status = client.until(lambda status: status["folders"][0]["coverage"]["state"] == "paused")
    assert status["folders"][0]["coverage"]["share"] < 1
    answer = client.search("upload a file")
    assert "paused" in answer["message"]
    client.command("modstar.resume")
    assert client.ready()["folders"][0]["coverage"]["share"] == 1


def test_a_client_that_knows_us_hears_of_changes_and_others_do_not(start: Start, large: Path) -> None:
    knowing, plain = start(), start()
    knowing.initialize(large, options={"trusted": True})
    plain.initialize(large)  # asks nothing that is ours

    def is_ready(message: Message) -> bool:
        if message.get("method") != "modstar/statusChanged":
            return False
        return message["params"]["folders"][0]["coverage"]["state"] in ("ready", "deepening")

    knowing.wait(is_ready)
    while not plain.request("workspace/symbol", {"query": "upload 7"}):
        pass
    assert plain.said("modstar/statusChanged") == []


# -- a client that is slow


def test_an_answer_that_comes_too_late_is_let_go(start: Start, project: Path) -> None:
    given_up = threading.Event()
    client = start(answers={"client/registerCapability": lambda _: given_up.wait(60) and None})
    client.initialize(project)
    while "the client does not answer" not in client.stderr:
        assert client.process.poll() is None, client.stderr
        time.sleep(0.05)
    given_up.set()
    client.ready()
    assert "Traceback" not in client.stderr
