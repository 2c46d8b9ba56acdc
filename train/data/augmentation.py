"""Augmentation: what the model sees of a pair in one step."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

from train.data.corpus import Pair


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How often each change is made. Names leak: without `rename` a model learns to match names only."""

    rename: float = 0.4
    identifiers: float = 0.2
    drop_comments: float = 0.5
    header: float = 0.5
    first_sentence: float = 0.3
    lower: float = 0.3
    ask: float = 0.15
    language: float = 0.15


# What a renamed function is called.
_NEUTRAL = ("f", "fn", "func", "function", "method", "run", "solve", "foo", "g", "call", "x1", "do_it")
_ASKS = ("how to", "how do i", "how can i", "function to", "code to", "where do we", "find", "way to")
_SPOKEN = {
    "csharp": "c#",
    "cpp": "c++",
    "javascript": "javascript",
    "typescript": "typescript",
    "bash": "bash",
}
# Comments by language; strings are matched first so that a comment sign inside one stays.
_COMMENTS = {
    "#": r"#[^\n]*",
    "//": r"//[^\n]*|/\*.*?\*/",
    "//#": r"//[^\n]*|#(?!\[)[^\n]*|/\*.*?\*/",
    "--": r"--\[\[.*?\]\]|--[^\n]*|\{-.*?-\}",
}
_SIGNS = dict.fromkeys(("python", "ruby", "bash", "elixir"), "#") | {
    "php": "//#",
    "lua": "--",
    "haskell": "--",
}
# Here an apostrophe is around one character, or part of a name or lifetime; elsewhere it opens a string.
_ONE_CHARACTER = frozenset("rust c cpp java csharp go kotlin scala swift haskell".split())
# An identifier is renamed from so many occurrences on: what a function is about, it says more than twice.
FREQUENT = 3
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ANY_NAME = re.compile(r"[^\W\d]\w*")
# A string or comment (group 1), or a name (group 2). `$` and `@` belong to variables of PHP, Bash and Ruby.
_KEYWORDS = frozenset(
    """abstract alias alignas alignof and any arguments as asm assert associatedtype async auto await base
    begin bool boolean
    break byte byval callable case catch chan char char8_t checked class clone co_await co_return co_yield
    const
    const_cast constexpr constructor continue crate debugger declare decltype def default defer defined
    defmodule defp
    del delegate delete deriving do done double dyn dynamic dynamic_cast each echo elif else elseif elsif
    empty end endfor
    endforeach endif endswitch endwhile ensure enum error esac event except exit explicit export extension
    extends extern
    external fallthrough false False fi fileprivate final finally fixed float fn for foreach forall foreign
    friend
    from fun func function get global go goto guard if impl implements implicit import in include indirect
    infix init inline
    inner inout instanceof int interface internal into is isset it lateinit lazy let local lock long loop
    macro match
    mod module move mut mutable mutating namespace native never new newtype next nil no noexcept None
    nonlocal not null
    nullptr number object of on open operator or out override package params pass precedencegroup print
    private 
     protected protocol prototype pub public raise range readonly ref register reinterpret_cast repeat require
    requires rescue restrict return sbyte sealed select self Self set short signed sizeof sleep some
    stackalloc static
    static_assert static_cast strictfp string String struct subscript super suspend switch synchronized
    template then
    this thread_local throw throws trait transient true True try type typealias typedef typeid typename
    typeof uint ulong
    unchecked undefined union unless unsafe unset unsigned until use ushort using val var vararg virtual
    void volatile
    wchar_t weak when where while with xor yield NULL std size_t i8 i16 i32 i64 u8 u16 u32 u64 usize isize
    f32 f64 str Vec
    Option Result Some Ok Err Int Integer Float Double Long Bool Boolean Char Text Void Any Object Array
    List Map Set Dict
    int8 int16 int32 int64 uint8 uint16 uint32 uint64 int8_t int16_t int32_t int64_t uint8_t uint16_t
    uint32_t uint64_t
    float32 float64 rune uintptr byte error nil iota len cap make append panic recover cls __init__
    __name__ __class__ print
    len range str int float dict tuple set bytes super isinstance Promise console Math JSON Error""".split()
)


def augment(pair: Pair, rng: random.Random, how: Augmentation) -> tuple[str, str]:
    """(query, document) as one training step sees them."""
    return augment_query(pair, rng, how), augment_code(pair, rng, how)


def augment_query(pair: Pair, rng: random.Random, how: Augmentation) -> str:
    """The prose as somebody might type it; code that asks is changed as code is."""
    text = pair.query
    if pair.kind == "code":
        return drop_comments(text, "") if rng.random() < how.drop_comments else text
    if rng.random() < how.first_sentence:
        text = first_sentence(text)
    if rng.random() < how.lower:
        text = text.rstrip(" .").lower()
    if rng.random() < how.ask:
        text = f"{rng.choice(_ASKS)} {text}"
    if pair.language and rng.random() < how.language:
        spoken = _SPOKEN.get(pair.language, pair.language)
        text = rng.choice((f"{spoken} {text}", f"{text} in {spoken}", f"{text} {spoken}"))
    return text


def augment_code(pair: Pair, rng: random.Random, how: Augmentation) -> str:
    """The code, perhaps without its name or comments, perhaps under a line that says where it lives."""
    code, name = pair.code, pair.name
    if name and rng.random() < how.rename:
        code = rename(code, name, rng.choice(_NEUTRAL))
        name = ""
    if rng.random() < how.drop_comments:
        code = drop_comments(code, pair.language)
    if how.identifiers and rng.random() < how.identifiers:
        code = rename_identifiers(code, pair.language, rng)
    if pair.path and rng.random() < how.header:
        code = f"{header(pair.path)}\n{code}"
    return code


def rename(code: str, name: str, new: str) -> str:
    """Every whole-word occurrence of `name` replaced."""
    last = re.split(r"\W+", name.strip())[-1] or name
    return re.sub(rf"(?<!\w){re.escape(last)}(?!\w)", new, code)


def rename_identifiers(code: str, language: str, rng: random.Random, frequent: int = FREQUENT) -> str:
    """Every identifier that stands `frequent` times or more replaced by a made-up one, the same throughout.

    Different names stay different, and no made-up name meets one that is there. Keywords, strings and
    comments stay. What is only ever asked of something (`np.array`) is not counted: it names a library.
    """
    pattern = _tokens(language)
    counts = Counter(match[2] for match in pattern.finditer(code) if match[2])
    names = [name for name, count in counts.items() if count >= frequent and name not in _KEYWORDS]
    if not names:
        return code
    taken = set(_ANY_NAME.findall(code))
    new: dict[str, str] = {}
    for name in names:
        while (made := _made_up(name, rng)) in taken or made in _KEYWORDS:
            pass
        taken.add(made)
        new[name] = made
    return pattern.sub(lambda match: new.get(match[2] or match[3], match[0]), code)


def _made_up(name: str, rng: random.Random) -> str:
    """A random word; capitals stay, since they tell constants and types from the rest."""
    made = "".join(rng.choice(_LETTERS) for _ in range(rng.randint(1, 6)))
    if name.isupper() and len(name) > 1:
        return made.upper() + "_"
    return made.capitalize() + rng.choice(_LETTERS) if name[0].isupper() else made


def drop_comments(code: str, language: str) -> str:
    """The code without comments; the languages' string literals are left alone."""
    bare = _literals(language).sub(lambda match: match[1] or "", code)
    return bare if bare.strip() else code


@cache
def _strings(language: str) -> str:
    quoted = [r'"""(?:\\.|[^\\])*?"""', r"\'\'\'(?:\\.|[^\\])*?\'\'\'", r'"(?:\\.|[^"\\\n])*"']
    if language in _ONE_CHARACTER:
        quoted.append(r"(?<!\w)'(?:\\[^\n]{1,8}?|[^'\\\n])'")
    else:
        quoted.append(r"'(?:\\.|[^'\\\n])*'")
    if language not in ("python", "ruby", "bash", "haskell"):
        quoted.append(r"`(?:\\.|[^`\\])*`")
    return "|".join(quoted)


@cache
def _literals(language: str) -> re.Pattern[str]:
    """Strings (group 1) and comments (no group)."""
    return re.compile(f"({_strings(language)})|{_COMMENTS[_SIGNS.get(language, '//')]}", re.DOTALL)


@cache
def _tokens(language: str) -> re.Pattern[str]:
    """Strings and comments (group 1), names (2), names that belong to something: `.name` and `->name` (3)."""
    skipped = f"{_strings(language)}|{_COMMENTS[_SIGNS.get(language, '//')]}"
    if language in ("c", "cpp", "csharp"):
        skipped += r"|(?m:^\s*\#\s*include[^\n]*)"
    return re.compile(
        rf"({skipped})|(?<![\w.>:])([^\W\d]\w*)(?![\w]*[\"'])|(?<!\w)([^\W\d]\w*)(?![\w]*[\"'])", re.DOTALL
    )


def header(path: str) -> str:
    """The line over a chunk that says where it lives: the last directories and the file."""
    return "/".join(path.split("/")[-3:])


def first_sentence(text: str) -> str:
    """Up to the first full stop that ends a sentence, unless that leaves fewer than three words."""
    match = re.search(r"[.!?](?=\s+[A-Z(])", text)
    if match and len(text[: match.start()].split()) >= 3:
        return text[: match.start() + 1]
    return text
