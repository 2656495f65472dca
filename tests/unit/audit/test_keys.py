import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from audit import keys


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path):
    path = tmp_path / "secrets" / "audit" / "checkpoint.key"
    first = keys.load_or_create(path)
    assert keys.load_or_create(path).verifier().vkey() == first.verifier().vkey()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["checkpoint.key"]


def test_the_verifier_key_is_published(tmp_path):
    signer = keys.load_or_create(tmp_path / "key")
    path = tmp_path / "public" / "audit.vkey"
    keys.publish(signer, path)
    keys.publish(signer, path)
    assert keys.load_verifier(path).vkey() == signer.verifier().vkey()


def test_a_key_that_another_process_made_meanwhile_is_kept(tmp_path):
    path = tmp_path / "key"
    first = keys.load_or_create(path)
    keys._create(path)
    assert keys.load_or_create(path).verifier().vkey() == first.verifier().vkey()


def test_another_kind_of_key_is_refused(tmp_path):
    pem = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key").write_bytes(pem)
    with pytest.raises(TypeError):
        keys.load_or_create(tmp_path / "key")
