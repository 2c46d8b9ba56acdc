"""How the programs of train/data end: done, or with one line about why not."""

from __future__ import annotations

import sys
from collections.abc import Callable

from train.data.lines import CorpusError


def ended(program: str, work: Callable[[], int]) -> int:
    """What `work` returns, or 2 when it could not go on or was stopped, said in one line."""
    try:
        return work()
    except CorpusError as error:
        print(f"{program}: {error}", file=sys.stderr)
    except OSError as error:
        print(f"{program}: {error.filename or 'disk'}: {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"{program}: stopped; run the same command to go on", file=sys.stderr)
    return 2
