"""Which language a file is in, from its name or its first line. Nothing else is looked at."""

from __future__ import annotations

import re

EXTENSIONS: dict[str, str] = {
    extension: language
    for language, extensions in {
        "python": "py pyi pyw pyx pxd pxi bzl star",
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
        "ruby": "rb rake gemspec podspec ru jbuilder thor",
        "php": "php phtml php3 php4 php5 inc",
        "swift": "swift",
        "scala": "scala sc sbt",
        "lua": "lua luau rockspec",
        "bash": "sh bash zsh ksh bats ebuild",
        "haskell": "hs lhs hsc",
        "elixir": "ex exs",
        "zig": "zig zon",
        # Known by name, without a grammar: searched in windows of lines.
        "objective-c": "m mm",
        "dart": "dart",
        "perl": "pl pm t",
        "r": "r",
        "julia": "jl",
        "clojure": "clj cljs cljc edn",
        "erlang": "erl hrl",
        "ocaml": "ml mli",
        "fsharp": "fs fsi fsx",
        "visualbasic": "vb bas",
        "groovy": "groovy gradle",
        "nim": "nim nims",
        "crystal": "cr",
        "d": "d",
        "ada": "adb ads",
        "fortran": "f f77 f90 f95 f03 f08 for",
        "pascal": "pas pp dpr",
        "cobol": "cob cbl",
        "lisp": "lisp lsp cl el scm rkt ss",
        "prolog": "pro",
        "tcl": "tcl",
        "assembly": "s asm",
        "verilog": "v sv svh vh",
        "vhdl": "vhd vhdl",
        "solidity": "sol",
        "move": "move",
        "powershell": "ps1 psm1 psd1",
        "batch": "bat cmd",
        "fish": "fish",
        "awk": "awk",
        "vim": "vim",
        "sql": "sql psql plsql ddl",
        "graphql": "graphql gql graphqls",
        "protobuf": "proto",
        "thrift": "thrift",
        "html": "html htm xhtml erb haml slim ejs hbs mustache j2 jinja jinja2 eex heex leex twig liquid njk "
        "pug",
        "vue": "vue",
        "svelte": "svelte",
        "astro": "astro",
        "css": "css scss sass less styl",
        "xml": "xml xsd xsl xslt xaml csproj fsproj vbproj props targets plist",
        "terraform": "tf tfvars hcl",
        "nix": "nix",
        "cmake": "cmake",
        "make": "mk mak",
        "dockerfile": "dockerfile",
        "starlark": "bazel",
        "jq": "jq",
        "antlr": "g4",
        "yacc": "y yy l ll",
        "glsl": "glsl vert frag comp geom hlsl metal wgsl",
        "latex": "tex sty cls",
        "yaml": "yml yaml",
        "toml": "toml",
        "json": "json jsonc json5",
        "ini": "ini cfg conf properties editorconfig",
        "markdown": "md markdown mdx mkd qmd rmd",
        "rst": "rst rest",
        "asciidoc": "adoc asciidoc",
        "org": "org",
        "text": "txt text",
    }.items()
    for extension in extensions.split()
}

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
    "justfile": "make",
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
    "pwsh": "powershell",
    "awk": "awk",
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


def language_of(path: str, first_line: str = "") -> str:
    """The language of the file at `path`: a name like "python", "csharp" or "markdown"; "text" when unknown.

    The name decides; a file whose name says nothing is judged by the shebang in `first_line`.
    """
    name = path[path.rfind("/") + 1 :].lower()
    return language_by_name(name) or _by_shebang(first_line) or "text"


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
