"""Which of onnxruntime's execution providers encodes many texts: the first of a list that is there.

The user's environment may name another, and nothing else can: a workspace has no say in what is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from modstar_lsp.errors import ProviderError

#: Names the provider to use, `cpu` too.
PROVIDER_VARIABLE = "MODSTAR_PROVIDER"


class Provider(NamedTuple):
    """One of onnxruntime's execution providers.

    name: as a user writes it.  title: as its maker does.  execution: as onnxruntime calls it.  memory_option:
    which of its options caps the memory that it takes, "" where none does.
    """

    name: str
    title: str
    execution: str
    options: Mapping[str, str] = MappingProxyType({})
    memory_option: str = ""


ON_CPU = Provider("cpu", "CPU", "CPUExecutionProvider")
#: In order of preference: what reaches the card directly, then what a system offers for any, then the CPU.
PROVIDERS = (
    Provider(
        "cuda",
        "CUDA",
        "CUDAExecutionProvider",
        {"arena_extend_strategy": "kSameAsRequested"},  # by default it doubles what it takes
        "gpu_mem_limit",
    ),
    Provider("migraphx", "MIGraphX", "MIGraphXExecutionProvider"),
    Provider("directml", "DirectML", "DmlExecutionProvider"),
    Provider("coreml", "Core ML", "CoreMLExecutionProvider", {"ModelFormat": "MLProgram"}),
    # Without that it would run on the CPU, for which the int8 graph is there.
    Provider("openvino", "OpenVINO", "OpenVINOExecutionProvider", {"device_type": "GPU"}),
    ON_CPU,
)


def available_providers() -> list[Provider]:
    """What this build of onnxruntime was made for, in order of preference; a card need not be there."""
    from modstar_lsp.encoder.runtime import onnxruntime  # 0.1 s, which many need not spend

    there = set(onnxruntime.get_available_providers())
    return [provider for provider in PROVIDERS if provider.execution in there]


def named_provider() -> Provider | None:
    """The provider that the environment names, None when it names none. Raises ProviderError."""
    name = os.environ.get(PROVIDER_VARIABLE, "").strip().lower()
    if not name:
        return None
    for provider in PROVIDERS:
        if provider.name == name:
            return provider
    names = ", ".join(provider.name for provider in PROVIDERS)
    raise ProviderError(f"{PROVIDER_VARIABLE} must be one of {names}, not {name[:40]!r}")


def choose_provider() -> tuple[Provider, str]:
    """(the provider to use, one line for the user when it is not the one that was named, else "")."""
    named = named_provider()
    if named is ON_CPU:
        return named, ""
    there = available_providers()
    if named is None or named in there:
        return named or there[0], ""
    names = ", ".join(provider.name for provider in there)
    return ON_CPU, f"{PROVIDER_VARIABLE} is {named.name}, and this onnxruntime has {names}: the CPU is used"
