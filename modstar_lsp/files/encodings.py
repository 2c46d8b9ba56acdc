"""The encoding of a text that is not UTF-8: what it says of itself, else what its characters tell.

Asked only where UTF-8 fails. charset-normalizer (34 ms to import) took KOI8-R for Shift-JIS, and EUC-JP for
EUC-KR, in files of a few comments, which is what source code has; the scripts that occur in it are told apart
by less: kana, hangul, the case of Cyrillic letters, the most frequent ideographs.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

# So much of a file is looked at.
_SAMPLE_BYTES = 65_536
# Whoever says more about itself says so in its first lines (PEP 263, XML, HTML, CSS, Emacs, Vim).
_DECLARED = rb"(?i)(?:coding[:=]\s{0,9}|encoding=[\"']|charset=[\"']?|@charset [\"'])([a-z][\w.-]{1,30})"
_DECLARED_BYTES = 1_000
_ASCII = bytes(range(0x20, 0x5C)) + bytes(range(0x5D, 0x7F)) + rb"\u0041 +AGE-"
# Of the characters outside ASCII so many have to be of the script.
_MOST = 0.9
_MIN_CYRILLIC = 4
_MIN_IDEOGRAPHS = 3
# Japanese text is kana for a third and more, a heading for less.
_MIN_KANA = 0.15
# The most frequent ideographs, a third of any text, with those of programming beside them.
_SIMPLIFIED = frozenset(
    "的一是不了在人有我他这中大来上个国到说们为子和地出道也时年得就那要下以生会自着去之过家学对可里后小么心多天而能好都然没"
    "日于起还发成事只作当想看文无开手用主行方又如前所本见经头面公同三已老从动两长知样现分将外但身些与高意进把法此实回二理点"
    "数据函返值参类型文件名字符串计算请求失败重试使用处理错误初始化设置获取检查是否"
)
_TRADITIONAL = frozenset(
    "的一是不了在人有我他這中大來上個國到說們為子和地出道也時年得就那要下以生會自著去之過家學對可裡後小麼心多天而能好都然沒"
    "日於起還發成事只作當想看文無開手用主行方又如前所本見經頭面公同三已老從動兩長知樣現分將外但身些與高意進把法此實回二理點"
    "數據函回傳值參類型檔案名字元串計算請求失敗重試使用處理錯誤初始化設定取得檢查是否稍再"
)


def legacy_encoding(data: bytes) -> str:
    """The encoding of text that is not UTF-8, Windows-1252 when nothing tells."""
    declared = re.search(_DECLARED, data[:_DECLARED_BYTES])
    if declared is not None:
        named = declared[1].decode("ascii")
        if _is_plain(named) and _decoded(data, named) is not None:
            return named
    sample = data[:_SAMPLE_BYTES]
    best, most = "cp1252", 0.0
    for encoding, likeness in _GUESSES:
        text = _decoded(sample, encoding)
        if text is not None:
            found = likeness(text)
            if found > most:
                best, most = encoding, found
    return best


def _is_plain(encoding: str) -> bool:
    """Whether ASCII means itself in it: so it is an encoding of texts, and none of escapes."""
    try:
        return _ASCII.decode(encoding) == _ASCII.decode("ascii")
    except (LookupError, ValueError):
        return False


def _decoded(data: bytes, encoding: str) -> str | None:
    """The text, of which a character may be cut off at the end; None when it is not in this encoding."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(data)
    except (LookupError, ValueError):
        return None


def _strange(text: str) -> list[str]:
    return [char for char in text if char > "\x7f"]


def _cyrillic(text: str) -> float:
    """The share of Cyrillic letters whose case is that of words: in the wrong encoding it is turned round."""
    strange = _strange(text)
    letters = sum("а" <= char.lower() <= "я" or char in "ёЁ" for char in strange)
    if letters < _MIN_CYRILLIC or letters < _MOST * len(strange):
        return 0.0
    words = re.findall(r"(?<![A-Za-z])[А-Яа-яЁё]+(?![A-Za-z])", text)
    sound = sum(len(word) for word in words if len(word) > 1 and (word[1:].islower() or word.isupper()))
    lower = sum(char.islower() for char in strange)
    return sound / letters if 2 * lower > letters and 2 * sound > letters else 0.0


def _japanese(text: str) -> float:
    strange = _strange(text)
    kana = sum("\u3041" <= char <= "\u30fe" for char in strange)
    sound = kana + sum("\u4e00" <= char <= "\u9fff" or "\u3000" <= char <= "\u3020" for char in strange)
    sound += sum("\uff01" <= char <= "\uff5e" for char in strange)
    if sound < _MIN_IDEOGRAPHS or sound < _MOST * len(strange) or kana < _MIN_KANA * len(strange):
        return 0.0
    return 1.0 + kana / len(strange)


def _korean(text: str) -> float:
    strange = _strange(text)
    hangul = sum("\uac00" <= char <= "\ud7a3" for char in strange)
    return 1.0 if hangul >= _MIN_IDEOGRAPHS and hangul >= _MOST * len(strange) else 0.0


def _chinese(frequent: frozenset[str]) -> Callable[[str], float]:
    def likeness(text: str) -> float:
        strange = _strange(text)
        marks = sum("\u3000" <= char <= "\u3020" or "\uff01" <= char <= "\uff5e" for char in strange)
        ideographs = sum("\u4e00" <= char <= "\u9fff" for char in strange)
        if ideographs < _MIN_IDEOGRAPHS or ideographs + marks < _MOST * len(strange):
            return 0.0
        return sum(char in frequent for char in strange) / len(strange)

    return likeness


_GUESSES: tuple[tuple[str, Callable[[str], float]], ...] = (
    ("koi8_r", _cyrillic),
    ("cp1251", _cyrillic),
    ("cp866", _cyrillic),
    ("cp932", _japanese),
    ("euc_jp", _japanese),
    ("cp949", _korean),
    ("gbk", _chinese(_SIMPLIFIED)),
    ("big5", _chinese(_TRADITIONAL)),
)
