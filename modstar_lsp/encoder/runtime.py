"""onnxruntime as we want it: import it from here, never by itself.

Its builds from 1.31 on report to their maker what they run, from a thread and a file in the user's cache
folder that begin with the import, unless the environment forbids it before. Nothing leaves the machine here.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

__all__ = ["onnxruntime"]
