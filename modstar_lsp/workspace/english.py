"""Whether a question may be English: the model at exit 0 knows no other language."""

from __future__ import annotations

# Words of German, French, Spanish, Portuguese and Italian questions, of which English ones hold one at most.
_FOREIGN_WORDS = frozenset(
    """wo wie wird werden welche welcher und oder nicht eine einen einem der das dem den ist sind beim für
    où est sont les quand comment dans une avec pour quel quelle qui fait du aux
    dónde donde cómo como cuándo cuando qué los las el una con para está se del
    onde quando é são uma não com pelo pela
    dove come quale viene sono gli della dello nel nella perché""".split()
)
_ENOUGH_FOREIGN = 2
# Letters beyond Latin, Greek (formulas) and what stands between.
_LATIN_ENDS = "\u0400"


def may_be_english(text: str) -> bool:
    """False for a text in another script, or with two function words of another European language."""
    letters = [char for char in text if char.isalpha()]
    if sum(char >= _LATIN_ENDS for char in letters) * 2 > len(letters):
        return False
    return len(_FOREIGN_WORDS.intersection(text.lower().split())) < _ENOUGH_FOREIGN
