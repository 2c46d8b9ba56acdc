"""A file's text -> chunks: definitions with their comments, sections of prose, windows of anything else.

`chunk_file` promises that the chunks of a code file tile its lines in order, whatever state the code is
in. Importing this package loads no tree-sitter; the first code file of a language loads its grammar.
"""

from __future__ import annotations

from modstar_lsp.chunking.chunk import Chunk, Outlined, embedded_text
from modstar_lsp.files.languages import NOTEBOOK, language_of

# Markup whose scripts are code.
WITH_SCRIPTS = frozenset({"astro", "html", "razor", "svelte", "vue"})

__all__ = ["Chunk", "Outlined", "chunk_file", "embedded_text", "language_of", "outline"]


def chunk_file(path: str, text: str) -> list[Chunk]:
    """The chunks of the file `path` (it decides the language; it need not exist) with content `text`.

    Lines end at ``\\n``, ``\\r\\n`` or ``\\r``, as in an editor. A file of blanks has no chunks.
    """
    from modstar_lsp.chunking import grammars, prose

    if not text.strip():
        return []
    language = language_of(path, text)
    if language in grammars.GRAMMARS:
        from modstar_lsp.chunking import code

        chunks = code.chunk_code(language, path, text)
        return prose.windows(text, kind="module", overlap=0) if chunks is None else chunks
    if language in WITH_SCRIPTS:
        from modstar_lsp.chunking.markup import chunk_markup

        return chunk_markup(language, path, text)
    if language == NOTEBOOK:
        from modstar_lsp.chunking.notebook import chunk_notebook

        cells = chunk_notebook(path, text)
        return prose.windows(text) if cells is None else cells
    if language in prose.SECTIONED:
        return prose.sections(language, text)
    return prose.windows(text)


def outline(path: str, text: str) -> list[Outlined]:
    """The definitions of a file `path` with content `text`, in order; none in a language without grammar."""
    from modstar_lsp.chunking import grammars

    language = language_of(path, text)
    if not text.strip():
        return []
    if language in WITH_SCRIPTS:
        from modstar_lsp.chunking.markup import outline_markup

        return outline_markup(language, path, text)
    if language not in grammars.GRAMMARS:
        return []
    from modstar_lsp.chunking import code

    return code.outline_code(language, path, text)
