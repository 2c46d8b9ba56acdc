"""A comment as written -> the sentence a person would search by, or nothing.

`first_paragraph` takes the signs off a comment and keeps its first paragraph; `worth_reading` says whether
that is English prose about the code. Each rule below was added for pairs seen in real packages.
"""

from __future__ import annotations

import html
import re

from modstar_lsp.encoder.words import split_words

# Shorter texts name what the code's name already says; longer ones are cut at the end of a sentence.
FEWEST_WORDS = 4
LONGEST_TEXT = 400

_BLOCK_OPEN = re.compile(r"^\s*(?:/\*+[!<]?|\{-+\s*[|^]?|\(\*+|\"\"\"|<!--|--\[=*\[|=begin\b)")
_BLOCK_CLOSE = re.compile(r"(?:\*+/|-+\}|\*+\)|-->|\]=*\]|^=end\b)\s*$")
_LINE_SIGN = re.compile(
    r"^\s*(?:/{2,}[!<]?|#+[!:']?(?=\s|$)|#+|-{2,}(?:\s?[|^*](?=\s))?-*|\*+(?![\w*]*\*\S)|;+|%+)[ \t]?"
)
_RULER = re.compile(r"^[\W_]*$")
_SUMMARY = re.compile(r"<summary>(.*?)(?:</summary>|$)", re.S | re.I)
_INTRODUCED = re.compile(
    r"^\s*[@\\](?:brief|short|summary|description|desc|details|internal|fn)\b:?\s*", re.I
)
# A line that ends the first paragraph: tags, sections, examples, lists, tables.
_SECTION = re.compile(
    r"""^\s*(?:
        [@\\][A-Za-z{]\w* | :\w[\w\s]*: | \.\.\s | >>> | ``` | ~~~ | \$\s | [-=~*_^]{3,} | \|
        | \#{1,6}\s | <(?:p|ul|ol|li|pre|table|dl|h\d|param|returns?|remarks|example|br)\b
        | (?:args|arguments|params|parameters?|inputs?|outputs?|returns?|raises|throws|examples?|usage|notes?
            |see\s+also|see|yields|attributes|warnings?|todo|fixme|references|since|safety|panics|errors|deprecated|author|default
            |options|requires|ensures|preconditions?|postconditions?|complexity|discussion|important|return\s+values?
            |entry|exit|on\s+entry|on\s+exit|description|synopsis|keyword\s+arguments|optional|side\s+effects)\s*:+\s*
        | -\s+(?:parameters?|returns?|throws|note|warning|important|complexity|seealso|author)\b.*
        | (?:\d+[.)]|[-*+•])\s+\S
    )""",
    re.X | re.I,
)
_PARAMETER = re.compile(r"^\s*\w+\s*(?:--|–|—|:)\s|^\s*\[(?:in|out|IN|OUT)")
_LINK = re.compile(r"\{@(?:link(?:plain)?|code|literal|value|see)\s+([^}]*)\}", re.I)
_CREF = re.compile(
    r"<(?:see|paramref|typeparamref|seealso)\s+\w+=\"(?:[A-Z]:)?([^\"]*)\"\s*/?>(?:</\w+>)?", re.I
)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,80}>")
_MARKDOWN_LINK = re.compile(r"\[\[([^\[\]]+)\]\]|\[([^\[\]]+)\]\([^()\s]*\)|\[([\w.:`]+)\](?:\[[^\]]*\])?")
_ROLE = re.compile(r":[\w:+-]+:`~?([^`<]*?)(?:\s*<[^`]*>)?`")
_INLINE_TAG = re.compile(r"(?<!\w)[@\\](?:c|p|a|e|b|ref|em|code|emph|tt)\s+(?=\S)|\b[LCBI](?=\{)")
_URL = re.compile(r"\(?\bhttps?://\S+")
_TICKS = re.compile(r"`+|(?<!\w)[*_]{1,2}(?=\w[^*_]*\w[*_]{1,2}(?!\w))|(?<=\w)\*{1,2}(?=\W|$)|'''?")
_SPACES = re.compile(r"\s+")
_SENTENCE_END = re.compile(r"[.!?](?=\s)")
_LED_BY_NAME = re.compile(
    r"^\s*(?:function|method|procedure|class"
    r"|struct)?:?\s*([\w.:#]*?)(\w+)[!?]?\s*(?:\([^()]*\))?\s*(?:[-–—:]+|=>)\s*(?=\S)"
)

_BOILERPLATE = re.compile(
    r"""
    ^(?:gets?(?:\s+(?:or|and)\s+sets?|/sets?)?|sets?|returns?|getter|setter|accessor)\s+(?:for
        |of)?\s*(?:the|a|an|this|its)?\s*
        (?:\w+\s+){0,2}(?:value|property|field|attribute|member|variable|instance|flag)s?\.?$
    | ^(?:gets?\s+(?:or|and)\s+sets?|gets?/sets?|getter\s+for|setter\s+for|accessors?\s+(?:for|of))\b
    | ^(?:(?:default|copy|move|main|public|private|empty|no-arg|simple|full|explicit|protected|the|a|class
        |standard|virtual)\s+)*
        (?:con|de)structor\b[^,;]{0,40}$
    | ^(?:constructs?|creates?|instantiates?|initiali[sz]es?)\s+(?:a|an|the|this)?\s*(?:new|default|empty)?\s*
        (?:instance|object|\w+)\s*(?:instance|object|class|of\s+(?:the\s+)?[\w.<>`]+(?:\s+class)?|with\s+the\s+(?:given|specified)\s+\w+)?\.?$
    | ^initiali[sz]es\s+a\s+new\s+instance\s+of\b | ^constructor\s+for\b
    | inherit[-_\s]?doc | \ball\s+rights\s+reserved\b | \bcopyright\b | \blicen[cs]ed?\s+(?:under|to)\b
        | spdx- | \bgnu\s+general\b
    | \b(?:auto(?:matically)?[-\s]?)?generated\s+(?:by|from|code|method|file|from)\b | \bdo\s+not\s+(?:edit
        |modify)\b
    | ^(?:todo|fixme|xxx|hack|bug|note\s+to\s+self|wip|deprecated|obsolete|unused
        |not\s+(?:yet\s+)?(?:implemented|used|supported))\b
    | ^(?:end\s+of|begin(?:ning)?\s+of|start\s+of|see\s+(?:also|the|https?|rfc|\S+$|issue|above|below)
        |same\s+as|ditto|as\s+above|like\s+(?:the\s+)?above
        |implement(?:s|ation)?\s+(?:of\s+)?(?:the\s+)?[\w.:<>`]+\s*(?:interface|method|trait|class|\.)?$
            |overrid(?:e|es|den)\b|this\s+(?:is\s+a\s+)?(?:test|hack)
        |non-javadoc|\(non-javadoc\)|documentation|no\s+doc|undocumented|missing\s+doc|internal\s+(?:use
            |only|helper\s+function\.?$)|for\s+internal\s+use
        |workaround\s+for|c-?style|region|endregion|https?:|test\s+(?:that|if|for|case)|tests?\b)
    | \b(?:eslint|tslint|jslint|jshint|istanbul|prettier|swiftlint|rubocop|pylint|flake8|noqa|nolint|nosec
        |noinspection|phpcs|checkstyle
        |shellcheck|clang-format|type:\s*ignore|pragma|ts-ignore|ts-expect|suppresswarnings|cppcheck|lint:
            |c8\s+ignore|v8\s+ignore|@vue/)
    | ^\w+\s+implements\s+[\w.]+\s+(?:interface)?\.?$
    | ^[\w.]+\s+is\s+an?\s+auto[-\s]?generated | ^(?:deepcopy|validate\s+validates)\b
        | \bthrift\b.*\bautogenerated
    | -\*- | \bvim:\s | ^@?author\b | ^\d+\b.*\d$ | ^(?:public|private|static|protected|internal)\s+\w+\($
    | ^this\s+(?:method|function|class)\s+(?:is|was)\s+(?:deprecated|generated|auto)
    """,
    re.X | re.I,
)
COMMON_WORDS = frozenset(
    "the a an of to in for is on that by this with be are from or as and it if not all whether given into "
    "at when "
    "which has use used can will any one only its no but new each until than after before between should "
    "must".split()
)
_FOREIGN = frozenset(
    "el la los las una para por que con del der die das und ist ein eine nicht für mit von les des une est "
    "dans pour "
    "sur avec pas qui du il della di che per sono gli nel het een van voor niet zijn och att som på är jest "
    "nie dla "
    "em não uma os dos ao если для это как или при ja vai wird werden auf dem den zu zur alle oder wenn "
    "retourne "
    "renvoie fonction liste devuelve retorna obtener metodo método função classe si este esta lo su "
    "se".split()
)
# A signature that was commented out, and a sentence whose end was a list.
_COMMENTED_CODE = re.compile(
    r"^(?:public|private|protected|internal|static|inline|virtual|override|func|fn|def|fun|function|return"
    r"|var|let|const|if|for"
    r"|while|import|using|#\s*(?:if|define|include))\b[^.]*[()=\[\]]|^[\w.:>-]+\([^()]*\)\s*$"
)
_OPEN_END = re.compile(
    r"(?:^|(?<=[.!?])\s+)[^.!?]*(?:\b(?:either|following|follows|are|is|of|to|the|as|for|with|and|or|like"
    r"|e\.g|i\.e|if|use|by|that)|:)\s*$",
    re.I,
)
_WORD = re.compile(r"[^\W\d_]{2,}", re.UNICODE)
_CODE_SIGNS = re.compile(r"[;{}=<>|\\\[\]&^~$+]|\(\)|->|::|!=")


def first_paragraph(comment: str, name: str = "") -> str:
    """The first paragraph of a comment without signs and markup; "" when there is none.

    `name` is what the comment is about: a leading "name -" or "name:" is taken off.
    """
    summary = _SUMMARY.search(comment)
    if summary:
        comment = "\n".join(_LINE_SIGN.sub("", line) for line in summary[1].split("\n"))
    kept: list[str] = []
    for line in comment.replace("\r", "").split("\n"):
        line = _bare(line)
        if not line or _RULER.match(line):
            if kept:
                break
            continue
        line = _INTRODUCED.sub("", line)
        if not line:
            continue
        if _SECTION.match(line) or (kept and _PARAMETER.match(line)):
            if kept or line[:1] in "@\\:":
                break
            continue
        kept.append(line)
    text = _plain(" ".join(kept))
    if name:
        led = _LED_BY_NAME.match(text)
        if led and led[2] == re.split(r"\W+", name.strip("!?= "))[-1]:
            text = text[led.end() :]
    return _shortened(_OPEN_END.sub("", text.strip(" -–—*/#|")).strip(" -–—:"))


def _bare(line: str) -> str:
    line = _BLOCK_OPEN.sub("", line)
    line = _BLOCK_CLOSE.sub("", line)
    return _LINE_SIGN.sub("", line).strip()


def _plain(text: str) -> str:
    text = _LINK.sub(
        lambda match: match[1].split()[-1].replace("#", ".").strip(".") if match[1].split() else "", text
    )
    text = _CREF.sub(lambda match: match[1].split("(")[0].split(".")[-1], text)
    text = _TAG.sub("", text)
    text = _MARKDOWN_LINK.sub(lambda match: match[1].split()[-1] if match[1] else match[2] or match[3], text)
    text = _ROLE.sub(lambda match: match[1].split(".")[-1], text)
    text = _INLINE_TAG.sub("", text)
    text = _TICKS.sub("", text)
    if "&" in text:
        text = html.unescape(text)
    return _SPACES.sub(" ", _URL.sub("", text)).strip()


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    ends = [match.end() for match in _SENTENCE_END.finditer(text, 0, LONGEST_TEXT)]
    if ends and ends[-1] >= 40:
        return text[: ends[-1]]
    return text[:LONGEST_TEXT].rsplit(" ", 1)[0]


def worth_reading(text: str, name: str = "") -> bool:
    """Whether a text is English prose that says more than the `name` of what it describes."""
    words = _WORD.findall(text)
    if len(words) < FEWEST_WORDS or _BOILERPLATE.search(text) or _COMMENTED_CODE.search(text):
        return False
    letters = sum(map(len, words))
    if letters < 0.6 * len(text.replace(" ", "")) or sum(map(len, _CODE_SIGNS.findall(text))) > 0.06 * len(
        text
    ):
        return False
    if sum(character > "\u024f" and character not in "–—‘’“”…•→←≤≥×" for character in text) > 0.02 * len(
        text
    ):
        return False
    if text[-1] in "{;=(" or text[0] in "}{)":
        return False
    lower = [word.lower() for word in words]
    english = sum(word in COMMON_WORDS for word in lower)
    if sum(word in _FOREIGN for word in lower) > english or (not english and len(words) > 9):
        return False
    if len(words) <= 7 and name:
        known = set(split_words(name))
        said = {word for word in split_words(text) if word not in COMMON_WORDS}
        if all(word in known or word.rstrip("s") in known for word in said):
            return False
    return True
