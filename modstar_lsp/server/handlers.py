"""Which message a function handles, said where the function is: the server registers what it finds marked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

Handler = TypeVar("Handler", bound=Callable[..., Any])

_MARK = "handled_message"


def handles(method: str, options: Any = None) -> Callable[[Handler], Handler]:
    """Mark the handler of `method`. options: what the server tells the client of itself about it."""

    def mark(handler: Handler) -> Handler:
        setattr(handler, _MARK, (method, options))
        return handler

    return mark


def handlers_of(owner: object) -> Iterator[tuple[str, Any, Callable[..., Any]]]:
    """(method, options, handler) of each function of a class or module that is marked, in order."""
    for found in vars(owner).values():
        if hasattr(found, _MARK):
            method, options = getattr(found, _MARK)
            yield method, options, found
