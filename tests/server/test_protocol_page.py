"""docs/protocol.md says what is true: its types fit the messages, and its client works."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lsp_process import Client

from modstar_lsp.server.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs/protocol.md").read_text(encoding="utf-8")


def code(language: str) -> str:
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL))


def fields(interface: str) -> tuple[set[str], set[str]]:
    """(required, optional) fields of an interface of the page."""
    found = re.search(rf"interface {interface}[^{{]*{{\n(.*?)\n}}", code("ts"), re.DOTALL)
    assert found, f"the page has no {interface}"
    declared = re.findall(r"^  (\w+)(\??):", found[1], re.MULTILINE)
    return {name for name, mark in declared if not mark}, {name for name, mark in declared if mark}


def assert_fits(value: dict[str, Any], interface: str) -> None:
    required, optional = fields(interface)
    assert required <= value.keys() <= required | optional, interface


def test_answers_have_the_fields_of_the_page(served: Client) -> None:
    answer = served.search("parse json", minScore=0)
    assert_fits(answer, "Answer")
    assert_fits(answer["coverage"], "Coverage")
    for hit in answer["hits"]:
        assert_fits(hit, "Hit")
        assert hit["kind"] in re.findall(r'"(\w+)"', PAGE[PAGE.index("  kind: ") :].split(";")[0])
    nothing = served.search("parse json", minScore=1)
    assert_fits(nothing, "Answer")
    assert_fits(nothing["closest"], "Hit")


def test_the_status_has_the_fields_of_the_page(served: Client) -> None:
    status = served.request("modstar/status", {})
    assert_fits(status, "Status")
    assert served.request("modstar/status").keys() == status.keys()
    (folder,) = status["folders"]
    assert_fits(folder["coverage"], "Coverage")
    inside = PAGE[PAGE.index("  folders: {") : PAGE.index("  }[];")]
    declared = set(re.findall(r"^    (\w+)\??:", inside, re.MULTILINE))
    assert folder.keys() <= declared <= folder.keys() | {"message"}


def test_the_settings_and_their_defaults_are_those_of_the_page() -> None:
    found = re.search(r"interface Settings {\n(.*?)\n}", code("ts"), re.DOTALL)
    assert found
    page: dict[str, dict[str, str]] = {}
    group = ""
    for line in found[1].split("\n"):
        if opened := re.match(r"  (\w+)\?: {", line):
            group = opened[1]
        elif setting := re.match(r"    (\w+)\?: [^;]*;\s+// (\S+)", line):
            page.setdefault(group, {})[setting[1]] = setting[2]

    def written(value: Any) -> str:
        if isinstance(value, str):
            return f'"{value}"'
        return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))

    assert page == {
        group: {key: written(value) for key, value in inside.items()}
        for group, inside in Settings().wire().items()
    }


@pytest.mark.parametrize("command", re.findall(r"^\| `(modstar\.\w+)` \| (?:none|`\[)", PAGE, re.MULTILINE))
def test_the_commands_are_declared(start: Callable[..., Client], project: Path, command: str) -> None:
    declared = start().initialize(project)["capabilities"]["executeCommandProvider"]["commands"]
    assert command in declared


def test_the_client_of_the_page_finds_something(project: Path, tmp_path: Path) -> None:
    program = code("python").replace('["modstar-lsp"]', repr([sys.executable, "-m", "modstar_lsp.server"]))
    (tmp_path / "client.py").write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "client.py"), str(project), "try again when sending a file fails"],
        capture_output=True,
        text=True,
        timeout=60,
        env={"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": "", "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert re.match(r"0\.\d\d  app/transfer.py:1  upload\n", done.stdout), done.stdout
