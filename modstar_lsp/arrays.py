"""What the arrays that travel between the parts hold; their shapes stand where they are made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
#: Rows of a snapshot: numbers of its chunks.
Rows = NDArray[np.int32]
#: One truth value a row.
Mask = NDArray[np.bool_]
