"""A real server of dulwich's: what is fetched is what was committed, from the address that was checked and no other."""

import os
import socket
import ssl
import stat
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from blueprints.classification.survey import classify
from kernel.errors import Invalid, Unavailable
from registry.addresses import AddressPolicy
from registry.git.bounds import Bounds
from registry.git.fetching import Sources, check_source, fetched
from tests.apps.classification.repositories import NOW, PYTHON, make_repository, run_git
from tests.docs.pages import ROOT, rows_of, text_of
from tests.git.serving import advertise, answering, listed, reply, serving
from tests.security.test_rebinding import Names


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    root = make_repository(tmp_path_factory.mktemp("served") / "calc", PYTHON)
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "docs").mkdir()
    (root / "docs" / "readme").symlink_to("../README.md")
    make_repository(root, {"docs/guide.md": "Words.\n"})
    run_git(root, "branch", "older", "HEAD~1")
    return root


@pytest.fixture
def served(repository):
    with serving({"/r": repository}) as port:
        yield f"http://127.0.0.1:{port}/r", listed(port)


def refuse(peer, words):
    with pytest.raises(Invalid, match=words), fetched(peer.url, sources=listed(peer.port)):
        pass


def files_below(top):
    found = {}
    for place, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name != ".git"]
        for name in names:
            path = Path(place) / name
            found[str(path.relative_to(top))] = path.readlink() if path.is_symlink() else path.read_bytes()
    return found


def test_what_is_fetched_is_what_was_committed(repository, served):
    url, sources = served
    with fetched(url, sources=sources) as clone:
        assert (clone.commit, clone.branch) == (run_git(repository, "rev-parse", "HEAD"), "main")
        assert {entry.path.decode() for entry in clone.entries()} == set(files_below(repository))
        assert list(clone.top.iterdir()) == [clone.top / ".git"], "nothing is written before it is asked for"
        clone.check_out()
        assert files_below(clone.top) == files_below(repository)
        assert stat.S_IMODE((clone.top / "run.sh").stat().st_mode) & 0o7111 == 0o111
    assert not clone.top.exists()


def test_a_fetched_repository_is_classified_like_the_one_it_came_from(repository, served):
    url, sources = served
    here = classify(repository, now=NOW).as_json()
    with fetched(url, sources=sources) as clone:
        assert classify(clone.check_out(), now=NOW).as_json() == here


def test_a_branch_can_be_named_and_must_be_there(repository, served):
    url, sources = served
    with fetched(url, sources=sources, branch="older") as clone:
        assert clone.commit == run_git(repository, "rev-parse", "older")
    with pytest.raises(Invalid, match="no branch newer") as refused, fetched(url, sources=sources, branch="newer"):
        pass
    assert refused.value.error_code == "git_no_branch"


@pytest.mark.parametrize("branch", ["a..b", "-" * 201, "a b", "a\0b", "x.lock", "a//b", "@{1}", "ä:b", "a\nb"])
def test_what_cannot_be_a_branch_asks_nobody(branch):
    with pytest.raises(Invalid) as refused, fetched("https://repo.example/r", sources=listed(1), branch=branch):
        pass
    assert refused.value.errors["branch"]


def test_history_ends_where_the_bound_says(repository, served):
    url, sources = served
    with fetched(url, sources=sources, bounds=Bounds(commits=1)) as clone:
        assert (clone.top / ".git" / "shallow").read_text().split() == [clone.commit]
        assert run_git(clone.top, "rev-list", "--count", "HEAD") == "1"
    with fetched(url, sources=sources) as clone:
        assert not (clone.top / ".git" / "shallow").exists()
        assert run_git(clone.top, "rev-list", "--count", "HEAD") == run_git(repository, "rev-list", "--count", "HEAD")


def test_nothing_of_the_environment_is_used(served, monkeypatch, tmp_path):
    """Neither proxies nor a git configuration that rewrites addresses, names helpers and templates with hooks."""
    url, sources = served
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    (tmp_path / "template" / "hooks").mkdir(parents=True)
    (tmp_path / "template" / "hooks" / "post-checkout").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / ".gitconfig").write_text(
        f'[url "http://127.0.0.1:9/"]\n\tinsteadOf = http://127.0.0.1\n[init]\n\ttemplateDir = {tmp_path}/template\n'
        "[http]\n\textraHeader = Authorization: Basic c2VjcmV0\n\tproxy = http://127.0.0.1:9/\n[protocol]\n\tversion = 2\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / ".gitconfig"))
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")
    with fetched(url, sources=sources) as clone:
        assert sorted(path.name for path in (clone.top / ".git").iterdir()) == ["HEAD", "config", "objects", "refs"]
        assert "url" not in (clone.top / ".git" / "config").read_text()


def test_a_request_carries_no_credentials_and_no_cookie(monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ana password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with answering(lambda handler: reply(handler, b"", "text/plain", 401, Set_Cookie="a=b")) as peer:
        refuse(peer, "asks for credentials")
    (asked,) = peer.asked
    assert asked[0] == "GET /r/info/refs?service=git-upload-pack"
    assert set(asked[1]) == {"host", "accept", "accept-encoding", "connection", "user-agent"}


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:80/r", "address_refused"),
        ("https://169.254.169.254/r", "address_refused"),
        ("https://[::ffff:10.0.0.1]/r", "address_refused"),
        ("https://localhost/r", "address_refused"),
        ("http://8.8.8.8/r", "git_not_https"),
        ("ssh://git@repo.example/r", "url_scheme"),
        ("git://repo.example/r", "url_scheme"),
        ("https://ana:secret@repo.example/r", "url_credentials"),
        ("https://repo.example/r?a=b", "url_path"),
        ("https://repo.example/../r", "url_path"),
        ("ext::sh -c id", "url_characters"),
        ("--upload-pack=id", "url_scheme"),
        ("", "url_length"),
    ],
)
def test_what_leads_inside_or_nowhere_is_refused_before_a_connection(url, code):
    nowhere = Sources(AddressPolicy())
    with pytest.raises(Invalid) as refused:
        check_source(url, "", nowhere)
    assert refused.value.error_code == code
    assert refused.value.errors["url"], "a form says it at its field"
    with pytest.raises(Invalid) as refused, fetched(url, sources=nowhere):
        pass
    assert refused.value.error_code == code


def test_a_name_that_does_not_resolve_is_said(monkeypatch):
    def nobody(*_args, **_kw):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(Invalid, match="does not resolve"):
        check_source("https://repo.example/r", "", Sources(AddressPolicy()))
    with pytest.raises(Unavailable), fetched("https://repo.example/r", sources=Sources(AddressPolicy())):
        pass


def test_between_the_check_and_the_last_byte_nobody_asks_for_the_name_again(repository, monkeypatch):
    with serving({"/r": repository}) as port:
        names = Names(("127.0.0.1",), ("127.0.0.2",))
        monkeypatch.setattr(socket, "getaddrinfo", names)
        sources = Sources(AddressPolicy([f"repo.example:{port}"]))
        with fetched(f"http://repo.example:{port}/r", sources=sources) as clone:
            assert clone.branch == "main"
    assert names.asked == 1


@pytest.mark.parametrize("later", [("127.0.0.1",), ("8.8.8.8", "10.0.0.1"), ("169.254.169.254",)])
def test_a_name_that_was_public_at_registration_is_looked_at_again_by_a_fetch(monkeypatch, later):
    names = Names(("8.8.8.8",), later)
    monkeypatch.setattr(socket, "getaddrinfo", names)
    sources = Sources(AddressPolicy())
    assert check_source("https://repo.example/r", "", sources) == "https://repo.example/r"
    with pytest.raises(Invalid) as refused, fetched("https://repo.example/r", sources=sources):
        pass
    assert refused.value.error_code == "address_refused"


def certificate(tmp_path, name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "chain.pem").write_bytes(private + pem)
    (tmp_path / "trust.pem").write_bytes(pem)
    return tmp_path / "chain.pem", tmp_path / "trust.pem"


@pytest.mark.parametrize(("name", "holds"), [("repo.example", True), ("other.example", False)])
def test_tls_is_verified_for_the_name_and_not_for_the_address(repository, monkeypatch, tmp_path, name, holds):
    chain, trust = certificate(tmp_path, "repo.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    monkeypatch.setattr(socket, "getaddrinfo", Names(("127.0.0.1",)))
    with serving({"/r": repository}, tls=context) as port:
        trusting = ssl.create_default_context(cafile=str(trust))
        sources = Sources(AddressPolicy([f"{name}:{port}"]), tls=trusting)
        url = f"https://{name}:{port}/r"
        if holds:
            with fetched(url, sources=sources) as clone:
                assert clone.branch == "main"
        else:
            with pytest.raises(Unavailable, match="certificate does not hold"), fetched(url, sources=sources):
                pass


def test_a_certificate_that_nobody_vouches_for_is_refused(repository, monkeypatch, tmp_path):
    chain, _ = certificate(tmp_path, "repo.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    monkeypatch.setattr(socket, "getaddrinfo", Names(("127.0.0.1",)))
    with serving({"/r": repository}, tls=context) as port:
        sources = Sources(AddressPolicy([f"repo.example:{port}"]))
        refused = pytest.raises(Unavailable, match="certificate does not hold")
        with refused, fetched(f"https://repo.example:{port}/r", sources=sources):
            pass


def test_nobody_listening_is_said_in_one_line():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unavailable) as failed, fetched(f"http://127.0.0.1:{port}/r", sources=listed(port)):
        pass
    assert "cannot be reached" in failed.value.message
    assert "\n" not in failed.value.message


def test_an_empty_repository_is_said(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path / "empty")], check=True)
    with serving({"/r": tmp_path / "empty"}) as port:
        refused = pytest.raises(Invalid, match="no commit yet")
        with refused, fetched(f"http://127.0.0.1:{port}/r", sources=listed(port)):
            pass


def test_what_failed_leaves_nothing_behind(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with answering(advertise(b"0" * 39 + b"1"), lambda handler: handler.wfile.write(b"")) as peer:
        refuse(peer, "gave no data|broken|does not keep")
    assert list(tmp_path.iterdir()) == []


def test_the_bounds_are_the_documented_ones():
    bounds, mib = Bounds(), 1024 * 1024
    shown = dict(rows_of(ROOT / "docs" / "reference" / "classification.md", first="bound of a fetch"))
    received, named = f"{bounds.received // mib} MiB", f"{bounds.named // mib} MiB"
    assert shown == {
        "bytes received": f"{received}, of which {named} for the names of branches",
        "objects": f"{bounds.objects:,}",
        "one object, unfolded": f"{bounds.blob // mib} MiB",
        "all objects, unfolded": f"{bounds.inflated // mib // 1024} GiB",
        "files and folders, depth": f"{bounds.files:,}, {bounds.depth}",
        "bytes of all files": f"{bounds.checkout // mib} MiB",
        "seconds": f"{bounds.seconds:g}",
    }
    assert f"up to {bounds.commits:,} commits" in text_of(ROOT / "docs" / "reference" / "classification.md")
