"""`modstar-query`: a sentence, a name or a piece of code finds its place in a project.

Where a server's process answers, what is imported before it is asked counts: `typing`, `re`, `contextlib`,
`collections` and `socket` were 14 of the 29 ms of processor's time that this one took, bare Python 12.
"""

from __future__ import annotations

import sys

from modstar_lsp import TYPE_CHECKING
from modstar_lsp.cli.handover import handed_over
from modstar_lsp.cli.process import leave, run
from modstar_lsp.cli.query_arguments import PROGRAM, make_parser

if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["main", "make_parser"]


def main() -> NoReturn:
    """Run the command, in a server's process or here, and end this one with its exit status."""
    leave(run(PROGRAM, _command_there_or_here))


def _command_there_or_here() -> int:
    there = handed_over(sys.argv[1:])
    return _command() if there is None else there


def _command() -> int:
    from modstar_lsp.cli.asking import answer_command

    return answer_command()


if __name__ == "__main__":
    main()
