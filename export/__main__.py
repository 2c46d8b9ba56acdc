"""python -m export CHECKPOINT BUNDLE: make a bundle that the runtime can use, or check one."""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from export.tracing import EXPORTERS
from modstar_lsp.errors import ModstarError


def _depths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of depths such as 0,2,4") from None


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 8:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 8 or more")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description="Write CHECKPOINT's exits as a validated BUNDLE: exit 0's table, and an int8 ONNX graph "
        "for each deeper exit, all graphs sharing their weights in one file.",
    )
    add = parser.add_argument
    add("checkpoint", type=Path, nargs="?", metavar="CHECKPOINT", help="a save_pretrained folder")
    add("bundle", type=Path, nargs="?", metavar="BUNDLE", help="the folder to write")
    add("--exits", type=_depths, metavar="0,2,4", help="only these exits (default: all)")
    fp16 = "write the deepest exit in fp16 too, for GPUs (default: yes)"
    add("--fp16", action=argparse.BooleanOptionalAction, default=True, help=fp16)
    add("--name", default="", help="the bundle's name (default: the checkpoint folder's)")
    add("--licence", default="Apache-2.0", help="licence of the weights (default: %(default)s)")
    add("--max-tokens", type=_positive, default=512, help="longest text (default: %(default)s)")
    add("--indexed", type=_positive, metavar="N", help="values of a row that an index keeps (default: all)")
    texts = "texts to validate on, parted by blank lines (default: the project's own sources)"
    add("--validate", type=Path, metavar="FILE", help=texts)
    gate = "how near each exit must come to torch: strict, or foreign, for an encoder as others published it"
    add("--fidelity", choices=("strict", "foreign"), default="strict", help=gate + " (default: strict)")
    add(
        "--exporter",
        choices=EXPORTERS,
        default="torchscript",
        help="torch's way of tracing (default: %(default)s)",
    )
    add("--force", action="store_true", help="replace an existing bundle")
    add("--check", type=Path, metavar="BUNDLE", help="only verify this bundle")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    command = parser()
    options = command.parse_args(arguments)
    if (options.check is None) == (options.checkpoint is None) or (options.checkpoint and not options.bundle):
        command.error("give CHECKPOINT and BUNDLE, or --check BUNDLE")
    warnings.filterwarnings("ignore")  # torch's exporter deprecates itself, at length
    logging.disable(logging.WARNING)
    from export.bundle import Options, check_bundle, export_bundle
    from export.errors import ExportError

    try:
        if options.check is not None:
            print(check_bundle(options.check))
        else:
            export_bundle(
                options.checkpoint,
                options.bundle,
                Options(
                    exits=options.exits,
                    fp16=options.fp16,
                    name=options.name,
                    licence=options.licence,
                    max_tokens=options.max_tokens,
                    indexed=options.indexed,
                    texts=options.validate,
                    fidelity=options.fidelity,
                    exporter=options.exporter,
                    force=options.force,
                ),
            )
    except (ExportError, ModstarError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        reason = error.strerror or f"{error} (is the disk full?)"
        print(f"export: {error.filename or options.bundle}: {reason}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("export: interrupted; nothing was written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
