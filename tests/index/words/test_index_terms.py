"""The terms of a chunk, and how postings are packed."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modstar_lsp.chunking import Chunk
from modstar_lsp.encoder.words import split_words
from modstar_lsp.errors import StoreError
from modstar_lsp.index import chunk_terms, index_folder
from modstar_lsp.index.words.postings import SEGMENT_CHUNKS, Block, decode_block, encode, pack
from modstar_lsp.index.words.segments import plan_merges
from modstar_lsp.index.words.terms import asked_terms, defined_names, text_counts

MIXED = st.text(st.sampled_from("aBcD_09 .-é日ß'\"“”·・\n(){}") | st.characters(exclude_categories=["Cs"]))


def chunk(text: str, name: str = "", scope: str = "") -> Chunk:
    return Chunk(1, 1, "function", name, scope, (name,) if name else (), (1,) if name else (), "", text)


@given(MIXED)
@example("parseJSONResponse_v2 HTTPAdapters naïveÉcole 日本go x・y ··")
def test_words_are_those_that_everything_else_counts(text: str) -> None:
    words, _ = text_counts(text)
    assert Counter(words) == Counter(split_words(text))


def test_identifiers_count_whole_and_in_parts() -> None:
    terms = chunk_terms("x.py", chunk("parseJson(parse_json, _private_name, single, __init__, 3, v2)"))
    assert terms["parse"] == 2
    assert terms["json"] == 2
    assert terms["parsejson"] == terms["parse_json"] == terms["private_name"] == terms["v2"] == 1
    assert terms["single"] == 1
    assert "__init__" not in terms
    assert terms["init"] == 1


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("ipv6", "parseIPv6Address"),
        ("IPv6", "parse_ipv6_address"),
        ("IPv6", "the IPv6 address"),
        ("grpc", "gRPCServer"),
        ("gRPC", "grpc_server"),
        ("重试", "任务失败后重试，使用指数退避"),
        ("指数退避 重试", "任务失败后重试，使用指数退避"),
        ("価格", "消費税込みの価格を計算する関数"),
        ("재시도", "작업을 재시도합니다"),
        ("重试retry", "retry重试"),
        ("grpc", "使用gRPC重试"),
        ("grpc", "使用“gRPC”。"),
    ],
)
def test_what_is_asked_is_a_term_of_what_holds_it(asked: str, written: str) -> None:
    terms = chunk_terms("x.py", chunk(f"# {written}"))
    assert asked_terms(asked)
    assert set(asked_terms(asked)) <= set(terms)


@given(MIXED)
@example("ÀaAA aAAé gAAAÀ ÀABa1 gRPCs 使用gRPC重试 IPv6地址")
def test_what_is_written_is_found_as_it_is_written(text: str) -> None:
    assert set(asked_terms(text)) <= set(chunk_terms("x.py", chunk(text)))


def test_path_name_and_scope_count_too() -> None:
    terms = chunk_terms("one/two/three/four/httpClient.test.py", chunk("pass", "sendAll", "Adapter.Inner"))
    assert terms["http"] == terms["client"] == terms["test"] == 2
    assert "one" not in terms
    assert [terms[word] for word in ("two", "three", "four", "send", "all", "adapter", "inner")] == [1] * 7
    assert terms["py"] == 0


@pytest.mark.parametrize(
    ("symbols", "names"),
    [
        (("Class.method",), {"class.method", "method"}),
        (("ns::Type", "f"), {"ns::type", "type", "f"}),
        (("operator==", "V.operator []"), {"operator==", "==", "v.operator []", "[]"}),
        ((), set()),
    ],
)
def test_names_can_be_asked_for_whole_or_by_their_last_part(
    symbols: tuple[str, ...], names: set[str]
) -> None:
    assert defined_names(symbols) == names


POSTINGS = st.dictionaries(
    st.text(st.sampled_from("abcxyz_é日"), min_size=1, max_size=6),
    st.dictionaries(st.integers(0, 65_535), st.integers(1, 300), min_size=1, max_size=30),
    max_size=40,
)


@settings(deadline=None)
@given(POSTINGS, st.sampled_from([1, 6]))
@example(
    {"all": dict.fromkeys(range(65_536), 1), "a": {65_535: 256}, "b": {0: 255, 254: 1, 255: 2, 510: 3}}, 1
)
def test_packed_postings_come_back(postings: dict[str, dict[int, int]], level: int) -> None:
    terms = sorted(postings)
    flat = [(t, c, n) for t, term in enumerate(terms) for c, n in postings[term].items()]
    columns = np.array(flat, np.int64).reshape(-1, 3)
    found: dict[str, dict[int, int]] = {}
    firsts = []
    for first, data in encode(terms, pack(columns[:, 0], columns[:, 1], columns[:, 2]), level):
        block: Block = decode_block(data)
        assert block.terms[0] == first
        firsts.append(first)
        for at, term in enumerate(block.terms):
            part = slice(block.starts[at], block.starts[at + 1])
            chunks = block.chunks[part].tolist()
            assert chunks == sorted(chunks)
            found[term] = dict(zip(chunks, block.counts[part].tolist(), strict=True))
    assert firsts == sorted(firsts)
    assert found == {t: {c: min(n, 255) for c, n in postings[t].items()} for t in terms}


@given(st.lists(st.tuples(st.integers(0, 280_000), st.integers(0, 20_000)), max_size=60))
def test_merging_keeps_segments_few_and_whole(drawn: list[tuple[int, int]]) -> None:
    sizes = [(min(living, SEGMENT_CHUNKS), min(living, SEGMENT_CHUNKS) + dead) for living, dead in drawn]
    groups = plan_merges(sizes)
    merged = [position for group in groups for position in group]
    assert len(merged) == len(set(merged))
    left = {position for position in range(len(sizes)) if position not in merged}
    after = [sizes[position][0] for position in sorted(left)]
    for group in groups:
        assert group == list(range(group[0], group[-1] + 1))
        total = sum(sizes[position][0] for position in group)
        assert total <= SEGMENT_CHUNKS
        after.append(total)
    # Merging once more would find little to do: few segments for what they hold.
    small = [size for size in after if size <= SEGMENT_CHUNKS // 2]
    assert len(small) <= 12 + 2 * sum(after) // SEGMENT_CHUNKS


def test_the_folder_of_an_index_is_in_the_cache_and_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "a" / "my repo", tmp_path / "b" / "my repo"
    assert index_folder(one, tmp_path).parent == tmp_path
    assert index_folder(one, tmp_path) != index_folder(two, tmp_path)
    assert index_folder(one, tmp_path) == index_folder(one / ".." / "my repo", tmp_path)
    assert index_folder(one, tmp_path).name.startswith("my_repo-")
    assert index_folder(Path(one.anchor), tmp_path).name.startswith("root-")
    assert index_folder(tmp_path / os.fsdecode(b"caf\xe9"), tmp_path)
    platformdirs = pytest.importorskip("platformdirs")
    for configured in ("", "relative", str(tmp_path / "cache")):
        monkeypatch.setenv("XDG_CACHE_HOME", configured)
        expected = Path(platformdirs.user_cache_dir("modstar", appauthor=False))
        if configured != "relative":
            assert index_folder(one).parent == expected


def test_without_a_home_it_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as where no home is known
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(StoreError, match="--index-dir"):
        index_folder(tmp_path)
    assert index_folder(tmp_path, tmp_path).parent == tmp_path
