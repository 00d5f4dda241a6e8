"""The tree of a log: the vectors of RFC 6962's own implementation, and every tree beside one that is written as the RFC is."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.ledger import tree
from app.ledger.tree import Frontier, ProofError, fold, leaf_hash, node_hash, root_of, verify_consistency, verify_inclusion

# certificate-transparency and transparency-dev/merkle (Apache-2.0), testonly/constants.go and proof/verify_test.go
LEAVES = [bytes.fromhex(one) for one in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
LEAVES.append(bytes(range(0x60, 0x70)))
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
N1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
N4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
N23 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
N45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
N67 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
N47 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
INCLUSION = {
    (0, 1): [],
    (0, 2): [N1],
    (1, 2): [ROOTS[1]],
    (2, 3): [ROOTS[2]],
    (1, 5): [ROOTS[1], N23, N4],
    (0, 8): [N1, N23, N47],
    (5, 8): [N4, N67, ROOTS[4]],
}
CONSISTENCY = {(0, 5): [], (1, 1): [], (1, 8): [N1, N23, N47], (6, 8): [N45, N67, ROOTS[4]], (2, 5): [N23, N4]}
HASHED = [leaf_hash(one) for one in LEAVES]
MANY = [leaf_hash(number.to_bytes(4, "big")) for number in range(70_000)]


def mth(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, 2.1, over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.1."""
    if len(leaves) <= 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return [*path(m, leaves[:k]), mth(leaves[k:])] if m < k else [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], known: bool) -> list[bytes]:
    """RFC 6962, 2.1.2."""
    if m == len(leaves):
        return [] if known else [mth(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m <= k:
        return [*subproof(m, leaves[:k], known), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def inclusion(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    return [root_of(leaves[start:end]) for start, end in tree.inclusion_ranges(index, len(leaves))]


def consistency(old: int, leaves: Sequence[bytes]) -> list[bytes]:
    return [root_of(leaves[start:end]) for start, end in tree.consistency_ranges(old, len(leaves))]


def test_the_roots_of_the_first_nine_trees() -> None:
    assert [root_of(HASHED[:size]).hex() for size in range(9)] == ROOTS
    assert ROOTS[0] == tree.EMPTY_ROOT.hex()
    assert leaf_hash(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    assert node_hash(b"N123", b"N456").hex() == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"


@pytest.mark.parametrize("at", INCLUSION)
def test_known_proofs_of_inclusion(at: tuple[int, int]) -> None:
    index, size = at
    found = inclusion(index, HASHED[:size])
    assert [one.hex() for one in found] == INCLUSION[at]
    verify_inclusion(HASHED[index], index, size, found, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize("at", CONSISTENCY)
def test_known_proofs_of_consistency(at: tuple[int, int]) -> None:
    old, new = at
    found = consistency(old, HASHED[:new])
    assert [one.hex() for one in found] == CONSISTENCY[at]
    verify_consistency(old, bytes.fromhex(ROOTS[old]), new, bytes.fromhex(ROOTS[new]), found)


def test_every_small_tree_is_as_the_rfc_has_it() -> None:
    for size in range(1, 41):
        leaves = MANY[:size]
        whole = mth(leaves)
        assert root_of(leaves) == whole
        for index in range(size):
            found = inclusion(index, leaves)
            assert found == path(index, leaves)
            verify_inclusion(leaves[index], index, size, found, whole)
        for old in range(1, size + 1):
            found = consistency(old, leaves)
            assert found == subproof(old, leaves, True)
            verify_consistency(old, mth(leaves[:old]), size, whole, found)


@given(st.data(), st.integers(1, 3000))
def test_any_tree_is_as_the_rfc_has_it(data: st.DataObject, size: int) -> None:
    leaves = MANY[:size]
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert root_of(leaves) == mth(leaves)
    assert inclusion(index, leaves) == path(index, leaves)
    assert consistency(old, leaves) == subproof(old, leaves, True)


@given(st.data(), st.integers(2, 600))
def test_a_range_is_folded_from_its_whole_subtrees(data: st.DataObject, size: int) -> None:
    ranges = tree.inclusion_ranges(data.draw(st.integers(0, size - 1)), size)
    start, end = data.draw(st.sampled_from([*ranges, (0, size), (0, 0)]))
    nodes = tree.whole_nodes(start, end)
    covered = [(index << level, (index + 1) << level) for level, index in nodes]
    assert [first for first, _ in covered] == [start, *[last for _, last in covered[:-1]]][: len(covered)]
    assert not covered or covered[-1][1] == end
    assert fold([mth(MANY[first:last]) for first, last in covered]) == mth(MANY[start:end])


@pytest.mark.parametrize("bad", [(1, 3), (4, 9), (-2, 0), (5, 4), (6, 10)])
def test_what_is_no_subtree_has_no_nodes(bad: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no subtree"):
        tree.whole_nodes(*bad)


@given(st.lists(st.integers(0, 700), max_size=8))
def test_leaves_are_appended_in_any_portions(portions: list[int]) -> None:
    frontier, finished, size = Frontier(), {}, 0
    for portion in portions:
        finished |= frontier.extend(MANY[size : size + portion])
        size += portion
        assert frontier.size == size
        assert frontier.root() == root_of(MANY[:size])
        frontier = Frontier(size, frontier.hashes)
    assert finished == {(8, index): mth(MANY[index * 256 : (index + 1) * 256]) for index in range(size // 256)}


def test_the_subtrees_of_every_eighth_level_come_out_once() -> None:
    frontier = Frontier()
    first, second = frontier.extend(MANY[:65_535]), frontier.extend(MANY[65_535:])
    assert (set(first), set(second)) == (
        {(8, index) for index in range(255)},
        {(8, index) for index in range(255, 273)} | {(16, 0)},
    )
    assert second[16, 0] == root_of(MANY[:65_536])
    assert second[8, 272] == root_of(MANY[272 * 256 : 273 * 256])


def test_a_frontier_needs_one_hash_for_each_whole_subtree() -> None:
    for hashes in (HASHED[:1], HASHED[:3]):
        with pytest.raises(ValueError, match="argument 2"):
            Frontier(6, hashes)


@given(st.data(), st.integers(1, 200))
def test_a_changed_proof_of_inclusion_is_refused(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    hashes, root = inclusion(index, MANY[:size]), mth(MANY[:size])
    changed = data.draw(st.sampled_from(["leaf", "root", "index", "shorter", "longer", "first", "hash", "length"]))
    leaf = MANY[index]
    if changed == "leaf":
        leaf = leaf_hash(b"another")
    elif changed == "root":
        root = leaf_hash(b"another")
    elif changed == "index":
        index = data.draw(st.integers(-1, size + 3).filter(lambda other: other != index))
    elif changed == "longer":
        hashes.append(root)
    elif changed == "first":
        hashes.insert(0, root)
    else:
        assume(hashes)
        place = data.draw(st.integers(0, len(hashes) - 1))
        if changed == "shorter":
            del hashes[place]
        elif changed == "hash":
            hashes[place] = leaf_hash(b"another")
        else:
            hashes[place] += b"\0"
    with pytest.raises(ProofError):
        verify_inclusion(leaf, index, size, hashes, root)


@given(st.data(), st.integers(2, 200))
def test_a_rewritten_log_is_refused(data: st.DataObject, size: int) -> None:
    old = data.draw(st.integers(1, size - 1))
    place = data.draw(st.integers(0, old - 1))
    rewritten = [*MANY[:place], leaf_hash(b"another"), *MANY[place + 1 : size]]
    before, after = mth(MANY[:old]), mth(rewritten)
    for hashes in (consistency(old, rewritten), consistency(old, MANY[:size]), [], [before]):
        with pytest.raises(ProofError):
            verify_consistency(old, before, size, after, hashes)


@pytest.mark.parametrize(
    ("old", "new", "why"), [(3, 2, "cannot have become"), (-1, 2, "cannot have become"), (0, 2, "without entries is another")]
)
def test_a_log_does_not_shrink(old: int, new: int, why: str) -> None:
    with pytest.raises(ProofError, match=why):
        verify_consistency(old, HASHED[0], new, HASHED[1], [])


def test_two_roots_of_one_size_are_a_fork() -> None:
    with pytest.raises(ProofError, match="rewritten"):
        verify_consistency(4, HASHED[0], 4, HASHED[1], [])


def test_a_tree_is_rebuilt_quickly() -> None:
    """Far more than 200,000 leaves a second on a machine of its own; a quarter of that beside other tests."""
    started = time.perf_counter()
    root_of(MANY)
    Frontier().extend(MANY)
    assert 2 * len(MANY) / (time.perf_counter() - started) > 50_000
