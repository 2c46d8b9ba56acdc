"""`sha256` and `blake2b` without OpenSSL, which hashlib loads when it is imported: 2.3 ms of every query.

They are Python's own code, slower per byte: for megabytes use hashlib. A build without them has hashlib.
"""

from __future__ import annotations

import sys

try:
    from _blake2 import blake2b

    if sys.version_info >= (3, 12):
        from _sha2 import sha256
    else:
        from _sha256 import sha256
except ImportError:
    from hashlib import blake2b, sha256

__all__ = ["blake2b", "sha256"]
