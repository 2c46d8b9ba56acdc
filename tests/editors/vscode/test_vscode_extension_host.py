"""The extension in VS Code's real extension host: each promise in host/*.js is kept."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.editors.vscode.vscode_window import CodeServer, Window

HOST = Path(__file__).resolve().parent / "host"


def promises(module: str) -> list[str]:
    """The names of the tests in a module of host/."""
    return re.findall(r"^exports\['(.+)'\]", (HOST / f"{module}.js").read_text(), re.MULTILINE)


def run_in_host(
    module: str,
    folder: Path,
    base: Path,
    environment: dict[str, str],
    vsix: Path,
    *,
    trusted: bool = True,
    settings: dict[str, Any] | None = None,
) -> dict[str, str | None]:
    """Each promise of the module with None when it was kept, else what went wrong."""
    results = base / f"{module}.json"
    extension = base / f"{module}-extension"
    with zipfile.ZipFile(vsix) as package:
        package.extractall(extension)
    environment = {**environment, "MODSTAR_PROMISES": module, "MODSTAR_RESULTS": str(results)}
    state = base / f"{module}-state"
    server = CodeServer(state, environment, settings=settings, trusted=trusted, tests_inside=True)
    with server, Window() as window:
        url = server.url(
            folder, extensionDevelopmentPath=extension / "extension", extensionTestsPath=HOST / "index.js"
        )
        code = window.do("run", url)
        if not results.exists():
            window.do("picture", str(base / f"{module}.png"))
        assert results.exists(), f"the tests did not end ({code}); see {base}\n{server.logs()}"
        (base / f"{module}.log").write_text(server.logs(), encoding="utf-8")
        outcome = json.loads(results.read_text())
        return {
            promise: None
            if outcome.get(promise, "") is None
            else f"{outcome.get(promise, 'never ran')}\n{server.logs()}"
            for promise in promises(module)
        }


@pytest.fixture(scope="module")
def trusted(shop: Path, base: Path, environment: dict[str, str], vsix: Path) -> dict[str, str | None]:
    return run_in_host("trusted", shop, base, environment, vsix)


@pytest.fixture(scope="module")
def missing(shop: Path, base: Path, bare_environment: dict[str, str], vsix: Path) -> dict[str, str | None]:
    return run_in_host("missing", shop, base, bare_environment, vsix)


@pytest.fixture(scope="module")
def tools(shop: Path, base: Path, environment: dict[str, str], vsix: Path) -> dict[str, str | None]:
    return run_in_host("tools", shop, base, environment, vsix, settings={"chat.disableAIFeatures": False})


@pytest.fixture(scope="module")
def untrusted(shop: Path, base: Path, environment: dict[str, str], vsix: Path) -> dict[str, str | None]:
    program = shop / "modstar-lsp"
    program.write_text(f"#!/bin/sh\ntouch '{shop}/ran'\n")
    program.chmod(0o755)
    settings = {
        "modstar.path": [str(program)],
        "modstar.interpreter": [str(program)],
        "modstar.index.untrusted": "temporary",
    }
    (shop / ".vscode").mkdir()
    (shop / ".vscode" / "settings.json").write_text(json.dumps(settings))
    return run_in_host("untrusted", shop, base, environment, vsix, trusted=False)


@pytest.mark.parametrize("promise", promises("trusted"))
def test_in_a_trusted_workspace(trusted: dict[str, str | None], promise: str) -> None:
    assert trusted[promise] is None, trusted[promise]


def test_a_setting_that_restarts_the_server_logs_no_error(trusted: dict[str, str | None], base: Path) -> None:
    log = (base / "trusted.log").read_text("utf-8")
    assert log.count("found by the setting modstar.path") > 0
    assert not re.findall(r"\[error\] Sending .* failed.*", log)


@pytest.mark.parametrize("promise", promises("missing"))
def test_without_a_server(missing: dict[str, str | None], promise: str) -> None:
    assert missing[promise] is None, missing[promise]


@pytest.mark.parametrize("promise", promises("tools"))
def test_to_the_editors_own_agent(tools: dict[str, str | None], promise: str) -> None:
    assert tools[promise] is None, tools[promise]


@pytest.mark.parametrize("promise", promises("untrusted"))
def test_in_restricted_mode(untrusted: dict[str, str | None], promise: str) -> None:
    assert untrusted[promise] is None, untrusted[promise]
