"""An exported log, judged by the Go project's own transparency-log packages instead of by our code.

Needs Go and golang.org/x/mod as a Debian package brings them (`golang-go`, `golang-golang-x-mod-dev`); nothing is fetched.
"""

import io
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import call_command
from django.db import connection
from django.test import override_settings

from audit import keys, records, services, tiles
from audit.merkle import inclusion_proof, leaf_hash, root_of
from audit.models import Event
from audit.notes import Signer
from audit.proofs import Proof

SOURCE = Path(__file__).with_name("verify.go")
PACKAGES = ("golang.org/x/mod/sumdb/note", "golang.org/x/mod/sumdb/tlog")
EVENTS, EARLIER = 1_000, 600

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def verifier(tmp_path_factory):
    """Returns the path of the verifier, built from source that is on this machine."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("NO GO ON THIS MACHINE: the log was not checked by a foreign verifier")
    place = tmp_path_factory.mktemp("go")
    offline = {"GO111MODULE": "off", "GOPATH": os.environ.get("GOPATH", "/usr/share/gocode"), "GOFLAGS": ""}
    environment = {**os.environ, **offline, "GOCACHE": str(place / "cache"), "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    listed = subprocess.run([go, "list", *PACKAGES], env=environment, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("NO golang.org/x/mod ON THIS MACHINE: the log was not checked by a foreign verifier")
    subprocess.run([go, "build", "-o", str(place / "verify"), str(SOURCE)], env=environment, check=True)
    return place / "verify"


@dataclass
class Exported:
    log: Path
    vkey: Path
    earlier: Path
    proof: Path

    def copy(self, to: Path) -> "Exported":
        shutil.copytree(self.log.parent, to)
        return Exported(*(to / path.relative_to(self.log.parent) for path in vars(self).values()))


def run(*words) -> str:
    out = io.StringIO()
    call_command(*map(str, words), stdout=out, stderr=io.StringIO())
    return out.getvalue()


def append(stream, count):
    log = records.Log(stream.pk, str(stream.uid), stream.scope)
    actor = records.Actor(str(uuid4()), str(uuid4()), str(uuid4()))
    rows = [
        records.intent(log, actor, call=str(uuid4()), verb="tools.call", object=f"git/{n}", arguments=b"{}")
        for n in range(count)
    ]
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_append(%s::jsonb)", [records.encode(rows)])
    run("sequencer", "--once")


@pytest.fixture(scope="module")
def exported(module_rows, tmp_path_factory):
    """Returns a log of a thousand events as `audit export` writes it, an earlier checkpoint of it, and a proof."""
    place = tmp_path_factory.mktemp("exported")

    class Config:
        data = place / "data"

    Config.data.mkdir()
    with override_settings(HANSE=Config):
        stream = services.open_stream(scope=4711, name="Foreign")
        append(stream, EARLIER)
        run("audit", "export", place / "files", "--stream", stream.uid)
        log = place / "files" / str(stream.uid)
        shutil.copy(log / "checkpoint", place / "files" / "earlier")
        append(stream, EVENTS - EARLIER)
        run("audit", "export", place / "files", "--stream", stream.uid)
        record = Event.objects.filter(stream=stream).order_by("pk")[777]
        (place / "files" / "proof").write_text(run("audit", "proof", record.uid))
    return Exported(log, log / "vkey", place / "files" / "earlier", place / "files" / "proof")


def judge(verifier, found: Exported) -> subprocess.CompletedProcess[str]:
    words = ["-old", found.earlier, "-proof", found.proof, found.log, found.vkey]
    return subprocess.run([str(verifier), *map(str, words)], capture_output=True, text=True, check=False)


def test_an_exported_log_holds(verifier, exported):
    done = judge(verifier, exported)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"ok {EVENTS}\n", "")


def test_one_flipped_bit_in_any_file_is_found(verifier, exported, tmp_path):
    copy = exported.copy(tmp_path / "copy")
    last = EVENTS % 256
    at_hand = ["checkpoint", "tile/0/000", f"tile/0/003.p/{last}", "tile/1/000.p/3", "tile/entries/000"]
    files = [copy.log / name for name in (*at_hand, f"tile/entries/003.p/{last}")] + [copy.earlier, copy.proof]
    for path in files:
        good = path.read_bytes()
        # Not the character before a padding: two of its bits say nothing, and Go's decoder reads past them.
        for at in (0, len(good) // 2, len(good) - 6):
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            done = judge(verifier, copy)
            assert (done.returncode, done.stdout) == (1, ""), (path, at)
            assert done.stderr.startswith("FAILED: "), (path, at)
        path.write_bytes(good)
    assert judge(verifier, copy).returncode == 0


def test_a_log_that_was_cut_is_found_by_who_kept_a_later_checkpoint(verifier, exported, tmp_path):
    copy = exported.copy(tmp_path / "copy")
    later = (copy.log / "checkpoint").read_bytes()
    (copy.log / "checkpoint").write_bytes(copy.earlier.read_bytes())
    copy.earlier.write_bytes(later)
    assert judge(verifier, copy).stderr.startswith("FAILED: ")


def test_a_log_that_was_written_anew_with_the_right_key_is_found_by_an_earlier_checkpoint(verifier, exported, tmp_path):
    copy = exported.copy(tmp_path / "copy")
    signer = keys.load_or_create(exported.log.parent.parent / "data" / "secrets" / "audit" / "checkpoint.key")
    entries = [f"another story, {n}".encode() for n in range(EVENTS)]
    note = signer.checkpoint(copy.log.name, EVENTS, root_of(map(leaf_hash, entries)))
    tiles.write_log(copy.log, entries, note, signer.verifier())
    copy.proof.write_text(Proof(entries[0], 0, tuple(path_of(entries)), note).text())
    assert judge(verifier, copy).stderr.startswith("FAILED: consistency with the earlier checkpoint")


def path_of(entries):
    hashes = [leaf_hash(entry) for entry in entries]
    return inclusion_proof(lambda level, index: root_of(hashes[index << level : (index + 1) << level]), 0, len(entries))


def test_another_key_is_not_taken(verifier, exported, tmp_path):
    copy = exported.copy(tmp_path / "copy")
    name, _, key = copy.vkey.read_text().strip().split("+", 2)
    copy.vkey.write_text(f"{name}+00000000+{key}\n")
    assert judge(verifier, copy).stderr.startswith("FAILED: verifier key")
    other = Signer("hanse", Ed25519PrivateKey.generate()).verifier()
    copy.vkey.write_text(other.named(f"hanse/{copy.log.name}").vkey() + "\n")
    assert judge(verifier, copy).stderr.startswith("FAILED: signature of the checkpoint")
