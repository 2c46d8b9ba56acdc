"""Near-duplicates are found, different texts are kept, and nothing is forgotten."""

from __future__ import annotations

import random

import numpy as np

from train.data.contamination import Shingles
from train.data.near import LANES, RUN, MinHash, NearDuplicates


def words(rng: random.Random, count: int) -> list[str]:
    return ["".join(rng.choice("abcdefghij") for _ in range(5)) for _ in range(count)]


def similarity(a: list[str], b: list[str]) -> float:
    first, second = ({tuple(text[i : i + RUN]) for i in range(len(text) - RUN + 1)} for text in (a, b))
    return len(first & second) / len(first | second)


def altered(rng: random.Random, text: list[str], changes: int) -> list[str]:
    other = list(text)
    for at in rng.sample(range(len(text)), changes):
        other[at] = "zzzzz" + str(at)
    return other


def test_the_share_of_equal_lanes_estimates_the_jaccard_similarity() -> None:
    rng, shingles, minhash = random.Random(1), Shingles(), MinHash()
    errors = []
    for _ in range(60):
        text = words(rng, 120)
        other = altered(rng, text, rng.randint(0, 8))
        a, b = (minhash.signature(shingles.words(" ".join(one))) for one in (text, other))
        errors.append(float((a == b).mean()) - similarity(text, other))
    # The standard deviation of one estimate is below .045; chance makes 1/256 of the lanes equal.
    assert abs(np.mean(errors)) < 0.03 and max(map(abs, errors)) < 0.2


def test_copies_go_and_others_stay() -> None:
    rng, shingles, minhash, near = random.Random(2), Shingles(), MinHash(), NearDuplicates()
    texts = [words(rng, rng.randint(3, 150)) for _ in range(3000)]
    assert all(near.add(minhash.signature(shingles.words(" ".join(text)))) for text in texts)
    long = [text for text in texts if len(text) > 100]
    again = [near.add(minhash.signature(shingles.words(" ".join(altered(rng, text, 1))))) for text in long]
    assert sum(again) < 0.02 * len(long), "one word of more than a hundred changed is a copy"
    assert not any(near.add(minhash.signature(shingles.words(" ".join(text)))) for text in texts)


def test_half_changed_is_another_text() -> None:
    rng, shingles, minhash, near = random.Random(3), Shingles(), MinHash(), NearDuplicates()
    texts = [words(rng, 100) for _ in range(300)]
    for text in texts:
        near.add(minhash.signature(shingles.words(" ".join(text))))
    kept = [near.add(minhash.signature(shingles.words(" ".join(altered(rng, text, 12))))) for text in texts]
    assert all(kept)


def test_signatures_read_back_are_as_good_as_new(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    rng, minhash = np.random.default_rng(4), MinHash()
    made = [minhash.signature(rng.integers(1, 2**63, 40, dtype=np.uint64)) for _ in range(2000)]
    first = NearDuplicates()
    monkeypatch.setattr("train.data.near.RECENT_KEYS", 500)  # many levels, merged on the way
    for signature in made[:1500]:
        assert first.add(signature)
    second = NearDuplicates()
    second.extend(np.stack(made[:700]))
    second.extend(np.stack(made[700:1500]))
    for near in (first, second):
        assert len(near) == 1500
        assert not any(near.add(signature) for signature in made[:1500])
        assert all(near.add(signature) for signature in made[1500:])
    second.extend(np.empty((0, LANES), dtype=np.uint8))
    assert len(second) == 2000
