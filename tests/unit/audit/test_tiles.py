import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import tiles
from audit.merkle import leaf_hash, root_of
from audit.notes import NoteError, Signer

SIGNER = Signer("hanse", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
VERIFIER = SIGNER.verifier()


def entries_of(count):
    return [f'{{"n":{n},"v":1}}'.encode() for n in range(count)]


def export(directory, count):
    entries = entries_of(count)
    note = SIGNER.checkpoint("s", count, root_of(map(leaf_hash, entries)))
    tiles.write_log(directory, entries, note, VERIFIER)
    return entries


def files_of(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def test_paths_are_those_of_the_spec():
    assert tiles.tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tiles.tile_path("entries", 0, 70) == "tile/entries/000.p/70"
    assert tiles.tile_path(2, 999, 255) == "tile/2/999.p/255"
    assert tiles.tile_path(1, 1000) == "tile/1/x001/000"


@pytest.mark.parametrize("count", [1, 41, 255, 256, 257, 600])
def test_an_exported_log_verifies(tmp_path, count):
    export(tmp_path, count)
    assert tiles.verify_log(tmp_path, VERIFIER).size == count


def test_a_log_of_256_has_the_files_of_the_spec(tmp_path):
    export(tmp_path, 256)
    assert files_of(tmp_path) == ["checkpoint", "tile/0/000", "tile/1/000.p/1", "tile/entries/000"]


def test_every_single_flipped_bit_of_an_export_is_detected(tmp_path):
    export(tmp_path, 19)
    names = files_of(tmp_path)
    assert names == ["checkpoint", "tile/0/000.p/19", "tile/entries/000.p/19"]
    missed = []
    for name in names:
        path = tmp_path / name
        good = path.read_bytes()
        for bit in range(len(good) * 8):
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            path.write_bytes(bad)
            try:
                tiles.verify_log(tmp_path, VERIFIER)
            except (tiles.LogError, NoteError):
                continue
            missed.append((name, bit))
        path.write_bytes(good)
    assert missed == []
    assert tiles.verify_log(tmp_path, VERIFIER).size == 19


@pytest.mark.parametrize(
    "name", ["checkpoint", "tile/0/000", "tile/0/001.p/4", "tile/1/000.p/1", "tile/entries/001.p/4"]
)
def test_a_missing_file_is_detected(tmp_path, name):
    export(tmp_path, 260)
    (tmp_path / name).unlink()
    with pytest.raises(tiles.LogError):
        tiles.verify_log(tmp_path, VERIFIER)


def test_entries_that_are_not_those_of_the_checkpoint_are_not_exported(tmp_path):
    note = SIGNER.checkpoint("s", 3, root_of(map(leaf_hash, entries_of(3))))
    for wrong in (entries_of(2), entries_of(4), entries_of(3)[::-1]):
        with pytest.raises(tiles.LogError):
            tiles.write_log(tmp_path / "out", wrong, note, VERIFIER)
    assert not (tmp_path / "out" / "checkpoint").exists()


def test_bundles():
    assert tiles.unpack_entries(tiles.pack_entries([b"", b"a", b"b" * 65_535])) == [b"", b"a", b"b" * 65_535]
    with pytest.raises(tiles.LogError):
        tiles.pack_entries([b"b" * 65_536])
    for broken in (b"\x00", b"\x00\x02a", b"\x00\x01a\x00"):
        with pytest.raises(tiles.LogError):
            tiles.unpack_entries(broken)
