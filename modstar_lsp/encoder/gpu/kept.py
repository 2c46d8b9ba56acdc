"""The fp16 graph of a bundle in the user's cache folder: made at its first use, and kept.

Its file begins with the digest of what follows. One that is cut short, damaged or another user's is not
used, and made again. Removing the folder loses a second.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from modstar_lsp.cache_folder import user_cache
from modstar_lsp.encoder.bundle import Bundle, Exit
from modstar_lsp.encoder.gpu.half_precision import half_precision
from modstar_lsp.errors import StoreError
from modstar_lsp.files.opening import read_regular
from modstar_lsp.private_files import foreign_owner, make_private_folder, write_private_file

# Raised when `half_precision` makes another graph of the same bundle.
_VERSION = 1
_DIGEST_BYTES = 32
# No message of protobuf is larger, and so no graph in one file.
_MOST_GRAPH_BYTES = _DIGEST_BYTES + (1 << 31)


def kept_graph(bundle: Bundle, entry: Exit) -> bytes:
    """The fp16 graph of an exit. Raises as `half_precision`, and BundleError for a damaged bundle."""
    file = _place(bundle, entry)
    content = None if file is None else _read(file)
    if content is None:
        bundle.verified(entry.data)
        content = half_precision(bundle.verified(entry.file))
        if file is not None:
            with suppress(OSError):  # a full disk: then the next process makes it again
                make_private_folder(file.parent)
                write_private_file(file, sha256(content).digest() + content)
    return content


def _place(bundle: Bundle, entry: Exit) -> Path | None:
    """Where the graph is kept; None when there is no place for it."""
    try:
        folder = Path(user_cache()) / "graphs"
    except StoreError:
        return None
    if foreign_owner(folder):
        return None
    return folder / f"{bundle.digest[:16]}-exit-{entry.depth}-fp16-{_VERSION}"


def _read(file: Path) -> bytes | None:
    try:
        found = read_regular(file, _MOST_GRAPH_BYTES, follow=False)
    except OSError:
        return None
    content = found[_DIGEST_BYTES:]
    return content if sha256(content).digest() == found[:_DIGEST_BYTES] else None
