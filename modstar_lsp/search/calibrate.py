"""What the answers of one exit are worth: its cosine in the ranking, and how likely a hit is to be right.

Both differ between models and between the exits of one, so a bundle carries a calibration for each exit.

The raw score orders hits within one question; it says little between questions, because parts of it are
shares of the best. The probability is a logistic function of what a hit has in absolute terms, fitted on the
development questions asked in their own repository (the right file is positive) and in others (nothing is).
Find-similar has another one: how likely a hit is the selected code, whatever was renamed or rewritten in it.
`python -m bench.tune` finds the weight of the cosine again, `python -m bench.calibrate` and
`python -m bench.calibrate_similar` the probabilities.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from modstar_lsp.arrays import Floats
from modstar_lsp.errors import BundleError

# What find-similar weighs; see `likeness_features`.
LIKENESS = ("cosine", "rare", "shared")
# What the last stage adds to the features of a hit.
READING = "reading"


class Calibration(NamedTuple):
    """dense: the weight of the cosine in the ranking.  bias, weights: of each absolute feature.

    threshold: the probability below which a hit is no good match.  similar: that of find-similar, whose own
    `dense` says nothing.  read: that of hits which the last stage has read. None in bundles that have none.
    """

    bias: float
    weights: Mapping[str, float]
    threshold: float
    dense: float
    similar: Calibration | None = None
    read: Calibration | None = None

    def probability(self, columns: Mapping[str, Floats]) -> Floats:
        """float32 [m] in 0..1 from one column [m] per feature of `weights`."""
        total = sum(
            (weight * columns[name] for name, weight in self.weights.items()), start=np.float32(self.bias)
        )
        return (1 / (1 + np.exp(-np.asarray(total, np.float32)))).astype(np.float32)

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any], depth: int) -> Calibration:
        """The bundle's calibration of the exit at `depth`, the default when the bundle has none.

        manifest: one by depth, or one for all exits as older bundles have it. Raises BundleError.
        """
        if not manifest:
            return DEFAULT
        found = manifest if "bias" in manifest else _at(manifest, depth)
        similar, read = found.get("similar"), found.get("read")
        return cls._of(found, DEFAULT.weights)._replace(
            similar=None if similar is None else cls._of(similar, LIKENESS),
            read=None if read is None else cls._of(read, (*DEFAULT.weights, READING)),
        )

    @classmethod
    def _of(cls, found: Any, features: Collection[str]) -> Calibration:
        if not isinstance(found, Mapping):
            raise BundleError(_DAMAGED)
        weights = found.get("weights")
        numbers = [found.get("bias"), found.get("threshold"), found.get("dense", DEFAULT.dense)]
        if not isinstance(weights, Mapping) or not set(weights) <= set(features):
            raise BundleError("the model's calibration is of another version: calibrate or export it again")
        if not all(isinstance(number, int | float) for number in (*numbers, *weights.values())):
            raise BundleError(_DAMAGED)
        bias, threshold, dense = (float(str(number)) for number in numbers)
        return cls(bias, dict(weights), threshold, dense)

    def to_manifest(self) -> dict[str, Any]:
        """What `from_manifest` reads."""
        others = {
            name: {k: v for k, v in one.to_manifest().items() if k != "dense"}
            for name, one in (("similar", self.similar), ("read", self.read))
            if one is not None
        }
        return {
            "dense": round(self.dense, 3),
            "bias": round(self.bias, 4),
            "weights": {name: round(weight, 4) for name, weight in self.weights.items()},
            "threshold": round(self.threshold, 4),
            **others,
        }


def _at(manifest: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
    """What `manifest` has for the exit at `depth`, else for the deepest above it."""
    try:
        nearest = max(known for known in map(int, manifest) if known <= depth)
    except ValueError:
        raise BundleError(_DAMAGED) from None
    if not isinstance(manifest[str(nearest)], Mapping):
        raise BundleError(_DAMAGED)
    found: Mapping[str, Any] = manifest[str(nearest)]
    return found


_DAMAGED = "the model's calibration is damaged: calibrate or export it again"
# For bundles without their own: fitted on exit 0 of the first default bundle.
DEFAULT = Calibration(
    bias=-6.03,
    weights={
        "coverage": 1.33,
        "cosine": 4.6,
        "nearest_words": 0.0,
        "name_match": 0.11,
        "definition": 0.52,
        "stem_match": 2.96,
        "place": 2.0,
    },
    threshold=0.145,
    dense=0.11,
)
