"""Whether a question may be English: the model at exit 0 knows no other language."""

from __future__ import annotations

#: What somebody is told who asked in another language and found nothing.
BEST_IN_ENGLISH = "questions are best asked in English"
# Words of other languages' questions, of which English ones hold one at most.
_FOREIGN_WORDS = frozenset(
    """wo wie wird werden welche welcher und oder nicht eine einen einem der das dem den ist sind beim für
    où est sont les quand comment dans une avec pour quel quelle qui fait du aux
    dónde donde cómo como cuándo cuando qué los las el una con para está se del
    onde quando é são uma não com pelo pela
    dove come quale viene sono gli della dello nel nella perché
    waar hoe wordt worden welke wanneer niet een het voor zijn deze
    gdzie jak kiedy jest są który która które nie się dla przez czy
    kde kdy jsou který která které není pro hol hogyan mikor nem és egy
    hvor hvordan hvilken blir ikke och hur är inte när där för til till missä miten milloin mikä
    nerede nasıl hangi için değil bu bir ile unde cum când este sunt pentru și
    dimana bagaimana mana yang untuk dengan""".split()
)
_ENOUGH_FOREIGN = 2
# Letters that English borrows with a word (naïve, Gödel) end here; two words with later ones are foreign.
_BORROWED_END = "\u0100"
# Letters beyond Latin, Greek (formulas) and what stands between.
_LATIN_ENDS = "\u0400"
_GREEK = "\u0370"
_VIETNAMESE, _VIETNAMESE_END = "\u1e00", "\u1eff"


def may_be_english(text: str) -> bool:
    """False for a text in another script, or with two words that only other languages have."""
    letters = [char for char in text if char.isalpha()]
    if sum(char >= _LATIN_ENDS for char in letters) * 2 > len(letters):
        return False
    foreign = [
        word
        for word in set(text.lower().split())
        if word in _FOREIGN_WORDS
        or any(_BORROWED_END <= char < _GREEK or _VIETNAMESE <= char <= _VIETNAMESE_END for char in word)
    ]
    return len(foreign) < _ENOUGH_FOREIGN
