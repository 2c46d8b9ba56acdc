"""Each language's definitions are found under their names, in their scopes, with their comments."""

from __future__ import annotations

import subprocess
import sys

import pytest
from code_samples import SAMPLES

from modstar_lsp.chunking import chunk_file, language_of, sizes
from modstar_lsp.chunking.grammars import GRAMMARS

# For every chunk that defines something, with nothing joined: lines, kind, qualified name + further symbols.
EXPECTED: dict[str, str] = {
    "a.py": """
4-4 module LIMIT
5-7 module first + second
8-14 class Client + Client.timeout
15-18 method Client.name
19-26 method Client.send
27-29 function windows
30-33 function windows
34-34 function handler
""",
    "a.js": """
3-5 class Client + Client.retries
6-6 method Client.onDone
7-7 method Client.constructor
8-8 method Client.send
9-11 method Client.name
12-12 function add
13-13 function double + LIMIT
14-14 function walk
15-15 method Client.close
16-16 function open
17-17 module routes
18-18 method routes.home
19-19 method routes.about
20-21 module routes.title
22-24 function hidden
""",
    "a.ts": """
3-5 class Service + Service.size
6-8 method Service.load
9-9 class Api + Api.id Api.load
10-10 type Id
11-11 type Color
12-12 class Shape + Shape.area
13-13 module lib + lib.helper
14-14 module Tools + Tools.hammer
15-15 function over
16-16 function over
17-17 function useThing
""",
    "a.tsx": """
1-4 function Button
5-7 function App
""",
    "A.java": """
5-8 class Client + Client.size Client.count
9-9 method Client.Client
10-11 method Client.send
12-12 class Client.Color + Color.RED Color.GREEN
13-13 class Client.Sink + Sink.put
14-15 class Client.Point
""",
    "a.kt": """
5-9 class Client + Client.size
10-11 class Client.LIMIT
12-14 method Client.create
15-19 method Client.send
20-20 class Registry
21-23 method Registry.find
24-24 class Color + Color.RED Color.GREEN
25-25 type Id
26-26 function shout
27-27 class Sink + Sink.put
28-28 module top
""",
    "a.go": """
5-7 module Limit
8-12 module first + second
13-17 type Client
18-22 type ID + Sink
23-27 method Client.Send
28-29 method List.Len
30-30 function New
""",
    "a.rs": """
3-8 class Client
9-10 class Client.LIMIT
11-11 type Client.Out
12-15 method Client.send
16-19 method net.Other.open
20-20 class Sink + Sink.put Sink.flush
21-21 type Color
22-24 function inner.hidden
25-25 function shout
26-26 type Id
27-27 module TOP
28-28 function main
""",
    "a.c": """
2-2 module LIMIT
3-4 function DOUBLE
5-6 type point_t
7-10 type client + client.fd
11-11 type color + color.RED color.GREEN
12-13 type callback
14-14 module prototype
15-16 module names
17-21 function send_all
22-24 function windows
""",
    "a.cpp": """
3-8 class net.http.Client
9-9 method net.http.Client.Client
10-10 class net.http.Client.~Client
11-11 method net.http.Client.send
12-13 method net.http.Client.operator==
15-17 class net.http.Client.a_
18-19 method net.http.Client.size
20-22 function net.http.make
23-23 type net.http.Id
24-24 type net.http.Color + Color.Red
25-28 class net.http.Point + Point.x
29-31 module plain
""",
    "a.cs": """
3-9 class Net.Http.Client + Client.size
10-10 method Net.Http.Client.Count
11-11 method Net.Http.Client.Client
12-12 method Net.Http.Client.+
13-13 method Net.Http.Client.Send
14-16 class Net.Http.Client.Color + Color.Red Color.Green
17-17 class Net.Http.Point
18-18 class Net.Http.ISink + ISink.Put
19-20 type Net.Http.Done
""",
    "a.rb": """
3-5 module Net + Net.LIMIT
6-9 class Net.Client
10-13 method Net.Client.send
14-17 method Net.Client.create
18-21 method Net.Client.build
24-29 method Net.Client.valid?
""",
    "a.php": """
7-15 class Client + Client.LIMIT Client.url
16-21 method Client.send
22-22 class Sink + Sink.put
23-23 class Loud + Loud.shout
24-24 class Color + Color.Red
25-25 function helper
""",
    "a.swift": """
3-5 class Client + Client.url
6-6 method Client.init
7-7 method Client.deinit
8-8 method Client.send
9-11 method Client.subscript
12-15 method Net.Client.put
16-16 class Sink + Sink.put
17-17 class Point + Point.x
18-18 class Color + Color.red Color.green
19-19 function top
20-20 type Id
21-21 class Worker + Worker.run
""",
    "a.scala": """
5-7 class Client + Client.size
8-8 method Client.send
9-11 type Client.Id
12-12 class Client
13-15 method Client.apply
16-16 class Sink + Sink.put
17-17 class ordering + ordering.compare
18-18 class Color + Color.Red Color.Green
19-19 function top
""",
    "a.lua": """
1-2 module M
3-4 method M.open
5-5 method M.send
6-6 function hidden
7-7 method M.close
8-8 function handler
9-9 module M.limit
10-11 module M.routes + routes.home routes.title
""",
    "a.sh": """
1-5 function send
6-8 function receive
9-9 module LIMIT
10-10 module NAME
""",
    "A.hs": """
6-11 function send
12-13 function limit
14-14 type Color
15-15 type Id
16-17 type Name
18-18 class Sink
19-21 method Sink.put
22-25 method Int.put
26-26 function +++
27-27 function send'
""",
    "a.ex": """
1-5 module Net.Client
6-10 function Net.Client.send
11-14 function Net.Client.valid?
15-16 function Net.Client.shout
17-21 function Net.Client.Sink.put
22-26 module Net.ClientTest
""",
    "a.zig": """
1-2 module std
3-6 class Client + Client.url
7-11 method Client.send
12-12 class Color + Color.red Color.green
13-13 function main
14-16 function List
17-17 module top
""",
    "a.dart": """
3-4 module limit
5-7 class Client + Client.size
8-8 method Client.Client
9-9 method Client.named
10-10 method Client.make
11-11 method Client.area
12-12 method Client.area
13-17 method Client.send
18-18 method Client.count
19-21 method Client.==
22-22 class Mix + Mix.mixed
23-23 class Shout + Shout.shout
24-24 class Color + Color.red Color.green
25-25 class Sink + Sink.put
26-26 type Done
27-27 function top
28-30 function main
""",
    "a.jl": """
5-10 class Net.Client
11-14 class Net.Point
15-16 type Net.Sink
19-26 function Net.send
27-27 function Net.area
28-29 method Net.Base.show
30-34 function Net.once
""",
    "Makefile": """
1-2 module CC
3-4 module LIMIT
5-6 function .PHONY
7-10 function all
11-13 function %.o
14-17 function send
18-21 function debug
22-23 function clean
""",
    "a.nix": """
1-10 function build + limit
11-14 method options.client + client.default
15-15 method services.web.enable
16-17 function send
""",
    "a.m": """
5-7 class Client + Client.size
8-8 method Client.send
9-11 method Client.create
12-12 class Sink
13-15 method Sink.put
16-18 class Client._fd
19-22 method Client.send
23-27 method Client.create
28-31 method Client.more
32-32 type Color + Color.ColorRed Color.ColorGreen
33-33 function helper
""",
    "a.ml": """
4-5 function limit
6-8 type client
9-11 type color + id
12-13 type Refused
14-18 function send
19-21 function even + odd
22-22 function +++
23-23 function handler
24-24 function pair
25-25 module a + b
27-28 function now
29-29 module Net
30-31 function Net.port
32-34 function Net.open_it
35-35 module Net.Inner
36-39 function Net.Inner.deep
40-41 class SINK + SINK.t
42-44 method SINK.put
45-45 module Make
46-48 function Make.put
49-50 class point + point.size
51-51 method point.move
55-55 class shape
56-58 method shape.area
""",
    "a.mli": """
1-3 type client
4-4 function send
7-7 module Net
8-9 function Net.port
10-10 type Refused
""",
    "a.ps1": """
1-3 module Limit
4-9 function Send-Client
10-11 class Client + Client.Size
12-12 method Client.Client
13-15 method Client.Send
16-20 type Color
21-21 function Get-Odd
""",
    "a.sol": """
6-12 class Client + Client.size Client.Sent Client.Refused Client.Color Client.Point
13-13 method Client.onlyOwner
15-16 method Client.send
20-20 class Sink + Sink.put
21-21 class Tools + Tools.hammer
22-22 function free
23-23 module LIMIT
""",
    "a.sql": """
1-6 type public.client
7-8 type client_url
9-11 type busy
12-18 function send
19-20 function audit
21-22 type color
""",
    "a.tf": """
1-6 type region
7-10 module limit
11-18 type aws_s3_bucket.logs
19-22 type net
23-25 type bucket
""",
}


@pytest.fixture
def nothing_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MERGE_CHARS", "SLIVER_CHARS", "HEADER_CHARS"):
        monkeypatch.setattr(sizes, limit, 0)


@pytest.mark.parametrize("path", SAMPLES)
@pytest.mark.usefixtures("nothing_joined")
def test_definitions_are_found(path: str) -> None:
    found = []
    for chunk in chunk_file(path, SAMPLES[path]):
        if chunk.symbols:
            qualified = f"{chunk.scope}.{chunk.name}" if chunk.scope else chunk.name
            line = f"{chunk.start_line}-{chunk.end_line} {chunk.kind} {qualified}"
            others = [symbol for symbol in chunk.symbols if symbol != chunk.name]
            found.append(f"{line} + {' '.join(others)}" if others else line)
    assert found == EXPECTED[path].split("\n")[1:-1]


@pytest.mark.parametrize("path", SAMPLES)
def test_joining_loses_no_name(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def names() -> set[str]:
        return {
            f"{chunk.scope}.{symbol}" if chunk.scope else symbol
            for chunk in chunk_file(path, SAMPLES[path])
            for symbol in chunk.symbols
        }

    joined = names()
    for limit in ("MERGE_CHARS", "SLIVER_CHARS", "HEADER_CHARS"):
        monkeypatch.setattr(sizes, limit, 0)
    assert joined >= names() - {"Net"}  # a module that only wraps another is not defined by it


@pytest.mark.parametrize(
    ("path", "signature"),
    [
        ("a.py", "def send(self, request, **kwargs)"),
        ("a.js", "const add = (a, b) =>"),
        ("a.ts", "async load(id?: string): Promise<void>"),
        ("A.java", "public <R> R send(int a) throws Exception"),
        ("a.go", "func (c *Client) Send(a int) error"),
        ("a.cpp", "int Client::size(int a)"),
        ("A.hs", "send :: Int -> Int"),
        ("a.ex", "def send(x) when x > 0, do: x"),
        ("a.cs", "public class Client<T> : Base where T : X"),
        ("a.php", "abstract class Client extends Base"),
    ],
)
@pytest.mark.usefixtures("nothing_joined")
def test_a_signature_is_one_line_without_annotations_and_body(path: str, signature: str) -> None:
    assert signature in [chunk.signature for chunk in chunk_file(path, SAMPLES[path])]


def test_every_grammar_has_a_sample() -> None:
    assert {language_of(path) for path in SAMPLES} == set(GRAMMARS)


@pytest.mark.usefixtures("nothing_joined")
def test_a_comment_goes_with_the_definition_below_it() -> None:
    chunks = chunk_file(
        "a.py", "x = 1\n\n# Banner.\n\n# Explains f.\n@once\ndef f():\n    pass  # done\n\ny = 2\n"
    )
    assert [chunk.text for chunk in chunks] == [
        "x = 1\n\n",
        "# Banner.\n\n",
        "# Explains f.\n@once\ndef f():\n    pass  # done\n\n",
        "y = 2\n",
    ]


def test_small_siblings_are_one_chunk_that_knows_all_their_names() -> None:
    (chunk,) = chunk_file("a.py", "import os\n\ndef f():\n    return 1\n\ndef g():\n    return 2\n")
    assert (chunk.kind, chunk.name, chunk.symbols) == ("function", "f", ("f", "g"))


def test_a_large_class_gives_a_header_and_its_members() -> None:
    methods = "".join(f"    def m{i}(self):\n        '''{'words ' * 120}'''\n\n" for i in range(3))
    chunks = chunk_file("a.py", f"class A(B):\n    '''Doc.'''\n    x = 1\n\n{methods}")
    assert [(c.kind, c.scope, c.name, c.signature) for c in chunks] == [
        ("class", "", "A", "class A(B)"),
        ("method", "A", "m0", "def m0(self)"),
        ("method", "A", "m1", "def m1(self)"),
        ("method", "A", "m2", "def m2(self)"),
    ]
    assert chunks[0].symbols == ("A", "A.x")


def test_functions_inside_a_long_function_are_chunks_in_its_scope() -> None:
    inner = "".join(f"  function inner{i}() {{\n{'    work();' * 90}\n  }}\n" for i in range(3))
    chunks = chunk_file("a.js", f"function outer() {{\n{inner}  return 1;\n}}\n")
    assert [(c.scope, c.name) for c in chunks] == [
        ("", "outer"),
        ("outer", "inner0"),
        ("outer", "inner1"),
        ("outer", "inner2"),
    ]


def test_code_of_a_header_that_is_cpp_is_read_as_cpp() -> None:
    text = "namespace a {\nclass B {\n public:\n  int c() { return 1; }\n};\n}\n"
    (chunk,) = chunk_file("b.h", text)
    assert chunk.symbols == ("B", "B.c")
    assert chunk.scope == "a"


def test_broken_code_still_yields_its_definitions() -> None:
    text = "def good():\n    return 1\n\ndef broken(:\n    x = [1\n\nclass After:\n    def m(self): ...\n"
    names = {name for chunk in chunk_file("a.py", text) for name in chunk.symbols}
    assert "good" in names


def test_importing_the_package_loads_no_grammar() -> None:
    program = (
        "import sys, modstar_lsp.chunking as c; assert c.language_of('a.py') == 'python';"
        "assert not [m for m in sys.modules if m.startswith('tree_sitter')];"
        "c.chunk_file('a.py', 'x = 1');"
        "loaded = {m.split('.')[0] for m in sys.modules if m.startswith('tree_sitter_')};"
        "assert loaded == {'tree_sitter_python'}"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("path", "first_line", "language"),
    [
        ("src/a.py", "", "python"),
        ("A.TSX", "", "tsx"),
        ("Makefile", "", "make"),
        ("docker/Dockerfile.dev", "", "dockerfile"),
        ("CMakeLists.txt", "", "cmake"),
        ("Gemfile", "", "ruby"),
        ("bin/tool", "#!/usr/bin/env python3", "python"),
        ("bin/tool", "#!/usr/bin/env -S node --harmony", "javascript"),
        ("bin/tool", "#!/bin/bash -e", "bash"),
        ("bin/tool", "hello", "text"),
        ("app.module.cs", "", "csharp"),
        ("x.h", "", "c"),
        ("noextension", "", "text"),
        ("README.md", "", "markdown"),
        ("settings.py.example", "", "python"),
    ],
)
def test_the_name_or_the_shebang_tells_the_language(path: str, first_line: str, language: str) -> None:
    assert language_of(path, first_line) == language


def test_an_ending_that_languages_share_is_told_by_more_than_the_first_line() -> None:
    text = "\n// c\n#import <Foundation/Foundation.h>\n\n@interface Shop : NSObject\n- (void)open;\n@end\n"
    assert "Shop" in {symbol for chunk in chunk_file("shop.m", text) for symbol in chunk.symbols}
    assert {chunk.kind for chunk in chunk_file("solve.m", "x = a \\ b;\n% matlab\ndisp(x)\n")} == {"text"}
