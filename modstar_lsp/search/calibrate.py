"""From a raw score to how likely a hit is what was asked for.

The raw score orders hits within one question; it says little between questions, because parts of it are
shares of the best. The probability is a logistic function of what a hit has in absolute terms, fitted on the
development questions asked in their own repository (the right file is positive) and in others (nothing is).
`python -m bench.calibrate` fits it again; a bundle may carry its own, since cosines differ between models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.errors import BundleError

Floats = NDArray[np.float32]


class Calibration(NamedTuple):
    """weights: of each absolute feature.  threshold: below it a hit is no good match."""

    bias: float
    weights: Mapping[str, float]
    threshold: float

    def probability(self, columns: Mapping[str, Floats]) -> Floats:
        """float32 [m] in 0..1 from one column [m] per feature of `weights`."""
        total = sum(
            (weight * columns[name] for name, weight in self.weights.items()), start=np.float32(self.bias)
        )
        return (1 / (1 + np.exp(-np.asarray(total, np.float32)))).astype(np.float32)

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, object]) -> Calibration:
        """The bundle's own calibration, the default when it has none. Raises BundleError when it is none."""
        if not manifest:
            return DEFAULT
        weights = manifest.get("weights")
        numbers = [manifest.get("bias"), manifest.get("threshold")]
        if not isinstance(weights, Mapping) or not set(weights) <= set(DEFAULT.weights):
            raise BundleError("the model's calibration is of another version: calibrate or export it again")
        if not all(isinstance(number, int | float) for number in (*numbers, *weights.values())):
            raise BundleError("the model's calibration is damaged: calibrate or export it again")
        return cls(float(str(numbers[0])), dict(weights), float(str(numbers[1])))


# For bundles without their own: fitted on exit 0 of the first default bundle.
DEFAULT = Calibration(
    bias=-6.03,
    weights={
        "coverage": 1.33,
        "cosine": 4.6,
        "name_match": 0.11,
        "definition": 0.52,
        "stem_match": 2.96,
        "place": 2.0,
    },
    threshold=0.145,
)
