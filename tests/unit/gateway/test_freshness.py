"""What is known is only used while it is fresh: policy, tokens, keys."""

import asyncio
import json
import time

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from gateway.authn import Keys, TokenRefused, Verifier
from gateway.listen import Keeper
from gateway.snapshot import Registry, Snapshot, Tenants
from gateway.wire import Limits
from kernel.errors import Unauthenticated, Unavailable

ISSUER = "https://hanse.example"


@pytest.fixture
def keeper():
    made = Keeper("", Limits(snapshot_max_age=30))
    made.snapshot = Snapshot(Tenants(1, {}, {}, {}, {}), Registry(1, {}, {}))
    made._heard_at = time.monotonic()
    for part in made._parts.values():
        part.dirty_since = None
    return made


def test_before_the_first_read_nothing_is_decided():
    with pytest.raises(Unavailable) as caught:
        Keeper("", Limits()).current()
    assert caught.value.error_code == "policy_missing"


def test_a_fresh_snapshot_is_used(keeper):
    assert keeper.current() is keeper.snapshot


def test_a_snapshot_that_nothing_was_heard_for_is_refused(keeper):
    keeper._heard_at -= 31
    with pytest.raises(Unavailable) as caught:
        keeper.current()
    assert caught.value.error_code == "policy_stale"


@pytest.mark.parametrize("part", ["tenants", "registry"])
def test_a_change_that_is_known_and_not_read_is_refused_sooner(keeper, part):
    keeper._parts[part].dirty_since = time.monotonic() - 6
    with pytest.raises(Unavailable):
        keeper.current()


def test_news_of_one_part_marks_that_part_and_unknown_news_marks_all(keeper):
    keeper._mark("tenants")
    assert [part.dirty_since is not None for part in keeper._parts.values()] == [True, False]
    keeper._mark("something else")
    assert all(part.dirty_since is not None for part in keeper._parts.values())


@pytest.fixture
def signing():
    return OKPKey.generate_key("Ed25519", parameters={"kid": "k"})


@pytest.fixture
def verifier(tmp_path, signing):
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [signing.as_dict(private=False)]}))
    return Verifier(ISSUER, Keys(path), Limits(tokens_cached=3))


def bearer(signing, now, **changes):
    claims = {"iss": ISSUER, "sub": "p", "act": {"sub": "a"}, "dlg": "d", "aud": "x", "jti": "j"}
    claims |= {"iat": now, "nbf": now, "exp": now + 60, **changes}
    token = jwt.encode({"alg": "Ed25519", "kid": "k"}, claims, signing, algorithms=["Ed25519"])
    return b"Bearer " + token.encode()


def test_a_token_that_was_good_ends_at_its_end(verifier, signing):
    token = bearer(signing, 1000)
    assert verifier.verify(token, 1059.9).person == "p"
    with pytest.raises(TokenRefused) as caught:
        verifier.verify(token, 1060)
    assert (caught.value.error_code, caught.value.grant.agent) == ("token_expired", "a")


@pytest.mark.parametrize(("now", "good"), [(969, False), (970, True), (1000, True)])
def test_a_clock_may_be_half_a_minute_behind(verifier, signing, now, good):
    token = bearer(signing, 1000)
    if good:
        verifier.verify(token, now)
    else:
        with pytest.raises(TokenRefused):
            verifier.verify(token, now)


def test_the_memory_for_tokens_is_bounded(verifier, signing):
    for number in range(10):
        verifier.verify(bearer(signing, 1000, jti=str(number)), 1000)
    assert len(verifier._known) == 3


def test_without_a_key_file_nobody_comes_in(tmp_path, signing):
    for content in (
        None,
        "",
        "{}",
        "[]",
        '{"keys": 1}',
        '{"keys": [1]}',
        '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k"}]}',
    ):
        path = tmp_path / "none.json"
        if content is not None:
            path.write_text(content)
        with pytest.raises(Unauthenticated):
            Verifier(ISSUER, Keys(path), Limits()).verify(bearer(signing, 1000), 1000)


def test_a_grant_and_its_settings_never_show_a_token(verifier, signing):
    token = bearer(signing, 1000)
    grant = verifier.verify(token, 1000)
    assert token.decode().split(".")[2] not in repr((grant, verifier._known))


def test_a_row_that_cannot_be_read_stops_the_reading_for_now_and_not_for_good(keeper, monkeypatch):
    part, reads = keeper._parts["tenants"], []

    def read(_part, _dsn):
        reads.append(1)
        if len(reads) == 1:
            raise ValueError("nobody foresaw this")
        return Tenants(2, {}, {}, {}, {})

    monkeypatch.setattr(type(part), "read", read)

    async def refresh() -> None:
        part.mark()
        task = asyncio.create_task(keeper._refresh(part))
        async with asyncio.timeout(10), keeper._swapped:
            await keeper._swapped.wait_for(lambda: part.value is not None)
        task.cancel()

    asyncio.run(refresh())
    assert (len(reads), keeper.failures) == (2, 1)
