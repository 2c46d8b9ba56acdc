"""Which language a file is in: from its name, and where that is not enough from its beginning.

The names are GitHub's (linguist) in lower case for all that came after the languages with a grammar of ours.
"""

from __future__ import annotations

import re

EXTENSIONS: dict[str, str] = {
    extension: language
    for language, extensions in {
        "python": "py pyi pyw pyx pxd pxi bzl star smk xsh",
        "javascript": "js jsx mjs cjs es6",
        "typescript": "ts mts cts",
        "tsx": "tsx",
        "java": "java",
        "kotlin": "kt kts",
        "go": "go",
        "rust": "rs",
        "c": "c h",
        "cpp": "cc cpp cxx c++ hh hpp hxx h++ ipp inl tpp tcc ixx cppm cu cuh ino",
        "csharp": "cs csx",
        "ruby": "rb rake gemspec podspec ru jbuilder builder thor",
        "php": "php phtml php3 php4 php5 inc",
        "swift": "swift",
        "scala": "scala sc sbt",
        "lua": "lua luau rockspec",
        "bash": "sh bash zsh ksh bats ebuild eclass",
        "haskell": "hs lhs hsc",
        "elixir": "ex exs",
        "zig": "zig zon",
        # Known by name, without a grammar: searched in windows of lines.
        "objective-c": "m mm",
        "dart": "dart",
        "perl": "pl pm t",
        "raku": "raku rakumod rakutest p6 pm6",
        "matlab": "matlab",
        "mercury": "mercury",
        "coq": "coq",
        "lean": "lean",
        "agda": "agda lagda",
        "idris": "idr",
        "isabelle": "thy",
        "dafny": "dfy",
        "tla": "tla",
        "standard ml": "sml",
        "elm": "elm",
        "purescript": "purs",
        "reason": "re rei",
        "rescript": "res resi",
        "gleam": "gleam",
        "roc": "roc",
        "gdscript": "gd",
        "haxe": "hx",
        "mojo": "mojo",
        "odin": "odin",
        "vala": "vala vapi",
        "chapel": "chpl",
        "ballerina": "bal",
        "apex": "apex trigger",
        "coffeescript": "coffee",
        "livescript": "ls",
        "moonscript": "moon",
        "fennel": "fnl",
        "janet": "janet",
        "hy": "hy",
        "smalltalk": "st",
        "actionscript": "as",
        "squirrel": "nut",
        "processing": "pde",
        "stata": "do ado",
        "sas": "sas",
        "mathematica": "wl wls",
        "sage": "sage",
        "openscad": "scad",
        "autohotkey": "ahk",
        "applescript": "applescript",
        "nsis": "nsi nsh",
        "coldfusion": "cfm cfc cfml",
        "vyper": "vy",
        "cairo": "cairo",
        "llvm": "mlir",
        "webassembly": "wat wast",
        "open policy agent": "rego",
        "cue": "cue",
        "dhall": "dhall",
        "jsonnet": "jsonnet libsonnet",
        "nickel": "ncl",
        "kdl": "kdl",
        "bicep": "bicep",
        "puppet": "puppet",
        "prisma": "prisma",
        "smithy": "smithy",
        "cap'n proto": "capnp",
        "flatbuffers": "fbs",
        "qml": "qml qbs",
        "gn": "gn gni",
        "bitbake": "bb bbappend bbclass",
        "just": "just",
        "meson": "meson",
        "m4": "m4 ac",
        "cabal config": "cabal",
        "opam": "opam",
        "devicetree": "dts dtsi",
        "linker script": "lds",
        "gherkin": "feature",
        "robotframework": "robot",
        "cypher": "cypher",
        "sparql": "rq sparql",
        "plantuml": "puml plantuml",
        "mermaid": "mmd mermaid",
        "1c enterprise": "bsl",
        "abap": "abap",
        "al": "al",
        "alloy": "als",
        "apl": "apl dyalog",
        "aspectj": "aj",
        "augeas": "aug",
        "autoit": "au3",
        "bluespec": "bsv",
        "boogie": "bpl",
        "brightscript": "brs",
        "carbon": "carbon",
        "ceylon": "ceylon",
        "circom": "circom",
        "clarity": "clar",
        "codeql": "ql qll",
        "dylan": "dylan",
        "edgeql": "edgeql esdl",
        "eiffel": "e",
        "elvish": "elv",
        "f*": "fst fsti",
        "factor": "factor",
        "fantom": "fan",
        "faust": "dsp",
        "func": "fc func",
        "futhark": "fut",
        "gnuplot": "gnuplot gp",
        "gosu": "gs gsx",
        "graphviz": "dot gv",
        "hack": "hack",
        "hare": "ha",
        "idl": "idl webidl",
        "imba": "imba",
        "io": "io",
        "j": "ijs",
        "jai": "jai",
        "jcl": "jcl",
        "koka": "kk",
        "kusto": "kql",
        "lilypond": "ly",
        "logos": "xm",
        "logtalk": "lgt logtalk",
        "lsl": "lsl",
        "macaulay2": "m2",
        "mcfunction": "mcfunction",
        "mql": "mq4 mq5 mqh",
        "nesc": "nc",
        "noir": "nr",
        "nushell": "nu",
        "papyrus": "psc",
        "pddl": "pddl",
        "pig": "pig",
        "pike": "pike pmod",
        "pony": "pony",
        "promela": "pml promela",
        "prql": "prql",
        "q": "q",
        "q#": "qs",
        "ragel": "rl",
        "red": "red reds",
        "relax ng": "rnc",
        "rexx": "rexx rex",
        "scilab": "sci sce",
        "sed": "sed",
        "slint": "slint",
        "smali": "smali",
        "sourcepawn": "sp",
        "stan": "stan",
        "supercollider": "scd",
        "sway": "sw",
        "tablegen": "td",
        "tact": "tact",
        "teal": "tl",
        "typoscript": "typoscript",
        "vbscript": "vbs",
        "vcl": "vcl",
        "wdl": "wdl",
        "wren": "wren",
        "x10": "x10",
        "xquery": "xq xqm xqy xquery",
        "xtend": "xtend",
        "yang": "yang",
        "yara": "yar yara",
        "yul": "yul",
        "zeek": "zeek",
        "zephir": "zep",
        "notebook": "ipynb",
        "r": "r",
        "julia": "jl",
        "clojure": "clj cljs cljc edn",
        "erlang": "erl hrl escript",
        "ocaml": "ml mli mll mly eliom",
        "fsharp": "fs fsi fsx",
        "visualbasic": "vb bas",
        "groovy": "groovy gradle",
        "nim": "nim nims",
        "crystal": "cr",
        "d": "d di",
        "ada": "ada adb ads",
        "fortran": "f f77 f90 f95 f03 f08 for",
        "pascal": "pas pp dpr",
        "cobol": "cob cbl cobol cpy",
        "lisp": "lisp lsp cl el scm rkt ss",
        "prolog": "pro",
        "tcl": "tcl",
        "assembly": "s asm nasm",
        "verilog": "v sv svh vh",
        "vhdl": "vhd vhdl",
        "solidity": "sol",
        "move": "move",
        "powershell": "ps1 psm1 psd1",
        "batch": "bat cmd",
        "fish": "fish",
        "tcsh": "csh tcsh",
        "awk": "awk gawk",
        "vim": "vim",
        "sql": "sql psql plsql ddl pks pkb",
        "graphql": "graphql gql graphqls",
        "protobuf": "proto",
        "thrift": "thrift",
        "razor": "razor cshtml vbhtml",
        "templ": "templ",
        "html": "html htm xhtml jsp jspx jspf aspx ascx ftl erb haml slim ejs hbs mustache j2 jinja jinja2 "
        "eex heex leex twig liquid njk handlebars jade rhtml vm tpl mako "
        "pug",
        "vue": "vue",
        "svelte": "svelte",
        "astro": "astro",
        "css": "css scss sass less styl",
        "xml": "xml xsd xsl xslt xaml csproj fsproj vbproj props targets plist",
        "terraform": "tf tfvars hcl",
        "nix": "nix",
        "cmake": "cmake",
        "make": "mk mak am",
        "dockerfile": "dockerfile",
        "starlark": "bazel",
        "jq": "jq",
        "antlr": "g4 g",
        "yacc": "y yy l ll",
        "glsl": "glsl vert frag comp geom hlsl metal wgsl gdshader",
        "latex": "tex sty cls",
        "yaml": "yml yaml",
        "toml": "toml",
        "json": "json jsonc json5",
        "ini": "ini cfg conf properties editorconfig",
        "markdown": "md markdown mdx mkd qmd rmd",
        "rst": "rst rest",
        "asciidoc": "adoc asciidoc",
        "org": "org",
        "typst": "typ",
        "textile": "textile",
        "mediawiki": "mediawiki wiki",
        "pod": "pod",
        "rdoc": "rdoc",
        "texinfo": "texi texinfo",
        "text": "txt text",
    }.items()
    for extension in extensions.split()
}

# What is read rather than run, what sets something up, and what lays something out. All else is code.
PROSE = frozenset(
    {
        "markdown",
        "rst",
        "asciidoc",
        "org",
        "latex",
        "text",
        "typst",
        "textile",
        "mediawiki",
        "pod",
        "rdoc",
        "texinfo",
    }
)
SETTINGS = frozenset({"yaml", "toml", "json", "ini", "xml"})
# JSON that holds prose and code in cells.
NOTEBOOK = "notebook"
# What a file can be, to whoever searches: see search/filters.py.
CONTENTS = ("code", "docs", "tests", "config")
MARKUP = frozenset({"html", "css", "xml", "vue", "svelte", "astro", "razor"})

NAMES: dict[str, str] = {
    "makefile": "make",
    "gnumakefile": "make",
    "bsdmakefile": "make",
    "dockerfile": "dockerfile",
    "containerfile": "dockerfile",
    "cmakelists.txt": "cmake",
    "jenkinsfile": "groovy",
    "rakefile": "ruby",
    "gemfile": "ruby",
    "guardfile": "ruby",
    "capfile": "ruby",
    "podfile": "ruby",
    "fastfile": "ruby",
    "brewfile": "ruby",
    "vagrantfile": "ruby",
    "dangerfile": "ruby",
    "berksfile": "ruby",
    "sconstruct": "python",
    "sconscript": "python",
    "wscript": "python",
    "snakefile": "python",
    "build": "starlark",
    "workspace": "starlark",
    "tiltfile": "starlark",
    "justfile": "just",
    ".justfile": "just",
    "meson.build": "meson",
    "meson_options.txt": "meson",
    "meson.options": "meson",
    "dune": "ocaml",
    "dune-project": "ocaml",
    "kconfig": "kconfig",
    "earthfile": "dockerfile",
    "rebar.config": "erlang",
    "procfile": "yaml",
    "caddyfile": "text",
    "pkgbuild": "bash",
    ".bashrc": "bash",
    ".bash_profile": "bash",
    ".bash_aliases": "bash",
    ".profile": "bash",
    ".zshrc": "bash",
    ".zprofile": "bash",
    ".envrc": "bash",
    ".vimrc": "vim",
    ".emacs": "lisp",
    "go.mod": "text",
    "readme": "text",
    "license": "text",
    "copying": "text",
    "authors": "text",
    "contributors": "text",
    "changes": "text",
    "changelog": "text",
    "news": "text",
    "install": "text",
    "todo": "text",
    "usage": "text",
    "notice": "text",
    "codeowners": "text",
}

# What an ending shared by several languages means: the first whose pattern is found in the beginning, else
# what EXTENSIONS says. No pattern has two loops that could share what they take: the time is linear.
_BY_CONTENT: dict[str, tuple[tuple[str, str], ...]] = {
    "m": (
        ("mercury", r"^:-\s*module\b"),
        (
            "objective-c",
            r"^[ \t]*(?:#import\b|#include\b|@(?:interface|implementation|protocol|import|class|end)\b)",
        ),
        ("mathematica", r"^\(\*"),
        (
            "matlab",
            r"^[ \t]*(?:function\b|classdef\b|%|end$|(?:clear|clc|close all|disp|addpath|figure)\b)|\.[*/^]",
        ),
    ),
    "h": (
        (
            "objective-c",
            r"^[ \t]*(?:#import\b|@(?:interface|protocol|class|import|end)\b)|\bNS_ASSUME_NONNULL",
        ),
        (
            "cpp",
            r"^[ \t]*(?:(?:inline )?namespace\b|template\s*<|using \w|public:|private:|protected:|virtual\b)"
            r"|^[ \t]*(?:constexpr\b|(?:enum )?class \w)|\bstd::"
            r"|#include <(?:string|vector|memory|map|utility|functional|iostream)>",
        ),
    ),
    "pl": (
        ("raku", r"^use v6\b"),
        (
            "perl",
            r"^#!.*\bperl|^[ \t]*(?:use \w.*;|package [\w:]+|sub \w+|my [$@%(])",
        ),
        ("prolog", r"^:-|^[a-z]\w*\(.*\)[ \t]*:-|^[a-z]\w*\([^()\n]*\)\.[ \t]*$"),
    ),
    "v": (
        (
            "coq",
            r"^[ \t]*(?:Require|From \w+ Require|Theorem|Lemma|Inductive|Fixpoint|Definition|Proof|Module)\b",
        ),
        (
            "verilog",
            r"^[ \t]*(?:(?:macro)?module[ \t]+\\?\w+[ \t]*[#(;]|endmodule"
            r"|`(?:timescale|include|define|ifdef)\b)",
        ),
        ("v", r"^(?:module \w+$|import [\w.]+$|(?:pub )?(?:mut )?fn [\w(]|(?:pub )?struct \w+ \{)"),
    ),
    "fs": (
        (
            "glsl",
            r"^[ \t]*(?:#version\b|precision \w+ float|void main[ \t]*\(|uniform \w|varying \w)|\bgl_Frag",
        ),
        ("forth", r"^: [^\n]*;[ \t]*$"),
    ),
    "d": (
        ("make", r"\A[^\s:]+\.[od][ \t]*:"),
        ("dtrace", r"\A#!.*dtrace|^#pragma D\b|^\w*:\w*:\w*:\w*$"),
    ),
    "r": (("rebol", r"\A\s*(?:REBOL|Red)\b"),),
    "cls": (
        ("visualbasic", r"\AVERSION \d|^Attribute VB_"),
        (
            "latex",
            r"^[ \t]*(?:%|\\(?:NeedsTeXFormat|ProvidesClass|documentclass|LoadClass|RequirePackage)\b)",
        ),
        (
            "apex",
            r"(?i)^[ \t]*(?:public|private|global|virtual|abstract)\b.*\b(?:class|interface)\b|^@isTest",
        ),
        ("openedge abl", r"(?i)^[ \t]*class \w.*:[ \t]*$"),
    ),
    "inc": (
        ("php", r"<\?(?:php|=|\s)"),
        ("pascal", r"(?i)\{\$|^[ \t]*(?:procedure|unit|begin|const|type)\b"),
        ("bitbake", r"^(?:inherit|require) \w|^[A-Z_]+(?:[:_]\w+)? [?+:]?= \""),
        (
            "assembly",
            r"^[ \t]*(?:;|%(?:macro|define|include|ifdef)|\.(?:macro|globl|equ|text)\b"
            r"|\w+[ \t]+(?:equ|macro)\b)",
        ),
        (
            "cpp",
            r"^[ \t]*(?:#[ \t]*(?:include|define|ifn?def|if|pragma)\b|//|/\*|template\b|namespace\b)"
            r"|;[ \t]*$",
        ),
        ("html", r"^[ \t]*<\w"),
        ("text", r""),
    ),
    "pp": (("puppet", r"^[ \t]*(?:class|define|node)\b[^\n]*[{(]|=>"),),
    "cl": (("opencl", r"\b(?:__)?kernel\b|__global\b|#pragma OPENCL"),),
    "ll": (("llvm", r"^(?:; ModuleID|target |define |declare |source_filename|@[\w.]+ =)"),),
    "pro": (("qmake", r"^[ \t]*(?:QT|TARGET|TEMPLATE|SOURCES|CONFIG|HEADERS|SUBDIRS)\b[ \t]*[+-]?="),),
    "st": (("html", r"<\w"),),
}
#: How much of a text `language_of` looks at.
HEAD_CHARS = 8_000

_PREFIXES = (("dockerfile.", "dockerfile"), ("makefile.", "make"), ("jenkinsfile.", "groovy"))

# Compiled when a file has such a line.
_SHEBANG = r"#!\s*\S*?/?(?:env\s+(?:-\S+\s+|\w+=\S*\s+)*)?([A-Za-z+_.-]+?)[\d.]*(?:\s|$)"
_INTERPRETERS = {
    "python": "python",
    "pypy": "python",
    "uv": "python",
    "node": "javascript",
    "nodejs": "javascript",
    "bun": "typescript",
    "deno": "typescript",
    "ts-node": "typescript",
    "tsx": "typescript",
    "sh": "bash",
    "bash": "bash",
    "dash": "bash",
    "ash": "bash",
    "zsh": "bash",
    "ksh": "bash",
    "bats": "bash",
    "ruby": "ruby",
    "jruby": "ruby",
    "php": "php",
    "lua": "lua",
    "luajit": "lua",
    "elixir": "elixir",
    "iex": "elixir",
    "escript": "erlang",
    "runhaskell": "haskell",
    "runghc": "haskell",
    "stack": "haskell",
    "swift": "swift",
    "scala": "scala",
    "scala-cli": "scala",
    "kotlin": "kotlin",
    "groovy": "groovy",
    "perl": "perl",
    "tclsh": "tcl",
    "wish": "tcl",
    "fish": "fish",
    "tcsh": "csh tcsh",
    "pwsh": "powershell",
    "awk": "awk gawk",
    "gawk": "awk",
    "make": "make",
    "jq": "jq",
    "nu": "text",
    "osascript": "text",
    "rscript": "r",
    "Rscript": "r",
    "julia": "julia",
    "zig": "zig",
    "nix": "nix",
    "nix-shell": "nix",
}


def language_of(path: str, head: str = "") -> str:
    """The language of the file at `path`: a name like "python", "csharp" or "markdown"; "text" when unknown.

    head: the beginning of its text, HEAD_CHARS of it at most. It decides where languages share an ending
    (`.m`, `.h`, `.v`), and by its shebang where the name says nothing.
    """
    name = path[path.rfind("/") + 1 :].lower()
    language = language_by_name(name)
    if not language:
        return _by_shebang(head) or "text"
    choices = _BY_CONTENT.get(name[name.rfind(".") + 1 :]) if head and "." in name else None
    if choices is None or EXTENSIONS.get(name[name.rfind(".") + 1 :]) != language:
        return language
    head = head[:HEAD_CHARS]
    return next((found for found, sign in choices if re.search(sign, head, re.MULTILINE)), language)


def language_by_name(name: str) -> str:
    """The language that the lower-case file name alone tells, "" when it tells none."""
    known = NAMES.get(name)
    if known:
        return known
    dot = name.rfind(".")
    if dot >= 0:
        extension = name[dot + 1 :]
        if extension in ("in", "tpl", "tmpl", "template", "dist", "sample", "example", "stub", "tt"):
            inner = language_by_name(name[:dot])
            return inner or "text"
        language = EXTENSIONS.get(extension)
        if language:
            return language
        for prefix, named in _PREFIXES:
            if name.startswith(prefix):
                return named
    return ""


def _by_shebang(line: str) -> str:
    if not line.startswith("#!"):
        return ""
    found = re.match(_SHEBANG, line)
    return _INTERPRETERS.get(found[1], "") if found else ""
