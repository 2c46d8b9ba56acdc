"""What is text and source has a language by name, and by its content where an ending is shared."""

from __future__ import annotations

import subprocess
import sys

import pytest
from planting import Plant

from modstar_lsp.files import Unreadable, kinds, language_of, languages, read_source, walk


@pytest.mark.parametrize(
    ("name", "text", "language"),
    [
        ("a.m", "#import <Foundation/Foundation.h>\n@implementation A\n", "objective-c"),
        ("a.m", "// A\n@interface A : NSObject\n", "objective-c"),
        ("a.m", "% filters a signal\nfunction y = f(x)\ny = x .* 2;\nend\n", "matlab"),
        ("a.m", ":- module queens.\n:- interface.\n", "mercury"),
        ("a.m", "(* a package *)\nf[x_] := x^2\n", "mathematica"),
        ("a.h", "#ifndef A_H\n#include <stdio.h>\nint f(void);\n", "c"),
        ("a.h", "#pragma once\nnamespace a {\nclass B;\n}\n", "cpp"),
        ("a.h", "#import <UIKit/UIKit.h>\n@interface A : B\n", "objective-c"),
        ("a.pl", "#!/usr/bin/perl\nuse strict;\nmy $x = 1;\n", "perl"),
        ("a.pl", "parent(tom, bob).\nold(X) :- parent(X, _).\n", "prolog"),
        ("a.v", "module counter(input clk);\nendmodule\n", "verilog"),
        ("a.v", "Require Import List.\nTheorem a : True.\nProof. auto. Qed.\n", "coq"),
        ("a.v", "module main\n\nfn main() {\n}\n", "v"),
        ("a.fs", "module A\nlet f x = x + 1\n", "fsharp"),
        ("a.fs", "#version 330\nvoid main() {}\n", "glsl"),
        ("a.d", "import std.stdio;\nvoid main() {}\n", "d"),
        ("a.d", "build/a.o: src/a.c src/a.h\n", "make"),
        ("a.r", "f <- function(x) x + 1\n", "r"),
        ("a.r", "REBOL [Title: 1]\n", "rebol"),
        ("a.cls", "\\NeedsTeXFormat{LaTeX2e}\n\\ProvidesClass{a}\n", "latex"),
        ("a.cls", "public with sharing class A {\n}\n", "apex"),
        ("a.cls", "VERSION 1.0 CLASS\nBEGIN\n", "visualbasic"),
        ("a.inc", "<?php\nfunction f() {}\n", "php"),
        ("a.inc", "#define A 1\nint a;\n", "cpp"),
        ("a.inc", "%macro a 1\n mov eax, 1\n%endmacro\n", "assembly"),
        ("a.inc", 'SUMMARY = "x"\ninherit autotools\n', "bitbake"),
        ("a.inc", "Dear reader\n", "text"),
        ("a.pp", "class nginx {\n  package { 'nginx': ensure => present }\n}\n", "puppet"),
        ("a.ll", "; ModuleID = 'a'\ndefine i32 @main() {\n", "llvm"),
        ("a.cl", "__kernel void f() {}\n", "opencl"),
        ("a.cl", "(defun f (x) x)\n", "lisp"),
        ("tool", "#!/usr/bin/env python3\nimport sys\n", "python"),
        ("a.py", "#import <x>\n", "python"),
    ],
)
def test_a_shared_ending_is_decided_by_the_content(name: str, text: str, language: str) -> None:
    assert language_of(f"src/{name}", text) == language


@pytest.mark.parametrize(
    ("names", "language"),
    [
        ("a.razor a.cshtml", "razor"),
        ("a.gd", "gdscript"),
        ("schema.prisma", "prisma"),
        ("a.elm", "elm"),
        ("a.lean", "lean"),
        ("a.templ", "templ"),
        ("a.bicep", "bicep"),
        ("a.purs", "purescript"),
        ("a.hx", "haxe"),
        ("a.rego", "open policy agent"),
        ("a.cue", "cue"),
        ("a.raku", "raku"),
        ("a.typ", "typst"),
        ("a.mojo", "mojo"),
        ("a.just Justfile", "just"),
        ("a.ipynb", "notebook"),
        ("a.nix", "nix"),
        ("a.tf a.hcl", "terraform"),
        ("a.proto", "protobuf"),
        ("a.graphql", "graphql"),
        ("a.sol", "solidity"),
        ("CMakeLists.txt a.cmake", "cmake"),
        ("Dockerfile Containerfile dockerfile.dev", "dockerfile"),
        ("Makefile a.mk", "make"),
        ("meson.build", "meson"),
        ("a.dart", "dart"),
        ("a.sql", "sql"),
        ("a.R", "r"),
        ("a.jl", "julia"),
        ("a.clj", "clojure"),
        ("a.erl", "erlang"),
        ("a.ml", "ocaml"),
        ("a.vue", "vue"),
        ("a.svelte", "svelte"),
        ("a.astro", "astro"),
        ("a.cu a.cuh", "cpp"),
        ("a.abap", "abap"),
        ("a.adb a.ada", "ada"),
        ("a.nu", "nushell"),
        ("a.pony", "pony"),
        ("a.res a.resi", "rescript"),
        ("a.ql a.qll", "codeql"),
        ("a.td", "tablegen"),
        ("a.yang", "yang"),
    ],
)
def test_source_has_a_language_and_belongs_to_the_workspace(plant: Plant, names: str, language: str) -> None:
    root = plant(dict.fromkeys(names.split(), "x\n"))
    assert {language_of(name) for name in names.split()} == {language}
    assert [file.path for file in walk(root).files] == sorted(names.split())


def test_prose_settings_and_markup_are_languages_that_there_are() -> None:
    known = {*languages.EXTENSIONS.values(), *languages.NAMES.values()}
    assert known >= languages.PROSE | languages.SETTINGS | languages.MARKUP
    assert not languages.PROSE & languages.SETTINGS
    assert {"rst", "asciidoc", "org", "latex", "markdown", "text"} <= languages.PROSE


def test_no_ending_is_both_source_and_something_else() -> None:
    assert not set(languages.EXTENSIONS) & (kinds._BINARY | kinds._DATA)


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("de.ts", '<?xml version="1.0"?>\n<!DOCTYPE TS>\n<TS version="2.1">\n', "data"),
        ("de.ts", '<!DOCTYPE TS><TS version="2.1" language="de">\n', "data"),
        (
            "a.py",
            "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n",
            "Git LFS pointer",
        ),
    ],
)
def test_what_only_looks_like_source_by_its_name_is_not_read(
    plant: Plant, path: str, text: str, reason: str
) -> None:
    with pytest.raises(Unreadable) as error:
        read_source(plant({path: text}), path)
    assert error.value.reason == reason


def test_typescript_is_read(plant: Plant) -> None:
    assert read_source(plant({"a.ts": "export const a = <T>(x: T) => x;\n"}), "a.ts")


@pytest.mark.parametrize("ending", sorted(languages._BY_CONTENT))
def test_no_beginning_is_looked_at_for_long(ending: str) -> None:
    script = "import sys\nfrom modstar_lsp.files import language_of\n"
    script += "for unit in ('a(', ' ', '\\t\\n', 'class ', '@a', ': ', 'A:', 'module ', ';', '= '):\n"
    script += f"    print(language_of('a.{ending}', unit * 100_000))\n"
    asked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert len(asked.stdout.splitlines()) == 10, asked.stderr
