"""Under which licence a file may be read: SPDX names from licence texts, metadata and Debian's records.

Only what is certainly permissive counts; a file whose licence is unknown is not taken.
"""

from __future__ import annotations

import json
import re
from fnmatch import translate
from functools import lru_cache
from pathlib import Path

# Licences that ask for nothing but their notice. Weights trained on such code carry no condition further.
PERMISSIVE = frozenset(
    "MIT MIT-0 Apache-2.0 BSD-2-Clause BSD-3-Clause BSD-1-Clause 0BSD ISC BSL-1.0 Zlib Unlicense CC0-1.0 "
    "PSF-2.0 "
    "PostgreSQL NCSA curl MS-PL HPND Public-Domain WTFPL Libpng X11 Ruby Unicode-3.0 Python-2.0 UPL-1.0 "
    "OpenSSL "
    "BSD-4-Clause Artistic-2.0 BlueOak-1.0.0 FTL TCL PHP-3.01 NAIST-2003 bzip2-1.0.6".split()
)
# First phrase found in a text decides, so a notice about bundled parts further down does not.
_PHRASES: tuple[tuple[str, str], ...] = (
    ("AGPL-3.0", r"gnu affero general public"),
    ("LGPL", r"gnu (?:lesser|library) general public"),
    ("GPL", r"gnu general public|\bgplv?[23]\b"),
    ("MPL", r"mozilla public license|\bmpl[- ][12]"),
    ("EPL", r"eclipse (?:public|distribution) license"),
    ("CDDL", r"common development and distribution"),
    ("BUSL-1.1", r"business source license"),
    ("SSPL-1.0", r"server side public license"),
    ("Elastic", r"elastic license"),
    ("Commons-Clause", r"commons clause"),
    ("EUPL", r"european union public licen[cs]e"),
    ("CC-BY-NC", r"noncommercial|non-commercial"),
    (
        "Apache-2.0",
        r"apache license,?\s*(?:\(the \"license\"\)|version 2|v ?2)|licenses/license-2\.0|apache-2\.0",
    ),
    (
        "MIT",
        r"permission is hereby granted, free of charge|\bthe mit license\b|\bmit licen[cs]e\b"
        r"|licen[cs]ed? under (?:the )?mit\b",
    ),
    ("ISC", r"permission to use, copy, modify,? and(?:/or)? distribute this software|\bisc license\b"),
    ("BSD", r"redistribution and use in source and binary forms|\bbsd[- ](?:style|[23][- ]clause|license)"),
    ("BSL-1.0", r"boost software license"),
    ("Zlib", r"altered source versions must be plainly marked|\bzlib license\b"),
    ("Unlicense", r"free and unencumbered software released into the public domain|unlicense\.org"),
    ("CC0-1.0", r"cc0 1\.0 universal|creativecommons\.org/publicdomain/zero"),
    ("PSF-2.0", r"python software foundation license"),
    ("PostgreSQL", r"postgresql (?:database management system|license)"),
    ("MS-PL", r"microsoft public license"),
    ("UPL-1.0", r"universal permissive license"),
)
_ANY = re.compile("|".join(f"(?P<p{i}>{phrase})" for i, (_, phrase) in enumerate(_PHRASES)), re.I)
_SPACES = re.compile(r"\s+")
_FILE_NAME = re.compile(
    r"^(?:[\w.]+[-_])?(?:un)?(?:licen[cs]e|copying|copyright|notice)s?(?![a-z])[^/]*$", re.I
)
_MAIN_FILE = re.compile(r"^(?:un)?(?:licen[cs]e|copying)(?:\.(?:md|txt|rst|html|markdown))?$", re.I)
_CHOICE_FILE = re.compile(r"mit|apache|bsd|isc|zlib|boost|unlicense|cc0|bsl", re.I)
_NO_TEXT = re.compile(r"\.(?:py|js|ts|java|go|rs|rb|php|cs|c|h|cpp|kt|swift|ex|hs|lua|scala|sh|json)$", re.I)
_SPDX = re.compile(r"SPDX-License-Identifier:\s*([^\n*#>]+)")
_COPYLEFT_HEAD = re.compile(
    r"GNU\s+(?:Affero|Lesser|Library|General)|\b[AL]?GPL(?:v?[23]|-[23])|Mozilla\s+Public|Eclipse\s+Public"
    r"|Business\s+Source"
    r"|Server\s+Side\s+Public|Elastic\s+License|Common\s+Development\s+and\s+Distribution"
    r"|proprietary\s+and\s+confidential",
    re.I,
)
# How other registries call the same licence.
_ALIASES = {
    "expat": "MIT",
    "mit/x11": "MIT",
    "mit license": "MIT",
    "the mit license": "MIT",
    "mit-license": "MIT",
    "the mit license (mit)": "MIT",
    "mit licence": "MIT",
    "mit-style": "MIT",
    "apache 2.0": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache2": "Apache-2.0",
    "asl-2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "apache-2.0 license": "Apache-2.0",
    "apache": "Apache-2.0",
    "apache v2": "Apache-2.0",
    "asl 2.0": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd-3": "BSD-3-Clause",
    "bsd-2": "BSD-2-Clause",
    "bsd license": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "new bsd license": "BSD-3-Clause",
    "bsd-style": "BSD-3-Clause",
    "modified bsd": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "3-clause bsd": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd-3-clause-like": "BSD-3-Clause",
    "simplified bsd": "BSD-2-Clause",
    "bsd 2-clause": "BSD-2-Clause",
    "boost-1.0": "BSL-1.0",
    "boost": "BSL-1.0",
    "bsl-1": "BSL-1.0",
    "public-domain": "Public-Domain",
    "pd": "Public-Domain",
    "public domain": "Public-Domain",
    "zlib/libpng": "Zlib",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "python software foundation license": "PSF-2.0",
    "psf": "PSF-2.0",
    "python": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
    "cc0": "CC0-1.0",
    "uoi-ncsa": "NCSA",
    "tcl/tk": "TCL",
    "mit-0": "MIT-0",
    "ms-pl": "MS-PL",
    "postgresql license": "PostgreSQL",
}
_KNOWN = {name.lower(): name for name in PERMISSIVE} | _ALIASES


def is_licence_file(name: str) -> bool:
    """Whether a file of this name (no folders) holds a licence."""
    return bool(_FILE_NAME.match(name)) and not _NO_TEXT.search(name)


def identify(text: str) -> str:
    """The SPDX-like name of the licence that `text` is or names first, "" when it is none known."""
    flat = _SPACES.sub(" ", text[:20_000])
    match = _ANY.search(flat)
    if not match:
        return ""
    name = _PHRASES[int(match.lastgroup[1:])][0] if match.lastgroup else ""
    if name == "BSD":
        return "BSD-3-Clause" if re.search(r"neither the name|3[- ]clause", flat, re.I) else "BSD-2-Clause"
    return name


@lru_cache(maxsize=4096)
def permitted(expression: str) -> str:
    """The permissive licence that an expression ("GPL-2+ or MIT") offers, "" when it offers none."""
    whole = expression.strip().strip("()").strip()
    if whole.lower() in _KNOWN:
        return _KNOWN[whole.lower()]
    for choice in re.split(r"\s+or\s+|\s*\|\|?\s*|/(?=[A-Z])|,\s*or\s+", whole, flags=re.I):
        parts = re.split(r"\s+and\s+|,\s*|\s*&\s*", choice.strip("() "), flags=re.I)
        names = [_named(part) for part in parts if part.strip("() ")]
        if names and all(names):
            return " AND ".join(dict.fromkeys(names))
    return ""


def _named(name: str) -> str:
    bare = re.sub(r"\s+with\s+.*$", "", name.strip("() .").lower())
    found = _KNOWN.get(bare) or _KNOWN.get(bare.removesuffix(" license"))
    if found:
        return found
    # Debian numbers and names its variants: BSD-3-clause-Google, Expat-Foo, MIT-1.
    for prefix, known in (
        ("bsd-3-clause", "BSD-3-Clause"),
        ("bsd-2-clause", "BSD-2-Clause"),
        ("bsd-3", "BSD-3-Clause"),
        ("expat", "MIT"),
        ("apache-2", "Apache-2.0"),
        ("public-domain", "Public-Domain"),
        ("bsd-2", "BSD-2-Clause"),
        ("isc-", "ISC"),
        ("mit-", "MIT"),
        ("zlib-", "Zlib"),
    ):
        if bare.startswith(prefix):
            return known
    return ""


class Licences:
    """What the files of a tree are under: Debian's record, else the nearest licence file, else the metadata.

    A file that names another licence at its head is under that one.
    """

    def __init__(self, root: Path, files: list[str], debian: str = "", metadata: str = "") -> None:
        self._rules = _debian_rules(debian)
        self._by_folder = _by_folder(root, files)
        if metadata and not self._by_folder.get(""):
            self._by_folder[""] = permitted(metadata) or metadata

    @property
    def unknown(self) -> bool:
        """Whether nothing in the tree says a licence, but maybe the heads of files."""
        return not self._rules and not any(self._by_folder.values())

    def of(self, path: str, head: str, more: tuple[str, ...] = ()) -> str:
        """The licence of a file whose first lines are `head`; "" unless it is permissive or one of `more`."""
        stated = self._stated(path, head)
        return permitted(stated) or (stated if stated in more else "")

    def _stated(self, path: str, head: str) -> str:
        spdx = _SPDX.search(head)
        if spdx:
            return spdx[1].replace("*/", "").strip()
        if _COPYLEFT_HEAD.search(head):
            return identify(head) or "copyleft"
        for pattern, licence in self._rules:
            if pattern.match(path):
                return licence
        folder = path
        while folder:
            folder = folder.rpartition("/")[0]
            if folder in self._by_folder:
                return self._by_folder[folder]
        return ""


def licence_above(folder: Path) -> Path | None:
    """The licence file nearest above a folder, no farther up than its repository; None when there is none."""
    for parent in folder.resolve().parents:
        named = [one for one in sorted(parent.glob("*")) if is_licence_file(one.name) and one.is_file()]
        if named:
            return min(named, key=lambda one: not _MAIN_FILE.match(one.name))
        if (parent / ".git").exists():
            return None
    return None


def _by_folder(root: Path, files: list[str]) -> dict[str, str]:
    """The licence of each folder that has licence files.

    The file called LICENSE or COPYING decides, and where there are two the stricter one. LICENSE-MIT beside
    LICENSE-APACHE are a choice. Others (COPYING.protobuf, NOTICE) may speak of parts; they count alone.
    """
    found: dict[str, list[tuple[int, str]]] = {}
    for path in sorted(files):
        folder, _, name = path.rpartition("/")
        if is_licence_file(name) and not folder.endswith("debian"):
            rank = 0 if _MAIN_FILE.match(name) else 1 if _CHOICE_FILE.search(name) else 2
            text = (root / path).read_text(encoding="utf-8", errors="replace")
            found.setdefault(folder, []).append((rank, identify(text)))
    decided = {}
    for folder, named in found.items():
        best = min(rank for rank, _ in named)
        licences = [licence for rank, licence in named if rank == best]
        strict = [licence for licence in licences if not permitted(licence)]
        free = [licence for licence in licences if permitted(licence)]
        decided[folder] = (free or strict)[0] if best == 1 else (strict or free)[0]
    return {folder: licence for folder, licence in decided.items() if licence or folder == ""}


def _debian_rules(text: str) -> list[tuple[re.Pattern[str], str]]:
    """(files, licence) of a machine-readable debian/copyright, last first since the last match decides."""
    if "copyright-format" not in text[:2000].lower() and "dep5" not in text[:2000].lower():
        return []
    rules: list[tuple[re.Pattern[str], str]] = []
    for paragraph in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in paragraph.split("\n"):
            if line[:1] in " \t":
                fields[key] = f"{fields.get(key, '')}\n{line.strip()}"
            elif ":" in line and not line.startswith("#"):
                key, _, value = line.partition(":")
                key = key.lower()
                fields[key] = value.strip()
        if fields.get("files") and fields.get("license"):
            licence = fields["license"].strip().split("\n")[0]
            rules.extend(
                (re.compile(translate(glob)), licence)
                for glob in re.split(r"[\s,]+", fields["files"])
                if glob
            )
    return rules[::-1]


def metadata_licence(name: str, text: str) -> str:
    """The licence that a package's own description (package.json, METADATA, Cargo.toml ...) states."""
    if name in ("package.json", "composer.json"):
        try:
            stated = json.loads(text).get("license", "")
        except (ValueError, AttributeError):
            return ""
        if isinstance(stated, list):
            stated = " or ".join(str(one) for one in stated)
        return str(stated.get("type", "")) if isinstance(stated, dict) else str(stated)
    if name in ("METADATA", "PKG-INFO"):
        for pattern in (
            r"^License-Expression:\s*(.+)$",
            r"^Classifier: License :: (?:OSI Approved :: )?(.+)$",
            r"^License:\s*(.+)$",
        ):
            for stated in re.findall(pattern, text, re.M):
                if stated.strip() not in ("UNKNOWN", "OSI Approved"):
                    return re.sub(r"\s*\(.*\)$", "", stated.strip()) if "(MIT)" not in stated else "MIT"
        return ""
    stated = re.search(r"""^\s*(?:\w+\.)?license\s*=\s*["']([^"']+)["']""", text, re.M)
    return stated[1] if stated else ""
