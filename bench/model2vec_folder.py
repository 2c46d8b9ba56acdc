"""python -m bench.model2vec_folder BUNDLE OUT: exit 0's table as a model that model2vec's StaticModel loads.

It lets a peer that runs static models (semble: SEMBLE_MODEL_NAME=OUT) use our table, so that a comparison is
between programs and not between models. model2vec adds up every occurrence of a piece (tf linear): where the
bundle weighs tf otherwise, long texts differ a little.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modstar_lsp.encoder import open_bundle
from modstar_lsp.errors import BundleError, ModstarError


def write_model2vec(bundle_folder: Path | None, out: Path) -> None:
    """Write config.json, tokenizer.json and model.safetensors into `out` (None: from the default bundle)."""
    bundle = open_bundle(bundle_folder)
    table = np.load(bundle.verified(bundle.static.table), allow_pickle=False).astype(np.float32)
    table *= np.load(bundle.verified(bundle.static.scales), allow_pickle=False)[:, None]
    if not bundle.tokenizer:
        raise BundleError(f"bundle {bundle.folder} has no tokenizer.json, which model2vec needs")
    out.mkdir(parents=True, exist_ok=True)
    (out / "tokenizer.json").write_bytes(bundle.verified(bundle.tokenizer).read_bytes())
    (out / "model.safetensors").write_bytes(_safetensors("embeddings", table))
    config = {"model_type": "model2vec", "architectures": ["StaticModel"], "normalize": True}
    config |= {
        "hidden_dim": bundle.dimension,
        "embedding_dtype": "float32",
        "apply_pca": None,
        "apply_zipf": None,
    }
    (out / "config.json").write_text(json.dumps(config, indent=1) + "\n", "utf-8")


def _safetensors(name: str, array: NDArray[np.float32]) -> bytes:
    """The file format for one tensor: length of the header, the header, the numbers."""
    entry = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [0, array.nbytes]}
    header = json.dumps({name: entry}).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + array.tobytes()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.model2vec_folder", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "bundle", type=Path, metavar="BUNDLE", help="a bundle folder ('default': the package's own)"
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to write")
    options = parser.parse_args(arguments)
    try:
        write_model2vec(None if str(options.bundle) == "default" else options.bundle, options.out)
    except (ModstarError, OSError) as error:
        print(f"model2vec_folder: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
