import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit.merkle import inclusion_proof, leaf_hash, root_of
from audit.notes import Signer, encode64
from audit.proofs import Proof, ProofError

SIGNER = Signer("hanse", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
VERIFIER = SIGNER.verifier()
ENTRIES = [f'{{"n":{n}}}'.encode() for n in range(13)]
HASHES = [leaf_hash(entry) for entry in ENTRIES]


def read(height, index):
    return root_of(HASHES[index << height : (index + 1) << height])


def proof_of(index):
    note = SIGNER.checkpoint("s", 13, root_of(HASHES))
    return Proof(ENTRIES[index], index, tuple(inclusion_proof(read, index, 13)), note)


@pytest.mark.parametrize("index", range(13))
def test_every_entry_is_proved(index):
    proof = proof_of(index)
    assert Proof.parse(proof.text()) == proof
    assert proof.verify(VERIFIER).size == 13


def test_the_text_is_that_of_the_spec():
    lines = proof_of(5).text().split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", f"extra {encode64(ENTRIES[5])}", "index 5"]
    assert lines[7:9] == ["", "hanse/s"]


def test_a_log_of_one_needs_no_path():
    proof = Proof(b"x", 0, (), SIGNER.checkpoint("s", 1, leaf_hash(b"x")))
    assert Proof.parse(proof.text()).verify(VERIFIER).size == 1


@given(st.data())
def test_any_changed_bit_is_noticed(data):
    raw = bytearray(proof_of(data.draw(st.integers(0, 12))).text().encode())
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises((ProofError, UnicodeDecodeError)):
        Proof.parse(raw.decode()).verify(VERIFIER)


def test_another_key_proves_nothing():
    with pytest.raises(ProofError):
        proof_of(3).verify(Signer("hanse", Ed25519PrivateKey.generate()).verifier())


@pytest.mark.parametrize("old", ["index 5", "extra ", "tlog-proof@v1", "\n\n"])
def test_what_is_not_a_proof_is_refused(old):
    with pytest.raises(ProofError):
        Proof.parse(proof_of(5).text().replace(old, "index 05" if old == "index 5" else "", 1)).verify(VERIFIER)
