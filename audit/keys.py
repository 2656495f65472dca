"""The checkpoint key: made once, kept in one file that only the sequencer can read."""

import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from audit.notes import Signer, Verifier

KEY_NAME: Final = "hanse"


def load_or_create(path: Path, *, name: str = KEY_NAME) -> Signer:
    """Returns the signer kept at `path` (PEM, mode 0600), making it on first use. Two processes agree on one key."""
    if not path.exists():
        _create(path)
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError("the checkpoint key is not an Ed25519 key")
    return Signer(name, key)


def publish(signer: Signer, path: Path) -> None:
    """Writes the verifier's C2SP text to `path`, so that anybody can check what the sequencer signs."""
    text = signer.verifier().vkey() + "\n"
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)


def load_verifier(path: Path) -> Verifier:
    """Returns the verifier whose C2SP text is in the file."""
    return Verifier.parse(path.read_text())


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # unlike a rename, a link never replaces the key that another process has just made
    except FileExistsError:
        pass
    finally:
        draft.unlink()
