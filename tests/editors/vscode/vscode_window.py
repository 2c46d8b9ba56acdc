"""VS Code's real workbench and extension host as processes: a server on loopback, a browser to look at it."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from tests.editors.editor_programs import program

HERE = Path(__file__).resolve().parent
# Generous: these end hangs, they measure nothing.
START_SECONDS = 180.0
# Above three times TIMEOUT_MS of driver/window.mjs, after which that answers by itself.
ANSWER_SECONDS = 600.0
# How often the palette is opened for a command, and how often looked at, tenths of a second apart.
_PALETTES, _LOOKS = 6, 150

QUICK_INPUT = ".quick-input-widget .quick-input-box input"
QUICK_ROWS = ".quick-input-widget .quick-input-list .monaco-list-row"
SEARCH_INPUT = f"{QUICK_INPUT}[placeholder^='Describe']"
STATUS = "#modstar\\.modstar\\.modstar\\.status"
RESULTS = ".pane-body .monaco-list-row"
MENU = ".monaco-menu .action-item"
NOTIFICATION = ".notifications-toasts .notification-list-item"

USER_SETTINGS = {
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "files.autoSave": "off",  # as in the desktop program
    "extensions.autoUpdate": False,
    "extensions.autoCheckUpdates": False,
    "extensions.ignoreRecommendations": True,
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "workbench.enableExperiments": False,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "chat.disableAIFeatures": True,
    "chat.commandCenter.enabled": False,
    "security.workspace.trust.startupPrompt": "never",
    "git.openRepositoryInParentFolders": "never",
    "git.blame.statusBarItem.enabled": False,
    "editor.minimap.enabled": False,
    "workbench.colorTheme": "Dark Modern",
}


class CodeServer:
    """VS Code's server in a folder of its own, its extension host with the environment given.

    settings: those of the user, besides USER_SETTINGS.
    """

    def __init__(
        self,
        state: Path,
        environment: Mapping[str, str],
        *,
        settings: Mapping[str, Any] | None = None,
        trusted: bool = True,
        tests_inside: bool = False,
    ) -> None:
        self.home = Path(program("vscode"))
        self.state = state
        (state / "user" / "User").mkdir(parents=True)
        (state / "user" / "User" / "settings.json").write_text(
            json.dumps({**USER_SETTINGS, **(settings or {})})
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.environment = {
            **environment,
            "PATH": f"{environment['PATH']}:{self.home / 'bin'}",
            # no address of a gallery that could be asked
            "EXTENSIONS_GALLERY": '{"serviceUrl":"http://127.0.0.1:9/none","itemUrl":"","resourceUrlTemplate":""}',
        }
        self.arguments = [
            str(self.home / "bin" / "node"),
            str(self.home / "vscode" / "out" / "server-main.js"),
        ]
        self.arguments += ["--accept-server-license-terms", "--telemetry-level", "off"]
        self.arguments += ["--server-data-dir", str(state), "--user-data-dir", str(state / "user")]
        self.arguments += ["--extensions-dir", str(state / "extensions")]
        self.trusted = trusted
        self.tests_inside = tests_inside
        self.process: subprocess.Popen[bytes] | None = None

    def install(self, package: Path) -> None:
        """Install an extension as a user would."""
        command = [*self.arguments, "--install-extension", str(package), "--force"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=300)
        assert "successfully installed" in done.stdout, done.stdout + done.stderr

    def __enter__(self) -> CodeServer:
        command = [*self.arguments, "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--without-connection-token", "--force-disable-user-env"]
        if (
            self.tests_inside
        ):  # lets the window run tests in the extension host; it shows no notifications then
            command += ["--enable-smoke-test-driver"]
        if self.trusted:
            command += ["--disable-workspace-trust"]
        with (self.state / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = monotonic() + START_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/version", timeout=5):
                    return self
            except OSError:
                assert self.process.poll() is None, (self.state / "server.log").read_text()
                assert monotonic() < end, "VS Code's server did not start"
                sleep(0.1)

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)  # the group holds its extension hosts, and nothing else
        self.process.wait()

    def url(self, folder: Path, **payload: Path) -> str:
        """What to open to see the folder; payload: paths for the workbench's own test runner."""
        query = {"folder": str(folder)}
        if payload:
            remote = f"vscode-remote://127.0.0.1:{self.port}"
            query["payload"] = json.dumps([[name, f"{remote}{path}"] for name, path in payload.items()])
        return f"http://127.0.0.1:{self.port}/?{urllib.parse.urlencode(query, quote_via=urllib.parse.quote)}"

    def logs(self) -> str:
        """What the extension and its server wrote, for a failure's message."""
        files = sorted((self.state / "user" / "logs").rglob("*modstar*.log"))
        texts = [file.read_text(encoding="utf-8", errors="replace") for file in files]
        return "\n".join(f"== {file.name}\n{text}" for file, text in zip(files, texts, strict=True))


class Window:
    """A browser that shows VS Code. Methods wait until what they name is there, or say what they saw."""

    def __init__(self, *, scale: float = 1.0) -> None:
        home = Path(program("vscode"))
        environment = {**os.environ, "MODSTAR_VSCODE": str(home), "MODSTAR_SCALE": str(scale)}
        self.process = subprocess.Popen(
            [str(home / "bin" / "node"), str(HERE / "driver" / "window.mjs")],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)

    def do(self, action: str, *arguments: Any) -> Any:
        """One action of driver/window.mjs, and its answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": action, "with": arguments}).encode() + b"\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], ANSWER_SECONDS)
        assert ready, f"no answer to {action} {arguments}"
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            picture = Path(tempfile.gettempdir()) / "modstar-vscode-failure.png"
            if action != "picture":
                self.do("picture", str(picture))
            raise AssertionError(f"{action} {arguments}: {answer['error']}; see {picture}")
        return answer["value"]

    def see(self, selector: str, pattern: str = "") -> None:
        """Wait until something visible matches both the selector and, with its label or text, the pattern."""
        self.do("see", selector, pattern)

    def read(self, selector: str) -> list[str]:
        """The labels or texts of what is visible, from top to bottom."""
        return self.do("read", selector)

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        self.do("press", *keys)

    def command(self, title: str) -> None:
        """Run a command from the palette, by its title.

        One that a window knows only later does not come into a palette that is open: it is opened anew.
        """
        for _ in range(_PALETTES):
            self.press("F1")
            self.see(QUICK_INPUT)
            self.do("type", title)
            for _ in range(_LOOKS):
                if any(row.startswith(title) for row in self.read(f"{QUICK_ROWS}.focused")):
                    self.press("Enter")
                    return
                sleep(0.1)
            self.press("Escape")
            self.do("gone", ".quick-input-widget")
        raise AssertionError(f"the palette has no {title!r}")

    def ask(self, sentence: str) -> None:
        """Type a sentence into the search."""
        self.do("gone", ".quick-input-widget")
        self.press("Shift+Alt+M")
        self.see(SEARCH_INPUT)
        self.do("type", sentence, 15)
        sleep(
            0.3
        )  # for the last key to be noticed: until then the list is that of the sentence without its end

    def search(self, sentence: str) -> None:
        """Type a sentence into the search and wait for the answer to all of it."""
        self.ask(sentence)
        self.see(".quick-input-title", r"\d+ results? in \d+ ms")

    def choose(self, entry: str) -> None:
        """Choose an entry of the context menu of the row in focus."""
        self.press("Shift+F10")
        self.see(MENU, entry)
        self.do("choose", f"{MENU}:has-text('{entry}')")
        self.do("gone", ".monaco-menu")

    def trust(self) -> None:
        """Trust the folder in the editor for that, which is open, and leave it."""
        self.see(".workspace-trust-editor")
        self.do("click", ".workspace-trust-editor .monaco-button:has-text('Trust')")
        self.see(".workspace-trust-editor", "You trust this folder")
        self.command("View: Close All Editors")
        self.do("gone", ".workspace-trust-editor")

    def at(self, file: str, line: int | None = None) -> None:
        """Wait until the cursor is in a file of this name, at this line (from 1)."""
        self.see(".editor-group-container.active .tab.active", re.escape(file))
        if line is not None:
            self.see("#status\\.editor\\.selection", rf"Ln {line},")
        self.see(".editor-group-container.active .monaco-editor.focused")
