"""The tree against RFC 6962 written out naively, and every way to bend a proof."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import merkle

LEAVES = [merkle.leaf_hash(bytes([n % 256, n // 256])) for n in range(1100)]
sizes = st.integers(1, 1100)


def naive_split(count):
    k = 1
    while k * 2 < count:
        k *= 2
    return k


def naive_root(hashes):
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = naive_split(len(hashes))
    return hashlib.sha256(b"\x01" + naive_root(hashes[:k]) + naive_root(hashes[k:])).digest()


def naive_path(m, hashes):
    if len(hashes) == 1:
        return []
    k = naive_split(len(hashes))
    if m < k:
        return [*naive_path(m, hashes[:k]), naive_root(hashes[k:])]
    return [*naive_path(m - k, hashes[k:]), naive_root(hashes[:k])]


def naive_subproof(m, hashes, whole):
    if m == len(hashes):
        return [] if whole else [naive_root(hashes)]
    k = naive_split(len(hashes))
    if m <= k:
        return [*naive_subproof(m, hashes[:k], whole), naive_root(hashes[k:])]
    return [*naive_subproof(m - k, hashes[k:], False), naive_root(hashes[:k])]


def read(height, index):
    return naive_root(LEAVES[index << height : (index + 1) << height])


def flipped(value, bit):
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_known_answers():
    assert merkle.EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert (
        merkle.node_hash(b"N123", b"N456").hex() == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    )


# The inputs and roots that the Certificate Transparency implementations share.
CT_INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_of_certificate_transparency(size):
    leaves = [merkle.leaf_hash(bytes.fromhex(text)) for text in CT_INPUTS[:size]]
    assert merkle.root_of(leaves).hex() == CT_ROOTS[size - 1]


@given(sizes)
def test_growing_root_is_the_rfcs(size):
    assert merkle.root_of(LEAVES[:size]) == naive_root(LEAVES[:size])


@given(st.data(), sizes)
def test_inclusion_path_is_the_rfcs_and_holds(data, size):
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion_proof(read, index, size)
    assert path == naive_path(index, LEAVES[:size])
    assert merkle.verify_inclusion(LEAVES[index], index, size, path, naive_root(LEAVES[:size]))


@given(st.data(), sizes)
def test_consistency_path_is_the_rfcs_and_holds(data, new):
    old = data.draw(st.integers(1, new))
    path = merkle.consistency_proof(read, old, new)
    assert path == naive_subproof(old, LEAVES[:new], True)
    assert merkle.verify_consistency(old, naive_root(LEAVES[:old]), new, naive_root(LEAVES[:new]), path)


@given(st.data(), st.integers(2, 300))
def test_a_bent_inclusion_proof_fails(data, size):
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion_proof(read, index, size)
    root = naive_root(LEAVES[:size])
    at, bit = data.draw(st.integers(0, len(path) - 1)), data.draw(st.integers(0, 255))
    bent = [*path[:at], flipped(path[at], bit), *path[at + 1 :]]
    other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index))
    leaf = LEAVES[index]
    assert not merkle.verify_inclusion(leaf, index, size, bent, root)
    assert not merkle.verify_inclusion(flipped(leaf, bit), index, size, path, root)
    assert not merkle.verify_inclusion(leaf, index, size, path, flipped(root, bit))
    assert not merkle.verify_inclusion(leaf, other, size, path, root)
    assert not merkle.verify_inclusion(leaf, index, size, path[:-1], root)
    assert not merkle.verify_inclusion(leaf, index, size, [*path, path[-1]], root)
    assert not merkle.verify_inclusion(leaf, index, size, [b"short", *path[1:]], root)
    assert not merkle.verify_inclusion(leaf, size, size, path, root)
    assert not merkle.verify_inclusion(leaf, -1, size, path, root)


@given(st.data(), st.integers(2, 300))
def test_a_bent_consistency_proof_fails(data, new):
    old = data.draw(st.integers(1, new - 1))
    path = merkle.consistency_proof(read, old, new)
    old_root, new_root = naive_root(LEAVES[:old]), naive_root(LEAVES[:new])
    at, bit = data.draw(st.integers(0, len(path) - 1)), data.draw(st.integers(0, 255))
    bent = [*path[:at], flipped(path[at], bit), *path[at + 1 :]]
    assert not merkle.verify_consistency(old, old_root, new, new_root, bent)
    assert not merkle.verify_consistency(old, flipped(old_root, bit), new, new_root, path)
    assert not merkle.verify_consistency(old, old_root, new, flipped(new_root, bit), path)
    assert not merkle.verify_consistency(old, old_root, new, new_root, path[:-1])
    assert not merkle.verify_consistency(old, old_root, new, new_root, [*path, path[-1]])
    assert not merkle.verify_consistency(new, new_root, old, old_root, path)


def test_consistency_at_the_ends():
    root = naive_root(LEAVES[:9])
    assert merkle.consistency_proof(read, 0, 9) == merkle.consistency_proof(read, 9, 9) == []
    assert merkle.verify_consistency(0, merkle.EMPTY_ROOT, 9, root, [])
    assert merkle.verify_consistency(9, root, 9, root, [])
    assert not merkle.verify_consistency(0, root, 9, root, [])
    assert not merkle.verify_consistency(9, root, 9, root, [root])
    assert not merkle.verify_consistency(9, LEAVES[0], 9, root, [])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_no_proof_for_a_leaf_that_is_not_there(index, size):
    with pytest.raises(ValueError, match="not in a tree"):
        merkle.inclusion_proof(read, index, size)


def test_no_consistency_proof_backwards():
    with pytest.raises(ValueError, match="not the beginning"):
        merkle.consistency_proof(read, 4, 3)


@given(st.integers(0, 1100), st.integers(0, 300))
def test_a_loaded_tree_goes_on_as_the_one_that_was_kept(size, more):
    kept = merkle.Tree()
    tiles = [tile for leaf in LEAVES[:size] for tile in kept.append(leaf)]
    loaded = merkle.Tree.load(size, kept.partial)
    assert loaded.root() == kept.root() == naive_root(LEAVES[:size])
    new = LEAVES[:more]
    assert [t for leaf in new for t in loaded.append(leaf)] == [t for leaf in new for t in kept.append(leaf)]
    assert loaded == kept
    for tile in tiles:
        for n, value in enumerate(merkle.split_hashes(tile.hashes)):
            assert value == read(tile.level * 8, tile.index * 256 + n)


def test_tiles_of_the_specs_example():
    tree = merkle.Tree()
    tiles = [tile for n in range(70_000) for tile in tree.append(LEAVES[n % 1000])]
    assert [sum(tile.level == level for tile in tiles) for level in range(3)] == [273, 1, 0]
    assert [len(hashes) for hashes in tree.partial] == [112, 17, 1]


@pytest.mark.parametrize("partial", [[], [[]], [[LEAVES[0]], [LEAVES[0]]], [[LEAVES[0]] * 3]])
def test_a_tree_with_the_wrong_loose_hashes_is_not_loaded(partial):
    with pytest.raises(ValueError, match="a tree of 2 leaves"):
        merkle.Tree.load(2, partial)


def test_odd_shapes_are_refused():
    with pytest.raises(ValueError, match="power of two"):
        merkle.complete_root(LEAVES[:3])
    with pytest.raises(ValueError, match="power of two"):
        merkle.complete_root([])
    with pytest.raises(ValueError, match="whole hashes"):
        merkle.split_hashes(b"x" * 33)
