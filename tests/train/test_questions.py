"""`python -m train.data.questions`: packages to packets, answers to questions, questions to training rows."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from train.data import read_corpus
from train.data.lines import CorpusError
from train.data.questions import packages as made
from train.data.questions.__main__ import main
from train.data.questions.checks import given_away, read_questions
from train.data.questions.packages import Function, Package, Tree, lay_out, read_packages
from train.data.questions.packets import CATEGORIES, Item, read_items
from train.data.questions.picking import Picker, is_tellable
from train.data.sources import SourceError, opened

NOUNS = (
    "apple pear plum cherry grape melon lemon peach fig olive onion carrot bean pea leek beet "
    "radish turnip squash pepper tomato potato celery spinach cabbage lettuce garlic ginger basil mint"
).split()
VERBS = "gather weigh wash slice roast store price pack ship count".split()


def body(verb: str, noun: str, other: str) -> str:
    """A function that does something tellable, unlike the others."""
    return (
        f"    def {verb}_{noun}(self, limit, {other}s):\n"
        f'        """Goes through every {noun} that is ripe for the {other} market."""\n'
        f"        chosen = []\n"
        f"        for {noun} in self.{noun}_crate.open(limit):\n"
        f"            if {noun}.ripeness({other}s) > self.{verb}_threshold:\n"
        f"                chosen.append({noun}.{verb}(by={other}s))\n"
        f"            elif {noun}.is_rotten():\n"
        f"                self.compost.throw({noun}, {other}s.today())\n"
        f"        return sorted(chosen, key=lambda {noun}: {noun}.{other}_rank)\n\n"
    )


def grow(root: Path, offset: int = 0, files: int = 10) -> None:
    """A tree of `files` files with six functions each."""
    for number in range(files):
        noun = NOUNS[(number + offset) % len(NOUNS)]
        text = f"class {noun.title()}Stall:\n"
        for at, verb in enumerate(VERBS[:6]):
            text += body(verb, noun, NOUNS[(number * 7 + at * 11 + offset + 1) % len(NOUNS)])
        text += "    def tiny(self):\n        return self.size\n"
        (root / noun).mkdir(parents=True, exist_ok=True)
        (root / noun / f"{noun}.py").write_text(text)


@pytest.fixture
def market(tmp_path: Path) -> Path:
    """Five packages laid out, the last one held out, and their manifest."""
    rows = []
    for number in range(5):
        name = f"stall{number}"
        grow(tmp_path / "trees" / name, offset=number * 6, files=6)
        row: dict[str, Any] = {
            "name": name,
            "package": f"pypi:{name}==1.0",
            "sha256": "0" * 64,
            "repository": f"farm/{name}",
            "licence": "MIT",
            "languages": ["python"],
        }
        rows.append({**row, "held_out": True} if number == 4 else row)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "packages.jsonl").write_text(lines)
    return tmp_path


def run(market: Path, command: str, *more: object) -> int:
    common = ["--manifest", market / "packages.jsonl", "--trees", market / "trees"]
    return main([command, *map(str, common), *map(str, more)])


def packets(market: Path, count: int = 1, into: str = "packets") -> list[Item]:
    assert run(market, "packets", "--packets", market / into, "--count", count) == 0
    return read_items(market / into)


def write(market: Path, *rows: dict[str, Any] | str, packet: str = "001") -> Path:
    (market / "written").mkdir(exist_ok=True)
    file = market / "written" / f"{packet}.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def check(market: Path, *more: object) -> int:
    where = ["--packets", market / "packets", "--written", market / "written"]
    return run(market, "check", *where, "--out", market / "questions.jsonl", *more)


def fitting(item: Item, number: int) -> str:
    """A text that no rule refuses, different for each number."""
    if item.language == "Chinese":
        return f"过期的货物第{number}次是在哪里被清理掉的"
    if item.language == "Japanese":
        return f"傷んだ商品は{number}回目にどこで捨てられるのか"
    if item.category == "keywords":
        return f"spoiled goods disposal {number}"
    return f"where do spoiled goods disappear once {number} customers complained?"


# ---- packages ------------------------------------------------------------------------------------------


def wheel(folder: Path) -> Path:
    file = folder / "tiny_stall-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("stall/__init__.py", "class Stall:\n" + body("weigh", "apple", "pear"))
        archive.writestr(
            "tiny_stall-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-stall\nVersion: 1.0\n"
        )
        archive.writestr(
            "tiny_stall-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_stall-1.0.dist-info/RECORD", "")
    return file


def pinned(file: Path, digest: str = "", root: str = "") -> Package:
    sha256 = digest or hashlib.sha256(file.read_bytes()).hexdigest()
    return Package("stall", f"pypi:{file}", sha256, "farm/stall", "MIT", ("python",), root)


def test_a_package_is_laid_out_once_and_again_when_its_digest_changes(tmp_path: Path) -> None:
    package = pinned(wheel(tmp_path), root="stall")
    assert lay_out(package, tmp_path / "trees")
    assert not lay_out(package, tmp_path / "trees")
    assert [one.name for one in Tree(package, tmp_path / "trees").functions()] == ["Stall.weigh_apple"]


def test_a_package_with_other_bytes_than_the_manifest_says_is_not_laid_out(tmp_path: Path) -> None:
    package = pinned(wheel(tmp_path), digest="ab" * 32)
    with pytest.raises(CorpusError, match="the manifest says abababababab"):
        lay_out(package, tmp_path / "trees")
    assert not (tmp_path / "trees" / "stall").exists()


def test_fetch_goes_on_after_a_package_that_cannot_be_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = pinned(wheel(tmp_path))
    rows = [{"name": "gone", "package": f"pypi:{tmp_path}/gone-1.0-py3-none-any.whl"}, {}]
    common = {"name": "stall", "package": good.package, "sha256": good.sha256, "repository": "farm/stall"}
    lines = [json.dumps({**common, "licence": "MIT", "languages": ["python"], **row}) for row in rows]
    (tmp_path / "packages.jsonl").write_text("\n".join(lines))
    assert run(tmp_path, "fetch") == 1
    said = capsys.readouterr()
    assert "stall: laid out" in said.out
    assert said.err.count("\n") == 1 and "gone" in said.err


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="Debian's packages are read by Debian's tool")
def test_a_binary_package_of_debian_is_read_like_an_archive(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    (folder / "DEBIAN").mkdir(parents=True)
    (folder / "DEBIAN" / "control").write_text(
        "Package: stall\nVersion: 1.0\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: fruit\n"
    )
    (folder / "usr" / "stall").mkdir(parents=True)
    (folder / "usr" / "stall" / "apple.py").write_text("class Stall:\n" + body("weigh", "apple", "pear"))
    file = tmp_path / "stall.deb"
    subprocess.run(["dpkg-deb", "--build", folder, file], check=True, capture_output=True)
    with opened(str(file)) as tree:
        assert tree.files == ["usr/stall/apple.py"]
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(SourceError, match=r"cannot read it|cannot be unpacked"), opened(str(file)):
        pass


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"licence": "GPL-3.0"}, "not a permissive licence"),
        ({"name": "stall0"}, "there twice"),
        ({"colour": "red"}, "not a package"),
    ],
)
def test_a_manifest_with_a_bad_line_is_told_by_its_number(
    market: Path, change: dict[str, Any], told: str
) -> None:
    file = market / "packages.jsonl"
    lines = file.read_text().splitlines()
    lines[1] = json.dumps({**json.loads(lines[1]), **change})
    file.write_text("\n".join(lines))
    with pytest.raises(CorpusError, match=rf"packages.jsonl:2: .*{told}"):
        read_packages(file)


def test_a_package_of_an_excluded_repository_is_refused(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (market / "exclude.txt").write_text("farm/stall3\n")
    assert run(market, "fetch", "--exclude", market / "exclude.txt") == 2
    assert "farm/stall3 is excluded" in capsys.readouterr().err


def test_the_projects_own_manifest_is_sound() -> None:
    packages = read_packages()
    assert len(packages) >= 40
    assert all(len(one.sha256) == 64 and "/" in one.repository for one in packages)
    held = sum(one.held_out for one in packages)
    assert 0.04 <= held / len(packages) <= 0.13
    assert len({language for one in packages for language in one.languages}) >= 18


# ---- picking and packets -------------------------------------------------------------------------------


def test_a_functions_lines_leave_its_decorators_out(market: Path) -> None:
    file = market / "trees" / "stall0" / "extra.py"
    file.write_text("@cached(\n    size=3,\n)\n" + body("weigh", "apple", "pear").replace("\n    ", "\n")[4:])
    tree = Tree(read_packages(market / "packages.jsonl")[0], market / "trees")
    (only,) = tree.of_file("extra.py")
    assert file.read_text().splitlines()[only.start - 1].startswith("def weigh_apple")


@pytest.mark.parametrize(
    "code",
    [
        "def size(self):\n    return self._size\n",
        "def table():\n    return [\n" + "".join(f'        "{noun}",\n' for noun in NOUNS) + "    ]\n",
        "def grown():\n" + "".join(f"    call_{noun}(many({n}))\n" for n, noun in enumerate(NOUNS * 3)),
    ],
    ids=["getter", "table", "too long"],
)
def test_a_function_that_tells_nothing_is_not_asked_about(code: str) -> None:
    lines = code.count("\n")
    assert not is_tellable(Function("t", "a.py", 1, lines, "grown_things", "python", "MIT", "", code))


def test_tests_examples_and_constructors_are_not_asked_about(market: Path) -> None:
    tree = Tree(read_packages(market / "packages.jsonl")[0], market / "trees")
    (one, *_) = (one for one in tree.functions() if is_tellable(one))
    fields = {key: getattr(one, key) for key in one.__slots__}
    assert not is_tellable(Function(**{**fields, "path": "examples/shop.py"}))
    assert not is_tellable(Function(**{**fields, "name": "Shop.__init__"}))
    assert not is_tellable(Function(**{**fields, "name": "test_shop"}))


def test_near_copies_are_asked_about_once(market: Path) -> None:
    one = market / "trees" / "stall0" / "apple" / "apple.py"
    (one.parent / "copy.py").write_text(one.read_text().replace("def ", "def also_"))
    tree = Tree(read_packages(market / "packages.jsonl")[0], market / "trees")
    names = [function.name for function in Picker().fresh(list(tree.functions()))]
    assert len(names) == len({name.replace("also_", "") for name in names}) == 36


def test_every_file_gives_one_before_any_gives_two(market: Path) -> None:
    tree = Tree(read_packages(market / "packages.jsonl")[0], market / "trees")
    order = Picker().order(list(tree.functions()))
    assert len({one.path for one in order[:6]}) == 6


def test_packets_are_the_same_for_the_same_seed_and_hold_no_doc_comment(market: Path) -> None:
    items = packets(market)
    assert items == packets(market, into="again")
    text = (market / "packets" / "001.md").read_text()
    assert text == (market / "again" / "001.md").read_text()
    assert "ripe for the" not in text
    assert all(f"## {item.id} | {item.category} | {item.language}" in text for item in items)
    assert len(items) == 100 and len({item.package for item in items}) == 4


def test_a_packets_items_have_the_shares_that_were_set(market: Path) -> None:
    items = packets(market)
    assert Counter(item.category for item in items) == CATEGORIES
    assert sum(item.language != "English" for item in items) == 10


def test_more_packets_leave_those_there_and_repeat_no_function(market: Path) -> None:
    first = packets(market, 1)
    before = (market / "packets" / "001.md").read_bytes()
    items = packets(market, 2)
    assert items[:100] == first and len(items) > 150
    assert (market / "packets" / "001.md").read_bytes() == before
    assert len({(one.package, one.path, one.start) for one in items}) == len(items)
    assert len({one.id for one in items}) == len(items)


def test_asking_for_more_than_the_trees_hold_is_one_line(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(market, "packets", "--packets", market / "packets", "--count", 9) == 2
    assert "trees have functions left" in capsys.readouterr().err


def test_packets_without_a_tree_say_how_to_get_it(market: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (market / "trees").rename(market / "moved")
    assert run(market, "packets", "--packets", market / "packets", "--count", 1) == 2
    assert "fetch --trees" in capsys.readouterr().err


# ---- checks --------------------------------------------------------------------------------------------


def test_questions_are_pointers_and_hold_no_code(market: Path) -> None:
    items = packets(market)
    write(market, *({"id": item.id, "text": fitting(item, n)} for n, item in enumerate(items)))
    assert check(market) == 0
    questions = read_questions(market / "questions.jsonl")
    assert [one.id for one in questions] == [item.id for item in items]
    keys = set(json.loads((market / "questions.jsonl").read_text().splitlines()[0]))
    assert keys == set("id text category language lang package path lines name also split".split())
    assert {one.split for one in questions if one.package == "stall4"} <= {"held_out"}
    assert {one.split for one in questions if one.package != "stall4"} == {"train"}


FRUIT = (
    "def weigh_apple(self, limit, pears):\n    # stop early when the scale is broken\n"
    "    for apple in self.crate.open_lid(limit):\n        heavy_ones.append(apple.ripeness(pears))\n"
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("what if the scale is broken on a Monday", "four words in a row as in the code"),
        ("does it go through every single fruit here", "four words in a row as in the doc comment"),
        ("how to weigh apple crates", "holds the answer's name"),
        ("where is weigh_apple called", "holds the answer's name"),
        ("what are heavy_ones good for", "holds an identifier"),
        ("apple crate, limit of pears, ripeness", "too many words of the code"),
        ("fruit that is past its best gets sorted by mass", ""),
    ],
)
def test_a_question_that_gives_its_answer_away_is_refused(text: str, told: str) -> None:
    comment = "Then go through every single fruit and note what it brings."
    function = Function("t", "a.py", 1, 4, "Stall.weigh_apple", "python", "MIT", comment, FRUIT)
    how = given_away(text, function)
    assert how.startswith(told) and bool(how) == bool(told)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("{broken", "not a line of JSON"),
        ({"text": "no id at all"}, 'no "id"'),
        ({"id": "q99999", "text": "whose is this"}, "no item has this id"),
        ({"id": "q00001"}, 'neither "text" nor "skip"'),
        ({"id": "q00001", "text": "  "}, "too short"),
        ({"id": "q00001", "text": "long " * 41}, "too long"),
        ({"id": "q00001", "text": "where do spoiled goods go?", "also": ["q99999"]}, "neither an id nor"),
        ({"id": "q00001", "text": "where do spoiled goods go?", "also": ["../x.py:1-2"]}, "not in the tree"),
        ({"id": "q00001", "text": "where do spoiled goods go?", "also": "q00002"}, "not a list"),
        ({"id": "q00001", "text": "腐った商品はどこへ行くのか"}, "not in the language asked for"),
    ],
)
def test_a_bad_answer_is_one_line_and_the_rest_is_kept(
    market: Path, capsys: pytest.CaptureFixture[str], row: dict[str, Any] | str, told: str
) -> None:
    items = packets(market)
    english = next(item for item in items if item.language == "English" and item.category == "how")
    text = json.dumps(row) if isinstance(row, dict) else row
    good = next(item for item in items if item.id != english.id)
    write(market, text.replace("q00001", english.id), {"id": good.id, "text": fitting(good, 1)})
    capsys.readouterr()
    assert check(market) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert said.err.startswith("001.jsonl:1") and told in said.err
    assert [one.id for one in read_questions(market / "questions.jsonl")] == [good.id]


def test_duplicates_and_second_answers_and_strays_are_refused(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, *_ = (item for item in packets(market) if item.language == "English" and item.category == "how")
    text = "where do spoiled goods disappear?"
    write(
        market,
        {"id": one.id, "text": text},
        {"id": two.id, "text": "Where do SPOILED goods disappear"},
        {"id": one.id, "text": "something else entirely, much later"},
    )
    write(market, {"id": two.id, "text": "which crate is emptied first?"}, packet="002")
    capsys.readouterr()
    assert check(market) == 1
    told = capsys.readouterr().err
    assert "a duplicate: of " + one.id in told
    assert "answered twice" in told
    assert "belongs to 001" in told


def test_other_answers_become_places_and_skips_are_counted(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = [item for item in packets(market) if item.package == "stall0"]
    one = next(item for item in items if item.category == "how" and item.language == "English")
    twin, third, skipped, *_ = (item for item in items if item.id != one.id)
    place = f"{third.path}:{third.start + 1}-{third.end}"
    write(
        market,
        {"id": one.id, "text": fitting(one, 1), "also": [twin.id, place, one.id]},
        {"id": skipped.id, "skip": "forwards"},
    )
    assert check(market) == 0
    assert "1 questions (train 1), 1 skipped by the writers, 0 refused" in capsys.readouterr().out
    (question,) = read_questions(market / "questions.jsonl")
    assert question.also == [
        {"path": other.path, "lines": [other.start, other.end], "name": other.name} for other in (twin, third)
    ]


@pytest.mark.parametrize("prefix", ["", "stall0/"], ids=["as it is", "with the tree's name"])
def test_a_folder_named_like_its_tree_is_found(market: Path, prefix: str) -> None:
    inner = market / "trees" / "stall0" / "stall0"
    inner.mkdir()
    (inner / "lone.py").write_text("class Shed:\n" + body("store", "walnut", "almond"))
    items = [item for item in packets(market) if item.package == "stall0" and item.language == "English"]
    one = next(item for item in items if item.path != "stall0/lone.py")
    write(market, {"id": one.id, "text": fitting(one, 1), "also": [f"{prefix}stall0/lone.py:2-9"]})
    assert check(market) == 0
    (question,) = read_questions(market / "questions.jsonl")
    assert question.also[0]["path"] == "stall0/lone.py"


def test_a_dry_check_writes_nothing(market: Path) -> None:
    item = packets(market)[0]
    write(market, {"id": item.id, "text": fitting(item, 1)})
    assert check(market, "--dry") == 0
    assert not (market / "questions.jsonl").exists()


def test_trees_that_changed_since_the_packets_stop_the_check(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    item = packets(market)[0]
    write(market, {"id": item.id, "text": fitting(item, 1)})
    file = market / "trees" / item.package / item.path
    file.write_text("# one line more\n" + file.read_text())
    assert check(market) == 2
    assert f"no function at {item.path}" in capsys.readouterr().err


# ---- pairs ---------------------------------------------------------------------------------------------


def test_pairs_join_the_training_part_and_lay_out_the_part_held_out(market: Path) -> None:
    items = packets(market, 2)
    for packet in ("001", "002"):
        answers = [
            {"id": item.id, "text": fitting(item, n)}
            for n, item in enumerate(items)
            if item.packet == int(packet)
        ]
        write(market, *answers, packet=packet)
    assert check(market) == 0
    out = market / "out"
    assert run(market, "pairs", "--questions", market / "questions.jsonl", "--out", out) == 0

    pairs, _ = read_corpus(out / "train")
    held = [item for item in items if item.package == "stall4"]
    assert len(pairs) == len(items) - len(held)
    assert {pair.source for pair in pairs} == {f"farm+stall{n}" for n in range(4)}
    assert all(pair.code.startswith("def ") and "ripe for the" not in pair.code for pair in pairs)
    assert {pair.licence for pair in pairs} == {"MIT"}

    queries = [json.loads(line) for line in (out / "held_out" / "queries.jsonl").read_text().splitlines()]
    assert [query["id"] for query in queries] == [item.id for item in held] != []
    for query in queries:
        (answer,) = query["answers"]
        lines = (out / "held_out" / "trees" / query["repo"] / answer["path"]).read_text().splitlines()
        assert answer["name"].rpartition(".")[2] in lines[answer["start"] - 1]
    assert [repo["name"] for repo in json.loads((out / "held_out" / "repos.json").read_text())] == ["stall4"]


def test_pairs_of_questions_about_other_trees_are_refused(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    item = packets(market)[0]
    write(market, {"id": item.id, "text": fitting(item, 1)})
    assert check(market) == 0
    file = market / "questions.jsonl"
    arguments = ["--questions", file, "--out", market / "out"]
    file.write_text(file.read_text().replace(item.package, "elsewhere"))
    assert run(market, "pairs", *arguments) == 2
    assert "holds no package elsewhere" in capsys.readouterr().err
    file.write_text('{"id": 1}\n')
    assert run(market, "pairs", *arguments) == 2
    assert "questions.jsonl:1: not a question" in capsys.readouterr().err


# ---- answers -------------------------------------------------------------------------------------------


def test_each_question_of_the_training_part_gets_its_answer_and_what_a_search_confuses_with_it(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = packets(market)
    write(market, *({"id": item.id, "text": fitting(item, n)} for n, item in enumerate(items)))
    assert check(market) == 0
    out = market / "answers.jsonl"
    told = ["--questions", market / "questions.jsonl", "--wrong", 3, "--out", out]
    assert run(market, "answers", *told) == 0
    asked = {item.id: item for item in items if item.package != "stall4"}
    assert f"{len(asked)} questions with an answer in {out}" in capsys.readouterr().out

    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert {row["id"] for row in found} == asked.keys()
    for row in found:
        name = asked[row["id"]].name.rpartition(".")[2]
        assert any(name in text for text in row["right"])
        assert len(row["wrong"]) <= 3 and not set(row["wrong"]) & set(row["right"])
    assert any(row["wrong"] for row in found)

    assert run(market, "answers", "--questions", market / "questions.jsonl", "--wrong", 0, "--out", out) == 2
    assert "--wrong takes a number" in capsys.readouterr().err


def test_the_manifest_is_found_beside_the_module() -> None:
    assert made.MANIFEST.is_file()


def test_docstrings_are_asked_of_a_tree_that_no_longer_holds_them(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = market / "docstrings.jsonl"
    told = ["--trees", str(market / "trees"), "--only", "stall0", "--each", "12", "--wrong", "5"]
    assert main(["docstrings", *told, "--out", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert f"{len(rows)} docstrings with an answer" in capsys.readouterr().out
    assert len(rows) > 6
    for row in rows:
        assert row["text"].startswith("Goes through every")
        assert row["right"] and 0 < len(row["wrong"]) <= 5
        assert not any("Goes through" in text for text in row["right"] + row["wrong"])


def test_docstrings_of_a_folder_that_is_not_there_are_refused_in_one_line(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["--trees", str(market / "trees"), "--only", "nowhere", "--out", str(market / "out.jsonl")]
    assert main(["docstrings", *told]) == 2
    assert capsys.readouterr().err.count("\n") == 1
