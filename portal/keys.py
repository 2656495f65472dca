"""The installation's own keys: made once, kept in files that only their process group needs to read."""

import base64
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from joserfc.jwk import OKPKey

from portal.config import Config

GROUPS: Final = ("owner", "portal", "gateway", "audit", "worker")
"""Who has secrets: a directory below `secrets/` for each, which the processes of the others need not read."""


def prepare_keys(config: Config) -> None:
    """Makes every key that is missing and writes the public halves. Never replaces a key that is there."""
    for group in GROUPS:
        private_directory(config.secrets_dir(group))
    private_directory(config.public_dir, mode=0o755)
    keep_secret(config.secrets_dir("portal") / "django.key", lambda: secrets.token_urlsafe(48))
    _prepare_token_key(config)
    _prepare_sealing_key(sealing_key_path(config), sealing_public_path(config))
    _prepare_sealing_key(repository_key_path(config), repository_public_path(config))
    _prepare_records_key(config)
    _prepare_assertion_key(config)


def token_key_path(config: Config) -> Path:
    """Returns the file of the Ed25519 key that signs agent tokens; only the portal's group reads it."""
    return config.secrets_dir("portal") / "token.pem"


def token_jwks_path(config: Config) -> Path:
    """Returns the file with the public half of the token key, as a JWK set."""
    return config.public_dir / "token.jwks.json"


def sealing_key_path(config: Config) -> Path:
    """Returns the file of the X25519 key that opens credentials; only the gateway reads it."""
    return config.secrets_dir("gateway") / "hpke.pem"


def sealing_public_path(config: Config) -> Path:
    """Returns the file with the public half of that key, to which credentials of servers are sealed."""
    return config.public_dir / "hpke.pub"


def repository_key_path(config: Config) -> Path:
    """Returns the file of the X25519 key that opens credentials of repositories; only the worker reads it."""
    return config.secrets_dir("worker") / "repository.pem"


def repository_public_path(config: Config) -> Path:
    """Returns the file with the public half of that key, to which credentials of repositories are sealed."""
    return config.public_dir / "repository.pub"


def records_key_path(config: Config) -> Path:
    """Returns the file of the Ed25519 key that signs classification records; only the portal's group reads it."""
    return config.secrets_dir("portal") / "records.pem"


def records_public_path(config: Config) -> Path:
    """Returns the file with its public half, with which anybody can verify an exported record."""
    return config.public_dir / "records.pem"


def assertion_key_path(config: Config) -> Path:
    """Returns the file of the Ed25519 key with which the gateway vouches for its callers; only the gateway reads it."""
    return config.secrets_dir("gateway") / "assertion.pem"


def assertion_public_path(config: Config) -> Path:
    """Returns the file with the public half of that key, which internal servers check with."""
    return config.public_dir / "assertion.pub"


def first_note_path(config: Config) -> Path:
    """Returns the file that says how to sign in for the first time; it is gone once it was shown."""
    return config.secrets_dir("owner") / "first-sign-in.txt"


def private_directory(path: Path, *, mode: int = 0o700) -> None:
    """Makes a directory that belongs to us with this mode. Refuses one that somebody else owns."""
    path.mkdir(parents=True, exist_ok=True, mode=mode)
    if path.stat().st_uid != os.geteuid():
        raise PermissionError(f"{path} belongs to another user")
    path.chmod(mode)


def keep_secret(path: Path, make: Callable[[], str]) -> str:
    """Returns the secret kept in a file that only its owner can read; makes it the first time."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(path, make().encode(), mode=0o600)
    return path.read_text(encoding="utf-8")


def write_atomically(path: Path, content: bytes, *, mode: int) -> None:
    """Writes a file that is there whole or not at all, and never readable by more than `mode` says."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _private_pem(key: Ed25519PrivateKey | X25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def _prepare_token_key(config: Config) -> None:
    pem = keep_secret(token_key_path(config), lambda: _private_pem(Ed25519PrivateKey.generate()))
    private = load_pem_private_key(pem.encode(), password=None)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = OKPKey.import_key(public)
    document = {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": "Ed25519"}
    text = json.dumps({"keys": [document]}, indent=2, sort_keys=True) + "\n"
    _write_changed(token_jwks_path(config), text.encode())


def _prepare_sealing_key(path: Path, public: Path) -> None:
    pem = keep_secret(path, lambda: _private_pem(X25519PrivateKey.generate()))
    private = load_pem_private_key(pem.encode(), password=None)
    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    _write_changed(public, base64.b64encode(raw) + b"\n")


def _prepare_records_key(config: Config) -> None:
    pem = keep_secret(records_key_path(config), lambda: _private_pem(Ed25519PrivateKey.generate()))
    public = load_pem_private_key(pem.encode(), password=None).public_key()
    _write_changed(records_public_path(config), public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _prepare_assertion_key(config: Config) -> None:
    pem = keep_secret(assertion_key_path(config), lambda: _private_pem(Ed25519PrivateKey.generate()))
    public = load_pem_private_key(pem.encode(), password=None).public_key()
    _write_changed(assertion_public_path(config), public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _write_changed(path: Path, content: bytes) -> None:
    if not path.exists() or path.read_bytes() != content:
        write_atomically(path, content, mode=0o644)
