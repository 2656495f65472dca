"""Private repositories: the credential goes to the one address that it is bound to, and never comes back."""

import base64
import dataclasses
import json
import socket
import traceback
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import Invalid, Unavailable
from kernel.secrets import Secret
from registry.addresses import AddressPolicy
from registry.git.access import Sealed, Vault, seal_login
from registry.git.fetching import Sources, address_of, fetched
from registry.git.wire import PinnedClient
from registry.sealing import SUITE, repository_binding, seal_for_worker
from tests.apps.classification.repositories import PYTHON, make_repository
from tests.git.private import SUBJECT, TOKEN, basic, guarded, sealed_for, vault_at
from tests.git.serving import (
    BLOB,
    CAPABILITIES,
    advertise,
    answering,
    band,
    commit,
    give,
    id_of,
    line,
    listed,
    pack_of,
    reply,
    tree,
)

RIGHT = basic("x-access-token", TOKEN)
SPELLINGS = (
    TOKEN,
    RIGHT,
    base64.b64encode(TOKEN.encode()).decode()[:-2],
    quote(RIGHT),
    TOKEN.encode().hex(),
    TOKEN[::-1],
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return make_repository(tmp_path_factory.mktemp("private") / "calc", PYTHON)


@pytest.fixture
def kept(tmp_path):
    """A vault and the key in it."""
    return vault_at(tmp_path)


def take(url, port, vault, sealed):
    with fetched(url, sources=listed(port, vault=vault), sealed=sealed) as clone:
        return clone.commit


def refuse(url, port, vault, sealed, kind=Invalid):
    """Returns what was said, after a look for the secret in all that a log could say of it."""
    with pytest.raises(kind) as refused:
        take(url, port, vault, sealed)
    whole = "".join(traceback.format_exception(refused.value)) + repr(refused.value) + str(refused.value.facts)
    assert [spelling for spelling in SPELLINGS if spelling in whole] == []
    return refused.value


@pytest.mark.parametrize(
    ("kind", "username", "header"),
    [
        ("basic", "", RIGHT),
        ("basic", "ana", basic("ana", TOKEN)),
        ("basic", "jürgen", basic("jürgen", TOKEN)),
        ("bearer", "", f"Bearer {TOKEN}"),
    ],
)
def test_the_right_credential_opens_every_request(repository, kept, kind, username, header):
    vault, key = kept
    with guarded(repository, header) as door:
        assert take(door.url, door.port, vault, sealed_for(door.url, key, kind=kind, username=username))
        assert door.seen == [header, header]


def test_without_one_it_says_what_to_do_and_asks_once(repository, kept):
    with guarded(repository, RIGHT) as door:
        said = refuse(door.url, door.port, kept[0], None)
        assert said.error_code == "git_credential_wanted"
        assert "add one" in said.message
        assert door.seen == [None]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_one_is_said_to_have_been_shown_and_is_shown_once(repository, kept, status):
    vault, key = kept
    with guarded(repository, RIGHT) as door:
        door.refusal = status
        said = refuse(door.url, door.port, vault, sealed_for(door.url, key, token="another-token"))
        assert "credential" in said.message
        assert "add one" not in said.message
        assert len(door.seen) == 1


def test_one_that_is_revoked_between_two_requests_ends_the_fetch(repository, kept):
    vault, key = kept
    with guarded(repository, RIGHT) as door:
        sealed = sealed_for(door.url, key)
        assert take(door.url, door.port, vault, sealed)
        door.allowed.clear()
        assert refuse(door.url, door.port, vault, sealed).error_code == "git_credential_refused"

    def revoked(handler):
        reply(handler, b"gone", "text/plain", 401)

    head = commit(id_of(*tree()))
    with answering(advertise(id_of(*head)), revoked) as peer:
        assert refuse(peer.url, peer.port, vault, sealed_for(peer.url, key)).error_code == "git_credential_refused"
        assert len(peer.asked) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed_and_the_secret_stays(kept, status):
    vault, key = kept
    with answering(lambda handler: reply(handler, b"", "text/plain")) as thief:

        def away(handler):
            shown = handler.headers["Authorization"]
            reply(handler, b"", "text/plain", status, Location=f"{thief.url}?stolen={quote(shown)}&{shown}")

        with answering(away) as peer:
            said = refuse(peer.url, peer.port, vault, sealed_for(peer.url, key))
        assert said.error_code == "git_redirect"
        assert "127.0.0.1" in said.message
    assert thief.asked == []


def echoes():
    """Ways in which a server may say again what it was shown, and where that could be read."""

    def body(handler):
        reply(handler, handler.headers["Authorization"].encode(), "text/plain", 500)

    def kind(handler):
        reply(handler, b"", handler.headers["Authorization"])

    def err(handler):
        text = b"ERR " + handler.headers["Authorization"].encode() + b" " + TOKEN.encode() + b"\n"
        data = line(b"# service=git-upload-pack\n") + b"0000" + line(text) + b"0000"
        reply(handler, data, "application/x-git-upload-pack-advertisement")

    def long(handler):  # the place at which a sentence is cut must not leave a half of it
        text = b"ERR " + b"x" * 170 + b" " + TOKEN.encode() * 5 + b"\n"
        data = line(b"# service=git-upload-pack\n") + b"0000" + line(text) + b"0000"
        reply(handler, data, "application/x-git-upload-pack-advertisement")

    def reference(handler):
        data = (
            line(b"# service=git-upload-pack\n") + b"0000" + line(TOKEN.encode() + b" HEAD\0" + CAPABILITIES) + b"0000"
        )
        reply(handler, data, "application/x-git-upload-pack-advertisement")

    def status_line(handler):
        handler.wfile.write(f"HTTP/1.1 {TOKEN} {RIGHT}\r\n\r\n".encode())

    def broken_line(handler):
        data = line(b"# service=git-upload-pack\n") + b"0000" + TOKEN.encode() * 3
        reply(handler, data, "application/x-git-upload-pack-advertisement")

    return {one.__name__: one for one in (body, kind, err, long, reference, status_line, broken_line)}


@pytest.mark.parametrize("name", list(echoes()))
def test_what_a_server_echoes_is_not_said_again(kept, name):
    vault, key = kept
    with answering(echoes()[name]) as peer:
        said = refuse(peer.url, peer.port, vault, sealed_for(peer.url, key))
        assert peer.asked[0][1]["authorization"] == RIGHT, "the server was shown nothing that it could echo"
        assert not any(TOKEN[at : at + 10] in said.message for at in range(len(TOKEN) - 10)), said.message


@pytest.mark.parametrize("channel", [2, 3])
def test_what_a_server_says_beside_its_pack_is_not_said_again(kept, channel):
    vault, key = kept
    head = commit(id_of(*tree()))

    def give_words(handler):
        body = b"0000" + line(b"NAK\n") + band(TOKEN.encode() + b"\n", channel) + b"0000"
        reply(handler, body, "application/x-git-upload-pack-result")

    with answering(advertise(id_of(*head)), give_words) as peer:
        refuse(peer.url, peer.port, vault, sealed_for(peer.url, key))


def test_a_secret_in_a_file_is_cut_out_and_in_a_path_refused(kept):
    vault, key = kept
    file = (BLOB, f"# Guide\n\nThe token is {TOKEN}, or {RIGHT}.\n".encode())
    good = tree((0o100644, b"guide.md", id_of(*file)))
    bad = tree((0o100644, f"{TOKEN}.md".encode(), id_of(*file)))
    for root, is_good in ((good, True), (bad, False)):
        top = commit(id_of(*root))
        with answering(advertise(id_of(*top)), give(pack_of(top, root, file))) as peer:
            sources, sealed = listed(peer.port, vault=vault), sealed_for(peer.url, key)
            if is_good:
                with fetched(peer.url, sources=sources, sealed=sealed) as clone:
                    (entry,) = clone.entries()
                    text = clone.read(entry).decode()
                    assert (clone.check_out() / "guide.md").read_text() == text
                assert text.startswith("# Guide\n\nThe token is [secret removed], or ")
                assert not any(spelling in text for spelling in SPELLINGS)
            else:
                with (
                    pytest.raises(Invalid, match="has a path with the credential") as refused,
                    fetched(peer.url, sources=sources, sealed=sealed) as clone,
                ):
                    list(clone.entries())
                assert TOKEN not in str(refused.value)
                assert refused.value.__cause__ is None


def test_what_a_branch_is_called_is_said_without_it(kept):
    vault, key = kept
    top = commit(id_of(*tree()))
    capabilities = CAPABILITIES.replace(b"refs/heads/main", b"refs/heads/" + TOKEN.encode())
    with answering(advertise(id_of(*top), capabilities), give(pack_of(top, tree()))) as peer:
        sources = listed(peer.port, vault=vault)
        with fetched(peer.url, sources=sources, sealed=sealed_for(peer.url, key)) as clone:
            assert TOKEN not in repr(clone)


def test_what_is_moved_opens_nowhere_else(repository, kept, tmp_path):
    vault, key = kept
    with guarded(repository, RIGHT) as door, guarded(repository, RIGHT) as other:
        sealed = sealed_for(door.url, key)
        moved = {
            "another source": dataclasses.replace(sealed, subject="source:0190a1b2-0000-7000-8000-000000000002"),
            "another kind of thing": dataclasses.replace(sealed, subject=SUBJECT.replace("source", "repository")),
            "another kind": dataclasses.replace(sealed, kind="bearer"),
            "a bent byte": dataclasses.replace(sealed, sealed=sealed.sealed[:-1] + bytes([sealed.sealed[-1] ^ 1])),
            "too short": dataclasses.replace(sealed, sealed=b"x"),
            "nothing": dataclasses.replace(sealed, sealed=b""),
        }
        for name, one in moved.items():
            assert refuse(door.url, door.port, vault, one).error_code == "credential_unreadable", name
        for elsewhere in (other.url, f"{door.url}/", door.url.replace("127.0.0.1", "localhost")):
            assert refuse(elsewhere, other.port, vault, sealed).error_code == "credential_unreadable", elsewhere
        (tmp_path / "other").mkdir()
        another, _ = vault_at(tmp_path / "other")
        assert refuse(door.url, door.port, another, sealed).error_code == "credential_unreadable"
        assert door.seen == other.seen == []


@pytest.mark.parametrize("content", [None, b"", b"no key", b"-----BEGIN PRIVATE KEY-----\n"])
def test_without_the_key_nothing_is_asked(repository, kept, tmp_path, content):
    _, key = kept
    place = tmp_path / "none.pem"
    if content is not None:
        place.write_bytes(content)
    with guarded(repository, RIGHT) as door:
        for vault in (Vault(place), None):
            said = refuse(door.url, door.port, vault, sealed_for(door.url, key), kind=Unavailable)
            assert said.error_code == "credential_key_missing"
        assert door.seen == []


def test_without_tls_it_goes_only_where_an_administrator_listed(kept, monkeypatch):
    vault, key = kept
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: [(2, 1, 6, "", ("8.8.8.8", 80))])
    connected = []
    monkeypatch.setattr(PinnedClient, "_connected", connected.append)
    url = "http://repo.example/r"
    sources = Sources(AddressPolicy(), vault=vault)
    with pytest.raises(Invalid) as refused, fetched(url, sources=sources, sealed=sealed_for(url, key)):
        pass
    assert refused.value.error_code == "git_not_https"
    assert connected == []


@pytest.mark.parametrize("value", [b"Bearer a\r\nHost: b", b"Digest abcdefgh", b"", b"Bearer ", b"\xff" * 20])
def test_what_is_no_header_is_not_sent_even_when_it_was_sealed_well(repository, kept, value):
    """Whoever holds the public key can seal anything."""
    vault, key = kept
    with guarded(repository, RIGHT) as door:
        blob = seal_for_worker(value, key.public_key(), subject=SUBJECT, address=address_of(door.url), kind="bearer")
        said = refuse(door.url, door.port, vault, Sealed(SUBJECT, "bearer", blob))
        assert said.error_code == "credential_unreadable"
        assert door.seen == []


def test_a_directory_of_this_host_takes_none(repository, kept):
    with pytest.raises(Invalid, match="no credential"):
        address_of(repository.as_uri())
    sources, sealed = Sources(AddressPolicy(), (repository,), vault=kept[0]), Sealed(SUBJECT, "basic", b"x" * 80)
    with pytest.raises(Invalid), fetched(repository.as_uri(), sources=sources, sealed=sealed):
        pass


@pytest.mark.parametrize(
    ("kind", "username", "secret", "field"),
    [
        ("digest", "", TOKEN, "kind"),
        ("basic", "a:b", TOKEN, "username"),
        ("basic", "a\nb", TOKEN, "username"),
        ("basic", "a" * 201, TOKEN, "username"),
        ("basic", "", "", "secret"),
        ("basic", "", "short", "secret"),
        ("basic", "", "a\r\nHost: evil", "secret"),
        ("basic", "", "x" * 4_097, "secret"),
        ("bearer", "", "two words here", "secret"),
        ("bearer", "", "schlüssel-wort", "secret"),
    ],
)
def test_what_cannot_be_shown_is_refused_at_its_field(kind, username, secret, field):
    with pytest.raises(Invalid) as refused:
        seal_login(
            subject=SUBJECT, address="https://repo.example/r", kind=kind, username=username,
            secret=Secret(secret.encode()), public_key=X25519PrivateKey.generate().public_key(),
        )  # fmt: skip
    assert set(refused.value.errors) == {field}
    assert not secret or secret not in json.dumps(refused.value.errors) + refused.value.message


@given(
    st.text(min_size=8, max_size=60).filter(lambda text: text.isprintable() and len(text.encode()) >= 8),
    st.text(max_size=20).filter(lambda text: text.isprintable() and ":" not in text),
)
def test_any_password_arrives_as_it_was_typed(secret, username):
    key, address = X25519PrivateKey.generate(), "https://repo.example/r"
    blob = seal_login(
        subject=SUBJECT, address=address, kind="basic", username=username, secret=Secret(secret.encode()),
        public_key=key.public_key(),
    )  # fmt: skip
    value = SUITE.decrypt(blob, key, info=repository_binding(subject=SUBJECT, address=address, kind="basic"))
    name, _, password = base64.b64decode(value.removeprefix(b"Basic ")).partition(b":")
    assert password.decode() == secret
    assert name.decode() == (username.strip() or "x-access-token")
