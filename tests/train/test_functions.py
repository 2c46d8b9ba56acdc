"""Every language's way to describe a definition ends as the same: a sentence, and the code without it."""

# ruff: noqa: E501  # a source of each language on one line

from __future__ import annotations

import pytest

from train.data.functions import definitions
from train.data.prose import first_paragraph, worth_reading
from train.data.quality import does_something, is_generated

SOURCES = {
    "python": 'class A:\n    @cached\n    def load(self, path):\n        """Reads the file and splits it into rows.\n\n        Args:\n            path: where\n        """\n        return open(path).read()\n',
    "javascript": "/**\n * Reads the file and splits it into rows.\n * @param {string} path where\n */\nexport const load = (path) => {\n  return read(path);\n};\n",
    "typescript": "export class A {\n  /** Reads the file and splits it into rows. */\n  @Cached()\n  load(path: string): Row[] {\n    return read(path);\n  }\n}\n",
    "java": "class A {\n  /**\n   * Reads the file and splits it into {@link Row rows}.\n   *\n   * <p>More.\n   * @return rows\n   */\n  @Override\n  public List<Row> load(String path) {\n    return read(path);\n  }\n}\n",
    "kotlin": "/** Reads the file and splits it into rows. */\nfun load(path: String): List<Row> {\n    return read(path)\n}\n",
    "csharp": 'class A {\n  /// <summary>\n  /// Reads the file and splits it into <see cref="T:rows"/>.\n  /// </summary>\n  /// <param name="path">where</param>\n  [Cached]\n  public Rows Load(string path) {\n    return Read(path);\n  }\n}\n',
    "go": "// Reads the file and splits\n// it into rows.\nfunc Load(path string) []Row {\n\treturn read(path)\n}\n",
    "rust": "impl A {\n    /// Reads the file and splits it into rows.\n    ///\n    /// # Errors\n    /// none\n    #[inline]\n    pub fn load(path: &str) -> Vec<Row> {\n        read(path)\n    }\n}\n",
    "c": "/**\n * \\brief Reads the file and splits it into rows.\n * \\param path where\n */\nstatic int load(const char *path)\n{\n\treturn read_it(path);\n}\n",
    "cpp": "namespace a {\n//! Reads the file and splits it into rows.\ntemplate <class T> T load(const std::string& path) {\n  return read<T>(path);\n}\n}\n",
    "ruby": "module A\n  class B\n    # Reads the file and splits it into rows.\n    #\n    # @param path where\n    def load(path)\n      read(path)\n    end\n  end\nend\n",
    "php": "<?php\nclass A {\n    /**\n     * Reads the file and splits it into rows.\n     *\n     * @param string $path\n     */\n    public function load($path) {\n        return read($path);\n    }\n}\n",
    "swift": "extension A {\n    /// Reads the file and splits it into rows.\n    ///\n    /// - Parameter path: where\n    func load(path: String) -> [Row] {\n        return read(path)\n    }\n}\n",
    "scala": "object A {\n  /** Reads the file and splits it into [[rows]].\n    *\n    * @param path where\n    */\n  def load(path: String): Rows = {\n    read(path)\n  }\n}\n",
    "lua": "local M = {}\n--- Reads the file and splits it into rows.\n-- @param path where\nfunction M.load(path)\n  return read(path)\nend\nreturn M\n",
    "elixir": 'defmodule A do\n  @doc """\n  Reads the file and splits it into rows.\n\n  ## Examples\n  """\n  @spec load(binary) :: list\n  def load(path) do\n    read(path)\n  end\nend\n',
    "haskell": "module A where\n\n-- | Reads the file and splits\n-- it into rows.\nload :: FilePath -> IO [Row]\nload path = do\n  read path\n",
    "bash": "# Reads the file and splits it into rows.\n# usage: load PATH\nload() {\n  read_it \"$1\"\n}\n",
}  # fmt: skip


@pytest.mark.parametrize("language", SOURCES)
def test_the_comment_and_the_code_of_a_function(language: str) -> None:
    found = [one for one in definitions(language, SOURCES[language].encode()) if one.name in ("load", "Load")]
    assert len(found) == 1
    assert (
        first_paragraph(found[0].comment, found[0].name).rstrip(".")
        == "Reads the file and splits it into rows"
    )
    code = found[0].code
    assert "read" in code.lower() and "Reads the file" not in code
    assert not code.startswith((" ", "\t")) and SOURCES[language].splitlines()[found[0].first].strip() in code


def test_members_start_at_the_left() -> None:
    load = definitions("java", SOURCES["java"].encode())[1]
    assert load.code.splitlines() == [
        "@Override",
        "public List<Row> load(String path) {",
        "  return read(path);",
        "}",
    ]


def test_a_comment_below_an_indented_body_belongs_to_what_follows() -> None:
    code = "object A {\n  def one(x: Int): Int =\n    x + 1 // more\n\n  /** Takes one away. */\n  def two(x: Int): Int =\n    x - 1\n}\n"
    one, two = (found for found in definitions("scala", code.encode()) if found.name in ("one", "two"))
    assert one.code.endswith("x + 1 // more") and "Takes" in two.comment


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("go", "// A remark on its own.\n\nfunc load() {}\n"),
        ("java", "class A { int a; // the number of rows read\n void load() {} }"),
        ("python", "x = 1  # the number of rows\ndef load(): pass\n"),
    ],
)
def test_a_comment_about_something_else_is_not_taken(language: str, code: str) -> None:
    (load,) = (one for one in definitions(language, code.encode()) if one.name == "load")
    assert load.comment == ""


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"def f(:\n  '''x", b"}}}}" * 50, b"(" * 5000])
@pytest.mark.parametrize("language", ["python", "java", "cpp", "haskell"])
def test_broken_code_is_survived(language: str, data: bytes) -> None:
    definitions(language, data)


@pytest.mark.parametrize(
    "text",
    [
        "Computes the checksum of a message.",
        "Given a list of edges, returns the shortest path between two nodes",
        "Escape special characters for use in a shell command",
        "Like map, but in parallel and preserving the order.",
    ],
)
def test_prose_is_kept(text: str) -> None:
    assert worth_reading(text, "foo")


@pytest.mark.parametrize(
    "text",
    [
        "Gets or sets the name of the user.",
        "Constructor",
        "Initializes a new instance of the Foo class.",
        "Creates a new instance of CosmosConvention.",
        "Copyright 2019 The Authors. All rights reserved.",
        "Licensed under the Apache License, Version 2.0",
        "TODO: this should be moved elsewhere",
        "Code generated by protoc-gen-go. DO NOT EDIT.",
        "eslint-disable-next-line no-unused-vars and others",
        "public void foo(int a, int b) throws Exception",
        "if (a == b) { return c; } else { d(); }",
        "Gibt eine Liste der Namen zurück und sortiert sie nach dem Alter",
        "获取用户的名称 from the database of users",
        "Load the file.",
        "{@inheritDoc}",
    ],
)
def test_what_says_nothing_is_dropped(text: str) -> None:
    assert not worth_reading(text, "loadFile")


def test_a_text_that_repeats_the_name_is_dropped() -> None:
    assert not worth_reading("Returns the last user id.", "returns_the_last_user_id")
    assert worth_reading("Returns the last user id.", "tail")


@pytest.mark.parametrize(
    "code",
    [
        "public String getName() {\n    return this.nameOfTheUserThatIsLoggedIn;\n}",
        "public void setName(String name) {\n    this.nameOfTheUser = name;\n}",
        "def not_yet(self, argument, another_argument, third):\n    raise NotImplementedError",
        "int declared_somewhere_else(int first_argument, char *second_argument, int x);",
        "short() { a; }",
    ],
)
def test_accessors_and_stubs_are_dropped(code: str) -> None:
    assert not does_something(code, "function")


def test_generated_and_pressed_files_are_known() -> None:
    assert is_generated("// Code generated by x. DO NOT EDIT.\npackage a\n")
    assert is_generated("function a(){" + "b();" * 2000 + "}")
    assert not is_generated("\n".join(["def generate(): return 1"] * 50))
