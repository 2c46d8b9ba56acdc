"""`modstar install CLIENT`: puts `modstar mcp` into the configuration of a client, or takes it out.

A file is changed by adding a few characters, nothing else in it moves, and `uninstall` takes back just those.
One that is read-only, or no plain JSON or TOML (with comments, broken, with a key twice), is left whole, and
its owner is told what to paste.
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from json.decoder import scanstring  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from modstar_lsp.cache_folder import expanded
from modstar_lsp.errors import ModstarError, reason, told_of
from modstar_lsp.files.opening import NotRegularError, read_regular
from modstar_lsp.trusted_path import keep_to_trusted_path

NAME = "modstar"
# Of a configuration. They are written by hand.
_MOST_SETTINGS_BYTES = 4_000_000
# Editors on Windows begin a file with it; it stays.
_BYTE_ORDER_MARK = "\ufeff"


class Client(NamedTuple):
    """Where a client keeps its servers. file: in the project, or in the home folder behind `~/`.

    section: the object of all servers, by name.  entry: what is put there.
    """

    file: str
    section: str
    entry: dict[str, Any]


def clients(command: str) -> dict[str, Client]:
    """All clients, each with the entry that starts `command`; see their own documentation."""
    plain = {"command": command, "args": ["mcp"]}
    # These start their servers elsewhere, and put the project's folder in for this.
    there = {"command": command, "args": ["mcp", "${workspaceFolder}"]}
    opencode = {"type": "local", "command": [command, "mcp"], "enabled": True}
    return {
        "claude-code": Client(".mcp.json", "mcpServers", plain),
        "codex": Client("~/.codex/config.toml", "mcp_servers", plain),
        "cursor": Client(".cursor/mcp.json", "mcpServers", there),
        "vscode": Client(".vscode/mcp.json", "servers", {"type": "stdio", **there}),
        "gemini": Client(".gemini/settings.json", "mcpServers", plain),
        "opencode": Client("opencode.json", "mcp", opencode),
        "zed": Client(".zed/settings.json", "context_servers", {**plain, "env": {}}),
    }


class NotOurs(ModstarError):
    """A file that only its owner should change: why."""


def installed(text: str | None, client: Client) -> str:
    """`text`, the content of the file or None when there is none, with the entry in it. Raises NotOurs."""
    if client.file.endswith(".toml"):
        return _toml(client).lstrip() if text is None else _toml_installed(text, client)
    if text is None:
        return _whole(client) + "\n"
    if not text.strip():
        return text + _whole(client)
    known = _parsed(text)
    section = known.get(client.section, {})
    if not isinstance(section, dict):
        raise NotOurs(f"its {client.section} is no object")
    if section.get(NAME) == client.entry:
        return text
    if NAME in section:
        raise NotOurs(f"it has another {NAME} in {client.section} already")
    inside, empty, whole, alone = _pieces(client)
    if client.section in known:
        at = next(start for key, start in _members(text) if key == client.section)
        piece = inside if section else empty
    else:
        at, piece = text.index("{"), whole if known else alone
    made = text[: at + 1] + _line_ends(piece, text) + text[at + 1 :]
    assert json.loads(made) == {**known, client.section: {**section, NAME: client.entry}}
    return made


def uninstalled(text: str, client: Client) -> str | None:
    """`text` without what `installed` put there; None when that made the file. Raises NotOurs."""
    if text == installed(None, client):
        return None
    if client.file.endswith(".toml"):
        piece = _line_ends(_toml(client), text)
        whole = piece.lstrip()  # how a file of our own begins
        made = text.removeprefix(whole) if text.startswith(whole) else text.replace(piece, "", 1)
        if made == text and f"[{client.section}.{NAME}]" in text:
            raise NotOurs(f"its {NAME} was changed since")
        return made
    if NAME not in _section(_parsed(text), client):
        return text
    if not (blank := text.removesuffix(_whole(client))).strip():
        return blank
    found = []
    for piece in (_line_ends(piece, text) for piece in _pieces(client)):
        made = text.replace(piece, "")
        if text.count(piece) == 1 and _is_sound_without(made, client):
            found.append(made)
    # Others may have been added since beside what was put there; else putting it there again gives the same.
    exact = [made for made in found if installed(made, client) == text]
    for made in exact or found:
        return made
    raise NotOurs(f"its {NAME} was changed since")


def _is_sound_without(text: str, client: Client) -> bool:
    try:
        return NAME not in _section(_parsed(text), client)
    except NotOurs:
        return False


def _section(known: dict[str, Any], client: Client) -> dict[str, Any]:
    section = known.get(client.section)
    return section if isinstance(section, dict) else {}


def _parsed(text: str) -> dict[str, Any]:
    try:
        known = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        raise NotOurs("it is no plain JSON (comments?)") from None
    if not isinstance(known, dict):
        raise NotOurs("it is no JSON object")
    return known


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    known = dict(members)
    if len(known) != len(members):
        raise NotOurs("it has a key twice")
    return known


def _whole(client: Client) -> str:
    """What a file holds that held nothing: laid out unlike what is added to an empty object."""
    return json.dumps({client.section: {NAME: client.entry}}, indent=2)


def _paste(client: Client) -> str:
    """What its owner is to put into a file that is left as it is."""
    if client.file.endswith(".toml"):
        return f"paste: {_toml(client).strip()}".replace("\n", " ⏎ ")
    return f"paste into its {client.section}: {json.dumps({NAME: client.entry})[1:-1]}"


def _pieces(client: Client) -> tuple[str, str, str, str]:
    """What is put behind a `{`: of a section with others, an empty one, a file with others, an empty file."""
    entry = f'"{NAME}": {json.dumps(client.entry)}'
    whole = f'\n  "{client.section}": {{{entry}}}'
    return f"\n    {entry},", f"\n    {entry}\n  ", f"{whole},", f"{whole}\n"


def _line_ends(piece: str, text: str) -> str:
    return piece.replace("\n", "\r\n") if "\r\n" in text else piece


def _members(text: str) -> Iterator[tuple[str, int]]:
    """The keys of the object that `text` is, known to be sound, and where their values start."""
    decoder = json.JSONDecoder()
    at = text.index("{") + 1
    while True:
        while text[at] in " \t\r\n,":
            at += 1
        if text[at] == "}":
            return
        key, at = scanstring(text, at + 1)
        at = text.index(":", at) + 1
        while text[at] in " \t\r\n":
            at += 1
        yield key, at
        _, at = decoder.raw_decode(text, at)


def _toml(client: Client) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in client.entry.items()]
    return "\n".join(["", f"[{client.section}.{NAME}]", *lines, ""])


def _toml_installed(text: str, client: Client) -> str:
    piece = _line_ends(_toml(client), text)
    if piece in text or text.startswith(piece.lstrip()):
        return text
    if text and not text.endswith("\n"):
        raise NotOurs("its last line has no end")
    made = text + piece
    if sys.version_info >= (3, 11):
        import tomllib

        try:
            tomllib.loads(made)
        except (ValueError, RecursionError):
            raise NotOurs(f"it is no TOML, or has another {NAME} in {client.section} already") from None
    elif NAME in text:  # Python reads no TOML, so whatever mentions it counts
        raise NotOurs(f"it has a {NAME} already")
    return made


# -- the command


def main() -> NoReturn:
    """Install or uninstall, as the word before says."""
    keep_to_trusted_path()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a folder may have any name
    verb = sys.argv[0].split()[-1]
    try:
        _command(verb, sys.argv[1:])
    except ModstarError as error:
        _fail(verb, str(error))
    except OSError as error:
        _fail(verb, told_of(error))
    sys.exit(0)


def _fail(verb: str, message: str) -> NoReturn:
    print(f"modstar {verb}: {message}", file=sys.stderr)
    sys.exit(2)


def _command(verb: str, arguments: list[str]) -> None:
    known = clients(_program())
    if set(arguments) & {"-h", "--help"}:
        print(f"usage: modstar {verb} [--dry-run] {'|'.join(known)}")
        print("\nIn the folder of the project. --dry-run shows the change and makes none.")
        return
    names = [word for word in arguments if word != "--dry-run"]
    if len(names) != 1 or names[0] not in known:
        raise ModstarError(f"name one of {', '.join(known)} (and --dry-run to see the change alone)")
    client = known[names[0]]
    # An editor's links lead to where the file is; that is changed, and the link stays.
    file = Path(os.path.realpath(_place(client)))
    try:
        mark, before = _content(file)
        if verb == "install":
            after: str | None = installed(before, client)
        else:
            after = None if before is None else _uninstalled_by_any(before, names[0])
        if after != before and before is not None and not file.stat().st_mode & 0o222:
            raise NotOurs("it is read-only")
    except NotOurs as error:
        cure = _paste(client) if verb == "install" else f"take {NAME} out by hand"
        raise NotOurs(f"{file} is left as it is: {error}; {cure}") from None
    if after == before:
        print(f"{file}: nothing to change")
    elif "--dry-run" in arguments:
        old, new = ((text or "").splitlines(keepends=True) for text in (before, after))
        sys.stdout.writelines(difflib.unified_diff(old, new, str(file), str(file)))
    else:
        try:
            _write(file, after if after is None else mark + after)
            if after is None and "/" in client.file:
                with suppress(OSError):  # what else is in its folder stays
                    file.parent.rmdir()
        except OSError as error:
            raise ModstarError(f"{file} is left as it is: it cannot be written ({reason(error)})") from None
        print(f"{file}: {'added' if verb == 'install' else 'removed'} {NAME}")


def _uninstalled_by_any(text: str, name: str) -> str | None:
    """See `uninstalled`: what was put there may name the command, or say where it is. Raises NotOurs."""
    by_name, by_path = (clients(command)[name] for command in (NAME, _beside_python()))
    try:
        return uninstalled(text, by_name)
    except NotOurs:
        return uninstalled(text, by_path)


def _place(client: Client) -> Path:
    """Where the configuration is. Raises ModstarError when it is in a home folder that nobody knows."""
    place = expanded(client.file)
    if client.file.startswith("~") and not place.is_absolute():
        raise ModstarError(f"no home folder is known, where {client.file} would be: set HOME")
    return place


def _content(file: Path) -> tuple[str, str | None]:
    """(byte order mark, text of a configuration, None when there is none). Raises NotOurs and OSError."""
    try:
        content = read_regular(file, _MOST_SETTINGS_BYTES + 1)
    except FileNotFoundError:
        return "", None
    except NotRegularError:
        raise NotOurs("it is no regular file") from None
    if len(content) > _MOST_SETTINGS_BYTES:
        raise NotOurs(f"it has more than {_MOST_SETTINGS_BYTES:,} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise NotOurs("it is no UTF-8") from None
    return (_BYTE_ORDER_MARK, text[1:]) if text.startswith(_BYTE_ORDER_MARK) else ("", text)


def _program() -> str:
    """What a client starts: by name where that is found, so that a configuration can be shared."""
    return NAME if shutil.which(NAME) else _beside_python()


def _beside_python() -> str:
    return os.fspath(Path(sys.executable).with_name(NAME))


def _write(file: Path, text: str | None) -> None:
    """Replaces a file as a whole, or removes it."""
    if text is None:
        file.unlink()
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".modstar-")
    try:
        with os.fdopen(handle, "wb") as target:
            target.write(text.encode("utf-8"))
        if file.exists():
            shutil.copymode(file, name)
            _keep_owner(file, name)
        else:
            Path(name).chmod(0o644)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _keep_owner(file: Path, name: str) -> None:
    """`name` belongs to whom `file` does: who installs as root leaves others their configuration."""
    if hasattr(os, "chown"):
        status = file.stat()
        with suppress(OSError):
            os.chown(name, status.st_uid, status.st_gid)


if __name__ == "__main__":
    main()
