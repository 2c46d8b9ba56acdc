"""The messages of our own: their names, their types, and reading params that anybody may have written.

docs/protocol.md is the same for people who write clients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from modstar_lsp.errors import ModstarError
from modstar_lsp.server.positions import Position, Span
from modstar_lsp.server.settings import MAX_BUDGET

SEARCH = "modstar/search"
SIMILAR = "modstar/similar"
STATUS = "modstar/status"
STATUS_CHANGED = "modstar/statusChanged"
TRUST = "modstar/trust"

PAUSE = "modstar.pause"
RESUME = "modstar.resume"
REINDEX = "modstar.reindex"
CLEAR = "modstar.clear"
SHOW_SIMILAR = "modstar.showSimilar"
COMMANDS = (PAUSE, RESUME, REINDEX, CLEAR, SHOW_SIMILAR)

MAX_LIMIT = 200
DEFAULT_SNIPPET_LINES = 8
MAX_SNIPPET_LINES = 200
# Longer questions than this are an accident.
MAX_QUERY_CHARS = 100_000


class InvalidParams(ModstarError):
    """Params that do not fit: one line saying what was expected."""


class ClientSnippet(NamedTuple):
    """Some consecutive lines of a hit; start_line counts from 0, as in a range."""

    text: str
    start_line: int


class ClientHit(NamedTuple):
    """One place that answers, in the client's terms. selection_range: where its symbol stands."""

    uri: str
    range: Span
    selection_range: Span
    path: str
    folder: str
    symbol: str
    kind: str
    language: str
    score: float
    rank: int
    exit: int
    unsaved: bool
    snippet: ClientSnippet


class IndexState(NamedTuple):
    """How much of a folder is known: what the protocol calls `coverage`. See docs/protocol.md for the states.

    files: that belong to it, as far as anybody can say.  indexed: of them known.  share: the same, 0 to 1.
    exit: the deepest that any chunk has reached.  deepened: the share of the chunks at the last exit.
    """

    state: str = "off"
    files: int = 0
    indexed: int = 0
    share: float = 0.0
    chunks: int = 0
    exit: int = 0
    deepened: float = 0.0


class Answer(NamedTuple):
    """What a question found. closest: when nothing is good enough, the best of the rest.  took: ms.

    did_you_mean: then, a name, defined or only used, that one in the question may be a typing error of.
    """

    hits: tuple[ClientHit, ...] = ()
    closest: ClientHit | None = None
    index_state: IndexState = IndexState()
    message: str = ""
    took: float = 0.0
    did_you_mean: str = ""


class Filters(NamedTuple):
    """What bounds a search. None: as the settings say. budget: milliseconds, see docs/protocol.md."""

    limit: int | None = None
    languages: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    min_score: float | None = None
    budget: int | None = None
    snippet_lines: int = DEFAULT_SNIPPET_LINES


class SearchRequest(NamedTuple):
    """A question in words; see docs/protocol.md."""

    query: str
    filters: Filters = Filters()


class SimilarRequest(NamedTuple):
    """Code to compare with: a range of a document, the definition around a position, or a text."""

    uri: str | None = None
    range: Span | None = None
    position: Position | None = None
    text: str | None = None
    filters: Filters = Filters()


# -- to the client


def wire(value: Any) -> Any:
    """JSON for a value made of these types: camelCase keys, spans as ranges."""
    if isinstance(value, Answer):
        answer = {
            "hits": [_wire_hit(hit) for hit in value.hits],
            "coverage": wire(value.index_state),
            "took": round(value.took, 2),
        }
        if value.closest is not None:
            answer["closest"] = _wire_hit(value.closest)
        if value.did_you_mean:
            answer["didYouMean"] = value.did_you_mean
        if value.message:
            answer["message"] = value.message
        return answer
    if isinstance(value, ClientHit):
        return _wire_hit(value)
    if isinstance(value, IndexState):
        return {**value._asdict(), "share": round(value.share, 4), "deepened": round(value.deepened, 4)}
    return value


def _wire_hit(hit: ClientHit) -> dict[str, Any]:
    return {
        "uri": hit.uri,
        "range": wire_range(hit.range),
        "selectionRange": wire_range(hit.selection_range),
        "path": hit.path,
        "folder": hit.folder,
        "symbol": hit.symbol,
        "kind": hit.kind,
        "language": hit.language,
        "score": round(hit.score, 4),
        "rank": hit.rank,
        "exit": hit.exit,
        "unsaved": hit.unsaved,
        "snippet": {"text": hit.snippet.text, "startLine": hit.snippet.start_line},
    }


def wire_range(span: Span) -> dict[str, Any]:
    """An LSP Range."""
    (line, character), (end_line, end_character) = span
    return {
        "start": {"line": line, "character": character},
        "end": {"line": end_line, "character": end_character},
    }


# -- from the client


def search_request(params: Any) -> SearchRequest:
    """The params of modstar/search. Raises InvalidParams."""
    given = _object(params, SEARCH)
    query = given.get("query")
    if not isinstance(query, str):
        raise InvalidParams(f"{SEARCH}: query must be a string, not {_kind(query)}")
    if len(query) > MAX_QUERY_CHARS:
        raise InvalidParams(
            f"{SEARCH}: query has {len(query):,} characters; {MAX_QUERY_CHARS:,} are the most"
        )
    return SearchRequest(query, _filters(given, SEARCH))


def similar_request(params: Any) -> SimilarRequest:
    """The params of modstar/similar. Raises InvalidParams."""
    given = _object(params, SIMILAR)
    text = _optional(given, "text", str, "a string", SIMILAR)
    document = _optional(given, "textDocument", Mapping, "an object", SIMILAR)
    uri = None if document is None else document.get("uri")
    if document is not None and not isinstance(uri, str):
        raise InvalidParams(f"{SIMILAR}: textDocument.uri must be a string, not {_kind(uri)}")
    span = None if given.get("range") is None else read_range(given["range"], f"{SIMILAR}: range")
    position = None if given.get("position") is None else _place(given["position"], f"{SIMILAR}: position")
    if text is None and uri is None:
        raise InvalidParams(f"{SIMILAR}: needs text, or textDocument with a range or a position")
    if text is None and span is None and position is None:
        raise InvalidParams(f"{SIMILAR}: textDocument needs a range or a position")
    return SimilarRequest(uri, span, position, text, _filters(given, SIMILAR))


def trusted(params: Any) -> bool:
    """The params of modstar/trust. Raises InvalidParams."""
    value = _object(params, TRUST).get("trusted")
    if not isinstance(value, bool):
        raise InvalidParams(f"{TRUST}: trusted must be true or false, not {_kind(value)}")
    return value


def progress_token(params: Any, key: str) -> str | int | None:
    """The client's token for partial results or for progress, None when it gave none."""
    token = params.get(key) if isinstance(params, Mapping) else None
    return token if isinstance(token, str | int) and not isinstance(token, bool) else None


def read_range(value: Any, where: str) -> Span:
    """An LSP Range as a span. Raises InvalidParams."""
    if not isinstance(value, Mapping):
        raise InvalidParams(f"{where} must have start and end, not be {_kind(value)}")
    start, end = _place(value.get("start"), f"{where}.start"), _place(value.get("end"), f"{where}.end")
    return (start, end) if start <= end else (end, start)


def _place(value: Any, where: str) -> Position:
    line, character = (
        value.get(key) if isinstance(value, Mapping) else None for key in ("line", "character")
    )
    for number in (line, character):
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise InvalidParams(f"{where} must have line and character, whole numbers from 0")
    assert isinstance(line, int) and isinstance(character, int)
    return line, character


def _filters(given: Mapping[str, Any], method: str) -> Filters:
    return Filters(
        limit=_whole(given, "limit", 1, MAX_LIMIT, method),
        languages=_strings(given, "languages", method),
        globs=_strings(given, "globs", method),
        folders=_strings(given, "folders", method),
        min_score=_share(given, "minScore", method),
        budget=_whole(given, "budget", 0, MAX_BUDGET, method),
        snippet_lines=_default(
            _whole(given, "snippetLines", 0, MAX_SNIPPET_LINES, method), DEFAULT_SNIPPET_LINES
        ),
    )


def _default(value: int | None, default: int) -> int:
    return default if value is None else value


def _whole(given: Mapping[str, Any], key: str, low: int, high: int, method: str) -> int | None:
    value = given.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidParams(
            f"{method}: {key} must be a whole number from {low} to {high}, not {_kind(value)}"
        )
    return value


def _share(given: Mapping[str, Any], key: str, method: str) -> float | None:
    value = given.get(key)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise InvalidParams(f"{method}: {key} must be a number from 0 to 1, not {_kind(value)}")
    return float(value)


def _strings(given: Mapping[str, Any], key: str, method: str) -> tuple[str, ...]:
    value = given.get(key)
    if value is None or value == {}:  # an empty table of Lua may arrive as either
        return ()
    if not isinstance(value, list) or not all(isinstance(text, str) and text.strip() for text in value):
        raise InvalidParams(f"{method}: {key} must be a list of strings, not {_kind(value)}")
    return tuple(value)


def _optional(given: Mapping[str, Any], key: str, kind: type, expected: str, method: str) -> Any:
    value = given.get(key)
    if value is not None and not isinstance(value, kind):
        raise InvalidParams(f"{method}: {key} must be {expected}, not {_kind(value)}")
    return value


def _object(params: Any, method: str) -> Mapping[str, Any]:
    if not isinstance(params, Mapping):
        raise InvalidParams(f"{method}: params must be an object, not {_kind(params)}")
    return params


def _kind(value: Any) -> str:
    """What a value is, in a few characters."""
    if value is None:
        return "nothing"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else f"{value[:39]}…")
    return "a list" if isinstance(value, list) else "an object"
