"""A bundle's exits behind one call: texts in, rows of unit length out.

Exit 0 needs numpy and nothing else; onnxruntime is imported when a deeper exit is first used.
"""

from modstar_lsp.encoder.bundle import Bundle, Exit, open_bundle
from modstar_lsp.encoder.encoder import Encoder
from modstar_lsp.encoder.words import split_words

__all__ = ["Bundle", "Encoder", "Exit", "open_bundle", "split_words"]
