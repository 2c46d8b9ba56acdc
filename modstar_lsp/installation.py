"""How modstar is installed: the one place that says it. Every page, client and message says the same.

By path, and never by name: modstar is on no package registry, where anybody could take the name.
"""

from __future__ import annotations

from collections.abc import Sequence

from modstar_lsp.errors import shortage

#: Installs the commands and the language server. The folder is a clone; the file of a wheel will do.
INSTALL = "pip install ~/src/modstar"
#: Makes the graph that a GPU runs, of the model that is there: the extra `gpu`.
INSTALL_ONNX = 'pip install "onnx>=1.17,<2"'
#: Reads the tokenizer of a bundle of one's own that is of another kind than ours: the extra `bundles`.
INSTALL_TOKENIZERS = 'pip install "tokenizers>=0.20"'
#: What may be installed in the place of a package: onnxruntime's builds for graphics cards have its folder
#: and its module's name, so that only one of them can be there (docs/gpu.md).
STANDS_FOR = {
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime-migraphx", "onnxruntime-directml", "onnxruntime-openvino")
}


def packages_missing(error: ImportError) -> str:
    """One line for the user when something that modstar needs cannot be imported."""
    missing = missing_packages()
    first: BaseException = error
    while first.__cause__ is not None:  # numpy wraps what went wrong in a page of advice
        first = first.__cause__
    if missing or isinstance(first, ModuleNotFoundError):
        return advice(missing or [error.name or str(error)])
    # It is there and cannot be loaded: no memory, no more open files, another machine's.
    what = " ".join(str(first).split())[:300]
    return shortage(first) or f"a package that modstar needs cannot be loaded: {what}"


def advice(missing: Sequence[str]) -> str:
    """One line on packages that are missing, and what to do."""
    return (
        f"packages that modstar needs are missing ({', '.join(missing)}): run {INSTALL}, "
        "your clone or a wheel's file in its place"
    )


def missing_packages() -> list[str]:
    """The packages that are required and not installed, as far as the installation can tell."""
    import re
    from importlib.metadata import PackageNotFoundError, requires, version

    missing = []
    try:
        required = requires("modstar") or []
    except PackageNotFoundError:  # the sources alone, on Python's path
        return []
    for requirement in required:
        name = re.match(r"[\w.-]+", requirement)
        if name is None or "extra ==" in requirement:
            continue
        for package in (name[0], *STANDS_FOR.get(name[0], ())):
            try:
                version(package)
                break
            except PackageNotFoundError:
                continue
        else:
            missing.append(name[0])
    return missing
