import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit.notes import Head, NoteError, Signer, Verifier, check_name, decode64, encode64, open_checkpoint

SIGNER = Signer("hanse", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
VERIFIER = SIGNER.verifier()
ROOT = bytes(range(100, 132))
NOTE = SIGNER.checkpoint("stream-1", 42, ROOT)


def test_checkpoint_says_what_was_signed():
    assert open_checkpoint(NOTE, VERIFIER) == Head("hanse/stream-1", 42, ROOT)
    assert NOTE.split("\n")[:4] == ["hanse/stream-1", "42", encode64(ROOT), ""]
    assert NOTE.split("\n")[4].startswith("— hanse/stream-1 ")


def test_verifier_key_of_the_go_checksum_database_is_read():
    text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    assert Verifier.parse(text + "\n").vkey() == text


@given(st.data())
def test_any_changed_bit_of_a_checkpoint_is_noticed(data):
    raw = bytearray(NOTE.encode())
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises((NoteError, UnicodeDecodeError)):
        open_checkpoint(raw.decode(), VERIFIER)


def test_a_witness_signature_is_passed_over_and_one_alone_is_not_enough():
    witness = Signer("witness.example", Ed25519PrivateKey.generate())
    text = NOTE.split("\n\n")[0] + "\n"
    line = f"— witness.example {encode64(witness.verifier().key_id() + witness.private.sign(text.encode()))}\n"
    assert open_checkpoint(NOTE + line, VERIFIER).size == 42
    with pytest.raises(NoteError, match="expected key"):
        open_checkpoint(text + "\n" + line, VERIFIER)


def test_a_bad_signature_of_the_known_key_beside_a_good_one_is_an_error():
    known = VERIFIER.named("hanse/stream-1")
    with pytest.raises(NoteError, match="does not hold"):
        open_checkpoint(NOTE + f"— {known.name} {encode64(known.key_id() + bytes(64))}\n", VERIFIER)


def test_one_streams_signature_is_not_anothers():
    moved = NOTE.replace("hanse/stream-1", "hanse/stream-2")
    with pytest.raises(NoteError):
        open_checkpoint(moved, VERIFIER)


@pytest.mark.parametrize("name", ["other", "hans", "hanse/stream", "hanse/stream-1/x"])
def test_a_log_of_another_name_is_refused(name):
    with pytest.raises(NoteError, match="another log"):
        open_checkpoint(NOTE, VERIFIER.named(name))


def test_another_key_of_the_same_name_is_refused():
    with pytest.raises(NoteError, match="expected key"):
        open_checkpoint(NOTE, Signer("hanse", Ed25519PrivateKey.generate()).verifier())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        "a\n01\n" + encode64(ROOT) + "\n",
        "a\n-1\n" + encode64(ROOT) + "\n",
        "a\n1\nAAAA\n",
        "a\n1\n!\n",
        "a\n\n" + encode64(ROOT) + "\n",
        "a\n1\n" + encode64(ROOT),
        "a\n\u0661\n" + encode64(ROOT) + "\n",
    ],
)
def test_what_is_not_a_head_is_refused(text):
    with pytest.raises(NoteError):
        Head.parse(text)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "x",
        "x\n\n",
        "x\n\ny\n",
        "x\n\n— a AAAA\n",
        "x\n\n— a+b AAAAAAAA\n",
        "\x01" + NOTE,
        NOTE[:-1],
        NOTE + "x" * 1_000_000,
    ],
)
def test_what_is_not_a_note_is_refused(note):
    with pytest.raises(NoteError):
        open_checkpoint(note, VERIFIER)


@pytest.mark.parametrize("text", ["", "a+b", "hanse+00000000+AAAA", VERIFIER.vkey().replace("hanse", "hansa")])
def test_what_is_not_a_verifier_key_is_refused(text):
    with pytest.raises(NoteError):
        Verifier.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b"])
def test_names_with_spaces_or_plus_are_refused(name):
    with pytest.raises(NoteError):
        check_name(name)


@pytest.mark.parametrize("text", ["QQ", "QR==", "Q Q=", "QQ==\n", "\u00e9"])
def test_only_canonical_base_64_is_read(text):
    with pytest.raises(NoteError):
        decode64(text)
