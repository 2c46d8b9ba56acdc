"""What the export takes of Optimum, importable beside transformers 4.57 and 5.

optimum-onnx 0.1.0, the newest there is, imports five names that transformers 5 no longer has. What is taken
here uses none of them, so that a stand-in serves where one is missing.
"""

from __future__ import annotations

import importlib

# Makes the package `transformers` a second time: before anything is laid into it.
import transformers.processing_utils  # noqa: F401

_GONE_WITH_TRANSFORMERS_5 = {
    "transformers": ("AutoModelForVision2Seq",),
    "transformers.modeling_utils": ("get_parameter_dtype",),
    "transformers.utils": ("is_offline_mode",),
    "transformers.utils.generic": ("_CAN_RECORD_REGISTRY", "OutputRecorder"),
}

for _module, _names in _GONE_WITH_TRANSFORMERS_5.items():
    _found = importlib.import_module(_module)
    for _name in _names:
        if not hasattr(_found, _name):
            setattr(_found, _name, object)

from optimum.exporters.onnx import OnnxConfig, export_models  # noqa: E402
from optimum.utils import DummyTextInputGenerator, NormalizedTextConfig  # noqa: E402

__all__ = [
    "DummyTextInputGenerator",
    "NormalizedTextConfig",
    "OnnxConfig",
    "export_models",
]
