"""Questions in other languages, turned into English word by word before anything is looked for.

Code and the model speak English. A dictionary of some thousand words that developers use (`dictionaries/`,
a line an English word with its forms in the other language) is enough to ask: word order and grammar mean
little to a search. What the dictionary does not know stays as it is: names, numbers, technical terms.

    english <TAB> form, form, ...        the more usual form first; english "-": words that mean nothing here
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).with_name("dictionaries")
NO_TRANSLATION = "-"

_KANA = "\u3041-\u30ff"
_IDEOGRAPHS = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_LETTERS_ALONE = re.compile(r"[^\W\d_]+")
_WORD = re.compile(r"[^\W\d_]+(?![\w])|\w+|[^\w\s]+")
# Words that questions in these languages hold and English ones do not; without their accents.
_TELLING: Mapping[str, frozenset[str]] = {
    "german": frozenset(
        """wie wo welche welcher welches wird werden wurde nicht und oder eine einen einem einer der das dem
        den ist sind fur beim zum zur aus mit wenn auf nach von alle kein keine wir ich ohne zwischen uber
        durch gib gibt zuruck zwei ihre ihrer ein die im ob sie als am bei nur auch zu vom des diese
        kann""".split()
    ),
    "spanish": frozenset(
        """donde como cuando que los las una unos para esta se del con por sin cada cual si el la es son entre
        mas lista hacer quiero un de en y""".split()
    ),
    "french": frozenset(
        """ou est sont les quand comment dans une avec pour quel quelle qui fait du aux des le la sur sans
        chaque entre je veux ne pas si un de en et""".split()
    ),
    "portuguese": frozenset(
        """onde quando sao uma nao com pelo pela como para que os dos das em no na se por sem cada quero ou
        entre mais fazer lista um de e""".split()
    ),
}
# Of these, what English questions and code hold too: locales, DES, MIT, to die, comments, `ls -la`.
_SHARED = frozenset(
    """am die der des mit dem als aus bei im ob war von vom ein fur uber alle wo nur sie ist
    de en es la un si y se el del con los son mas para como que sin esta lista por cada cual
    le les du aux est sans comment ne pas sur et ou qui no e os um em com na as dos""".split()
)
# Letters that tell as much as such a word does; the second ones stand in names that English has.
_LETTERS: Mapping[str, tuple[str, str]] = {
    "german": ("ß", "äöü"),
    "spanish": ("ñ¿¡", "áéíóú"),
    "french": ("œù", "éèêàç"),
    "portuguese": ("ãõ", "çáéíóúâêô"),
}
# Two telling words that English does not share are enough; with fewer, other words have to be known.
_ENOUGH_WORDS = 2
# So many shared ones are, where a quarter of the words are such.
_MANY = 8
# One telling word is enough for a text of so few words.
_SHORT = 4
# In a longer one each of so many words has to tell: what is quoted in an English report does not.
_SHARE = 12
# Words of so few letters are anybody's.
_KNOWN_LETTERS = 3
# Words that are looked at: a question is told by its beginning.
_JUDGED = 200
# Endings, the longer ones first; what is left of a word has at least _STEM letters.
_SPOKEN_ENDINGS: Mapping[str, Sequence[str]] = {
    "german": "ungen ung enden ender endes ende end ten ter tes te en er es em et st t e n s r".split(),
    "spanish": """mente ciones cion idades idad iendo ando adas ados idas idos amos emos imos arse erse irse
        aron ieron ada ado ida ido aba ara era ira arlo arla ia ar er ir an en as es os a e o s""".split(),
    "french": """ements ement ations ation issent antes ants ante ant aient ees ee es ent ait ons ez er ir re
        ais e s""".split(),
    "portuguese": """mente coes cao idades idade indo ando endo adas ados idas idos amos emos imos aram eram
        iram ada ado ida ido ava ar er ir am em as es os a e o s""".split(),
}
_STEM = 4
# Languages whose words stand together in one: "Datumsformat".
_COMPOUNDS = frozenset({"german"})
_LEAST_PART = 4
# What has more letters is no word.
_LONGEST_WORD = 60


def spoken_language(text: str) -> str:
    """The language of a question that there is a dictionary for, "" for English and any other."""
    if not text.isascii():
        if _run_of(_KANA).search(text):
            return "japanese" if _has("japanese") else ""
        if _run_of(_IDEOGRAPHS).search(text):
            return "chinese" if _has("chinese") else ""
    words = [_folded(word) for word in _LETTERS_ALONE.findall(text)[:_JUDGED]]
    signs = {language: _signs(language, words, text) for language in _TELLING}
    most = max(signs.values())
    near = [one for one, sign in signs.items() if sign == most and _has(one)]
    if not near or most.telling == 0 or most.telling * _SHARE < len(words):
        return ""
    # Spanish and Portuguese share many.
    language = max(near, key=lambda one: sum(_dictionary(one).word(word) is not None for word in words))
    return language if _is_sure(language, most, words) else ""


class _Signs(NamedTuple):
    """What speaks for a language. telling: such words.  own: those of them that English has not."""

    telling: int
    own: int


def _signs(language: str, words: Sequence[str], text: str) -> _Signs:
    found = [word for word in words if word in _TELLING[language]]
    count, own = len(found), sum(word not in _SHARED for word in found)
    if not text.isascii():
        lower = text[: _JUDGED * _LONGEST_WORD].lower()
        certain, likely = (not set(letters).isdisjoint(lower) for letters in _LETTERS[language])
        count, own = count + certain + likely, own + certain
    return _Signs(count, own)


def _is_sure(language: str, signs: _Signs, words: Sequence[str]) -> bool:
    """Whether the signs suffice, or the dictionary knows enough other words that English has not."""
    if signs.own >= _ENOUGH_WORDS or signs.telling >= max(_MANY, len(words) // 4):
        return True
    if signs.telling < _ENOUGH_WORDS and len(words) > _SHORT:
        return False
    dictionary = _dictionary(language)
    others = [word for word in words if word not in _TELLING[language] and len(word) >= _KNOWN_LETTERS]
    known = sum(dictionary.word(word) is not None and not dictionary.is_english(word) for word in others)
    if signs.own:
        return known >= 1 and 4 * known >= len(others)
    return known >= (1 if signs.telling > _ENOUGH_WORDS else 2) and 2 * known >= len(others)


@lru_cache(64)
def in_english(text: str) -> str:
    """`text` with the words of its language as English ones; the same text where it has none to turn."""
    language = spoken_language(text)
    return (_dictionary(language).gloss(text) or text) if language else text


class Dictionary:
    """One language's words. forms: {folded form, of one word or several: English}."""

    def __init__(self, language: str, forms: Mapping[str, str]) -> None:
        self._forms = forms
        self._endings = _SPOKEN_ENDINGS.get(language, ())
        self._compounds = language in _COMPOUNDS
        self._spaced = language in _SPOKEN_ENDINGS
        sizes = (len(form.split()) if self._spaced else len(form) for form in forms)
        self._longest = max(sizes, default=1)
        self._english = frozenset(word for english in forms.values() for word in english.lower().split())
        self._stems: dict[str, str] = {}
        if self._spaced:
            for form, english in forms.items():
                if " " not in form:
                    self._stems.setdefault(self._stem(form), english)

    @classmethod
    def read(cls, language: str) -> Dictionary:
        """The dictionary of `language` from its file."""
        forms: dict[str, tuple[int, str]] = {}
        for line in (FOLDER / f"{language}.tsv").read_text("utf-8").splitlines():
            english, _, others = line.partition("\t")
            for place, form in enumerate(others.split(",")):
                rank = -1 if english == NO_TRANSLATION else place
                key = _folded(form.strip())
                if key and (key not in forms or rank < forms[key][0]):
                    forms[key] = (rank, english)
        return cls(language, {form: english for form, (_, english) in forms.items()})

    def word(self, word: str) -> str | None:
        """The English for one folded word, also in another inflection or as a compound; None when unknown."""
        known = self._forms.get(word) or self._stems.get(self._stem(word))
        if known is None and self._compounds and len(word) <= _LONGEST_WORD:
            return self._compound(word)
        return known

    def is_english(self, word: str) -> bool:
        """Whether a folded word, or what it is the plural of, is English to this dictionary."""
        return word in self._english or word.removesuffix("s") in self._english

    def gloss(self, text: str) -> str:
        """`text` in English words, as far as they are known."""
        return " ".join(self._spaced_parts(text) if self._spaced else self._unspaced_parts(text))

    def _spaced_parts(self, text: str) -> list[str]:
        tokens = _WORD.findall(text)
        folded = [_folded(token) for token in tokens]
        found: list[str] = []
        at = 0
        while at < len(tokens):
            size, english = 1, None
            for size in range(min(self._longest, len(tokens) - at), 1, -1):
                english = self._forms.get(" ".join(folded[at : at + size]))
                if english is not None:
                    break
            else:
                size = 1
                if tokens[at].isalpha() and not _looks_like_code(tokens[at]):
                    english = self.word(folded[at])
            if english != NO_TRANSLATION:
                found.append(tokens[at] if english is None else english)
            at += size
        return found

    def _unspaced_parts(self, text: str) -> list[str]:
        found: list[str] = []
        at = 0
        for run in _run_of(_KANA + _IDEOGRAPHS).finditer(text):
            found.append(text[at : run.start()])
            found.extend(self._of_run(_folded(run[0])))
            at = run.end()
        return [part.strip() for part in [*found, text[at:]] if part.strip()]

    def _of_run(self, run: str) -> list[str]:
        found: list[str] = []
        at = 0
        while at < len(run):
            for size in range(min(self._longest, len(run) - at), 0, -1):
                english = self._forms.get(run[at : at + size])
                if english is not None:
                    if english != NO_TRANSLATION:
                        found.append(english)
                    break
            else:
                size = 1
            at += size
        return found

    def _stem(self, word: str) -> str:
        for ending in self._endings:
            if word.endswith(ending) and len(word) - len(ending) >= _STEM:
                return word[: -len(ending)]
        return word

    def _compound(self, word: str) -> str | None:
        for cut in range(len(word) - _LEAST_PART, _LEAST_PART - 1, -1):
            head = word[:cut]
            known = map(self._forms.get, (head, head.removesuffix("s"), f"{head}e"))
            first = next((one for one in known if one), None)
            if first is None or first == NO_TRANSLATION:
                continue
            rest = self.word(word[cut:])
            if rest is not None and rest != NO_TRANSLATION:
                return f"{first} {rest}"
        return None


def _looks_like_code(token: str) -> bool:
    """Whether capitals within say that a word is a name."""
    return bool(re.search(r"[a-z][A-Z]", token))


def _folded(text: str) -> str:
    """Lower case without accents; Kana and ideographs as they are."""
    text = text.lower().replace("ß", "ss")
    if text.isascii() or _run_of(_KANA + _IDEOGRAPHS).search(text):
        return text
    return "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))


@cache
def _run_of(characters: str) -> re.Pattern[str]:
    """Some of `characters` in a row. Compiled at the first use: ranges so wide take 2 ms of each process."""
    return re.compile(f"[{characters}]+")


@cache
def _dictionary(language: str) -> Dictionary:
    return Dictionary.read(language)


@cache
def _has(language: str) -> bool:
    return (FOLDER / f"{language}.tsv").is_file()
