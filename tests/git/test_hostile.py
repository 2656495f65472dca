"""Hostile servers: every lie, flood and trap ends in one line, and nothing is written outside."""

import gzip
import os
import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import Invalid
from registry.git.bounds import Bounds, Watch
from registry.git.clones import stays_inside
from registry.git.fetching import fetched
from registry.git.packs import check_pack, read_head, result_size
from tests.git.serving import (
    BLOB,
    COMMIT,
    OFS_DELTA,
    REF_DELTA,
    TREE,
    advertise,
    answering,
    band,
    commit,
    give,
    id_of,
    line,
    listed,
    number,
    offering,
    offering_tree,
    pack,
    pack_of,
    packed,
    plain_number,
    reply,
    tree,
)

FILE, PROGRAM, LINK, FOLDER, MODULE = 0o100644, 0o100755, 0o120000, 0o040000, 0o160000
SMALL = Bounds(
    received=200_000,
    named=50_000,
    objects=50,
    blob=100_000,
    inflated=400_000,
    files=200,
    depth=8,
    checkout=300_000,
    seconds=20,
)
WORDS = (BLOB, b"Words.\n")
WORDS_ID = id_of(*WORDS)
PLAIN = tree((FILE, b"README.md", WORDS_ID))
TIP = commit(id_of(*PLAIN))
TIP_ID = id_of(*TIP)
HONEST = [packed(TIP), packed(PLAIN), packed(WORDS)]
ADVERTISED = "application/x-git-upload-pack-advertisement"
NAK = b"0000" + line(b"NAK\n")
RESULT = "application/x-git-upload-pack-result"


@pytest.fixture(autouse=True)
def nothing_escapes(tmp_path, monkeypatch):
    """The temporary directory of the fetch lies in a place of its own, in which nothing else may appear or stay."""
    inner = tmp_path / "deep" / "deeper"
    inner.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(inner))
    yield
    assert [path for path in tmp_path.rglob("*") if path not in {inner, inner.parent}] == []


def refusal(peer, bounds=SMALL) -> tuple[str, str]:
    """Returns the code and the line with which a fetch is refused."""
    with pytest.raises(Invalid) as refused, fetched(peer.url, sources=listed(peer.port), bounds=bounds) as clone:
        clone.check_out()
    assert "\n" not in refused.value.message
    assert len(refused.value.message) < 400
    return refused.value.error_code, refused.value.message


def test_the_honest_one_of_these_servers_is_believed():
    with offering_tree(PLAIN, WORDS) as peer, fetched(peer.url, sources=listed(peer.port), bounds=SMALL) as clone:
        assert (clone.check_out() / "README.md").read_bytes() == b"Words.\n"
        assert (clone.commit, clone.branch) == (TIP_ID.decode(), "main")


# --- the conversation ---------------------------------------------------------------------------------------------


def test_a_redirect_is_told_and_not_followed():
    with answering(lambda handler: reply(handler, b"secret", ADVERTISED)) as inside:
        place = f"{inside.url}/info/refs?service=git-upload-pack"
        for status in (301, 302, 303, 307, 308):
            with answering(lambda handler, s=status: reply(handler, b"", "text/html", s, Location=place)) as peer:
                code, said = refusal(peer)
            assert code == "git_redirect"
            assert inside.url in said
        assert inside.asked == []


def test_a_redirect_of_the_second_request_is_not_followed_either():
    with answering(lambda handler: reply(handler, b"", RESULT)) as inside:
        away = lambda handler: reply(handler, b"", RESULT, 307, Location=inside.url)  # noqa: E731
        with answering(advertise(TIP_ID), away) as peer:
            assert refusal(peer)[0] == "git_redirect"
        assert inside.asked == []


def forever(piece: bytes, kind: str, first: bytes = b""):
    """Returns an answer that never ends by itself."""

    def answer(handler) -> None:
        reply(handler, first, kind)
        while True:
            handler.wfile.write(piece)

    return answer


def test_data_without_end_is_cut_off_at_the_bound():
    with answering(forever(line(TIP_ID + b" refs/heads/x\n") * 100, ADVERTISED)) as peer:
        code, said = refusal(peer)
    assert (code, "50,000 bytes" in said) == ("git_too_large", True)
    with answering(advertise(TIP_ID), forever(band(b"x" * 9_000) * 9, RESULT, NAK)) as peer:
        code, said = refusal(peer)
    assert (code, "200,000 bytes" in said) == ("git_too_large", True)


def test_words_without_end_beside_the_pack_are_cut_off_too():
    with answering(advertise(TIP_ID), forever(band(b"busy\n", 2) * 900, RESULT, NAK)) as peer:
        assert refusal(peer)[0] == "git_too_large"


def test_a_size_that_is_announced_is_believed_when_it_is_too_large():
    huge = lambda handler: reply(handler, b"", RESULT, Content_Length="9999999999")  # noqa: E731
    with answering(advertise(TIP_ID), huge) as peer:
        assert refusal(peer)[0] == "git_too_large"


@pytest.mark.parametrize("at", ["head", "first body", "second body", "dripping", "dripping head"])
def test_a_server_that_does_not_come_to_an_end_is_left_when_the_time_is_up(at):
    def silent(handler) -> None:
        if at in {"first body", "second body"}:
            reply(handler, b"00", ADVERTISED if handler.command == "GET" else RESULT)
        peer.done.wait(30)

    def drip(handler) -> None:
        if at == "dripping":
            reply(handler, b"fff0", ADVERTISED)
        while not peer.done.wait(0.05):
            handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" if at == "dripping head" else b"0")
            handler.wfile.flush()

    first = advertise(TIP_ID) if at == "second body" else drip if at.startswith("dripping") else silent
    with answering(first, silent) as peer:
        code, said = refusal(peer, Bounds(seconds=0.5))
    assert (code, said) == ("git_too_slow", "The repository was not there within 0.5 seconds.")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda handler: reply(handler, b"<html>", "text/html"), "git_no_repository"),
        (lambda handler: reply(handler, b"abc\trefs/heads/main\n", "text/plain"), "git_no_repository"),
        (lambda handler: reply(handler, b"", ADVERTISED, 404), "git_no_answer"),
        (lambda handler: reply(handler, b"", ADVERTISED, 500), "git_no_answer"),
        (lambda handler: reply(handler, gzip.compress(b"0000"), ADVERTISED, Content_Encoding="gzip"), "git_no_answer"),
        (lambda handler: reply(handler, b"", ADVERTISED), "git_broken"),
        (lambda handler: reply(handler, b"zzzz", ADVERTISED), "git_broken"),
        (lambda handler: reply(handler, b"0001", ADVERTISED), "git_broken"),
        (lambda handler: reply(handler, line(b"version 2\n") + b"0000", ADVERTISED), "git_broken"),
        (lambda handler: reply(handler, line(b"ERR \x1b[2Jno\nway"), ADVERTISED), "git_broken"),
        (lambda handler: handler.wfile.write(b"HTTP/0.9 ok\r\n\r\n"), "git_broken"),
        (lambda handler: handler.wfile.write(b"\xff" * 100_000), "git_broken"),
        (lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n"), "git_broken"),
        (advertise(b"f" * 64), "git_unknown_format"),
        (advertise(b"nonsense"), "git_unknown_format"),
        (advertise(TIP_ID, b"side-band-64k"), "git_broken"),
    ],
)
def test_what_is_no_git_is_said(answer, code):
    with answering(answer, give(pack_of(TIP, PLAIN, WORDS))) as peer:
        found, said = refusal(peer)
    assert found == code
    assert "\x1b" not in said


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"0000",
        line(b"NAK\n") + band(b"no such thing\n\x1b", 3),
        line(b"NAK\n") + band(b"x", 9),
        line(b"NAK\n") + b"0000",
        line(b"NAK\n") + band(b"PACK"),
        line(b"NAK\n") + band(pack_of(TIP, PLAIN, WORDS)[:-30]),
        line(b"NAK\n") + band(pack_of(TIP, PLAIN, WORDS)[:-1] + b"\0"),
        line(b"NAK\n") + band(pack(*HONEST, says=4)),
        line(b"NAK\n") + band(pack(*HONEST, says=2)),
        line(b"shallow " + b"z" * 40) + b"0000" + line(b"NAK\n") + band(pack_of(TIP, PLAIN, WORDS)),
        line(b"packfile-uris\n") + line(b"https://inside.example/p sha1 " + b"0" * 40),
    ],
)
def test_an_answer_that_is_no_pack_is_broken(body):
    with answering(advertise(TIP_ID), lambda handler: reply(handler, body, RESULT)) as peer:
        assert refusal(peer)[0] in {"git_broken", "git_incomplete", "git_unknown_format"}


# --- the pack -------------------------------------------------------------------------------------------------------


def test_more_objects_than_the_bound_are_refused_by_their_number_alone():
    with offering(TIP_ID, pack(*HONEST, says=51)) as peer:
        assert refusal(peer)[0] == "git_too_many_objects"


def test_a_huge_object_is_refused_by_its_head_and_not_unfolded():
    with offering(TIP_ID, pack(packed((BLOB, b"x"), says=100_001))) as peer:
        assert refusal(peer)[0] == "git_blob_too_large"
    with offering(TIP_ID, pack(*HONEST, packed((BLOB, b"\0" * 100_001)))) as peer:
        assert refusal(peer)[0] == "git_blob_too_large"


@pytest.mark.parametrize("says", [0, 1, 99_999])
def test_an_object_that_lies_about_its_size_is_broken(says):
    bomb = packed((BLOB, b"\0" * 5_000_000), says=says)
    with offering(TIP_ID, pack(*HONEST, bomb)) as peer:
        assert refusal(peer)[0] == "git_broken"


def test_many_objects_may_not_unfold_to_more_than_the_bound_together():
    many = [packed((BLOB, bytes([n]) * 90_000)) for n in range(5)]
    with offering(TIP_ID, pack(*HONEST, *many)) as peer:
        assert refusal(peer)[0] == "git_too_large"


def delta(base: int, result: int, *steps: bytes) -> bytes:
    return plain_number(base) + plain_number(result) + b"".join(steps)


def test_a_small_delta_with_a_huge_result_is_refused_before_it_is_applied():
    copies = b"\xf0\0\0\xff" * 8  # each copies 16 MB of the base
    base = packed((BLOB, b"a" * 1_000))
    difference = delta(1_000, 100_001, copies)
    for kind, extra in (
        (OFS_DELTA, bytes([len(base)])),
        (REF_DELTA, bytes.fromhex(id_of(BLOB, b"a" * 1_000).decode())),
    ):
        with offering(TIP_ID, pack(base, packed((kind, difference), extra=extra))) as peer:
            assert refusal(peer)[0] == "git_blob_too_large"


def test_a_delta_that_lies_about_its_result_is_broken():
    base = packed((BLOB, b"a" * 1_000))
    difference = delta(1_000, 10, b"\xf0\xe8\x03\0" * 50)
    with offering(TIP_ID, pack(base, packed((OFS_DELTA, difference), extra=bytes([len(base)])))) as peer:
        assert refusal(peer)[0] == "git_broken"


def test_a_delta_without_a_base_or_on_itself_is_broken():
    for kind, extra in ((OFS_DELTA, b"\0"), (OFS_DELTA, b"\x7f"), (REF_DELTA, b"\1" * 20)):
        with offering(TIP_ID, pack(*HONEST, packed((kind, delta(1, 1, b"\1a")), extra=extra))) as peer:
            assert refusal(peer)[0] == "git_broken"


@pytest.mark.parametrize("octets", [b"\xb0" + b"\x80" * 100_000, b"\xe0" + b"\x80" * 30, b"\x60" + b"\x80" * 100_000])
def test_a_number_that_does_not_end_is_not_read_to_its_end(octets):
    with offering(TIP_ID, pack(octets)) as peer:
        assert refusal(peer) == ("git_broken", "The repository's data is broken: a number in it does not end.")


@given(st.binary(max_size=200))
def test_no_pack_makes_more_trouble_than_a_line(data):
    broken = b"PACK\0\0\0\2\0\0\0\3" + data
    with Watch(60) as watch:
        try:
            check_pack(broken, SMALL, watch)
        except (Invalid, zlib.error, AssertionError, ValueError, IndexError):
            return
    assert len(data) >= 3, "three objects have been read"


@given(st.integers(0, 2**60), st.sampled_from([COMMIT, TREE, BLOB]), st.binary(max_size=9))
def test_sizes_are_read_as_they_are_written(size, kind, before):
    head = read_head(before + number(kind, size) + b"x", len(before))
    assert (head.kind, head.size, head.is_delta) == (kind, size, False)
    assert result_size([plain_number(7), plain_number(size)]) == size


# --- the commit -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        b"..",
        b".",
        b"",
        b"../out",
        b"a/../../out",
        b"/tmp/out",
        b"a/b",
        b".git",
        b".GIT",
        b".gIt ",
        b".git.",
        b"git~1",
        b"GIT~1",
        b".git::$INDEX_ALLOCATION",
        ".g\u200cit".encode(),
        "\ufeff.git".encode(),
        b"x\\.git",
    ],
)
@pytest.mark.parametrize("mode", [FILE, FOLDER, LINK])
def test_a_path_that_leads_elsewhere_is_refused(name, mode):
    inner = tree((FILE, b"config", WORDS_ID))
    root = tree((mode, name, id_of(*inner) if mode == FOLDER else WORDS_ID))
    with offering_tree(root, inner, WORDS) as peer:
        assert refusal(peer)[0] in {"git_unsafe_path", "git_broken"}


@pytest.mark.parametrize("name", [b"x" * 300, b"a\nb", b"\x1b[2J", b"\xff\xfe", "ä".encode()])
def test_a_strange_name_is_written_or_said_in_one_line(name):
    with offering_tree(tree((FILE, name, WORDS_ID)), WORDS) as peer:
        if len(name) > 255:
            assert refusal(peer)[0] == "git_unwritable"
        else:
            with fetched(peer.url, sources=listed(peer.port), bounds=SMALL) as clone:
                assert [path.name for path in clone.check_out().iterdir()].count(os.fsdecode(name)) == 1


@pytest.mark.parametrize("mode", [FILE, LINK, FOLDER])
def test_a_path_that_stands_twice_is_refused(mode):
    """A file behind a link of the same name is how a checkout is led outside."""
    target = (BLOB, b"..")
    inner = tree((FILE, b"out", WORDS_ID))
    twice = id_of(*inner) if mode == FOLDER else id_of(*target) if mode == LINK else WORDS_ID
    for first, second in (
        ((LINK, b"a", id_of(*target)), (mode, b"a", twice)),
        ((mode, b"a", twice), (FILE, b"a", WORDS_ID)),
    ):
        with offering_tree(tree(first, second), inner, target, WORDS) as peer:
            assert refusal(peer)[0] in {"git_unsafe_path", "git_unsafe_link"}


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (b"a", b"/etc/passwd"),
        (b"a", b".."),
        (b"a", b"../../secret"),
        (b"a", b"b/../../secret"),
        (b"f/a", b"../../secret"),
        (b"f/a", b"./../.././../secret"),
        (b"a", b".git/config"),
        (b"f/a", b"../.git"),
        (b"f/a", b"../.GIT/hooks"),
        (b"a", b"x\0y"),
        (b"a", b""),
        (b"a", b"x" * 5_000),
    ],
)
def test_a_link_that_leads_out_is_refused(path, target):
    *folder, name = path.split(b"/")
    link = (BLOB, target)
    inner = tree((LINK, name, id_of(*link)))
    root = tree((FOLDER, folder[0], id_of(*inner))) if folder else inner
    with offering_tree(root, inner, link) as peer:
        assert refusal(peer)[0] == "git_unsafe_link"


def test_a_way_up_behind_a_link_is_not_counted_on():
    """`down` leads to the top, so `down/..` would be outside although the letters say otherwise."""
    down, out = (BLOB, b"../.."), (BLOB, b"down/../secret")
    deep = tree((LINK, b"down", id_of(*down)), (LINK, b"out", id_of(*out)))
    middle = tree((FOLDER, b"y", id_of(*deep)))
    with offering_tree(tree((FOLDER, b"x", id_of(*middle))), middle, deep, down, out) as peer:
        assert refusal(peer)[0] == "git_unsafe_link"


STEPS = st.lists(st.sampled_from([b"..", b".", b"", b"a", b"b", b"c"]), min_size=1, max_size=5).map(b"/".join)
FOLDERS = ("", "a/", "b/", "a/b/", "a/b/c/")


@given(st.dictionaries(st.tuples(st.sampled_from(FOLDERS), st.sampled_from("abc")), STEPS, max_size=8))
def test_whatever_links_stay_inside_lead_nowhere_else_together(links):
    with tempfile.TemporaryDirectory() as name:
        top = Path(name) / "outer" / "top"
        for folder in FOLDERS:
            (top / folder).mkdir(parents=True, exist_ok=True)
        for (folder, own), target in links.items():
            path = f"{folder}l{own}"
            used = target.replace(b"a", b"la") if own == "a" else target  # some lead through other links
            if stays_inside(path.encode(), used):
                (top / path).symlink_to(used.decode())
        for place, folders, names in os.walk(top):
            for one in (*folders, *names):
                try:
                    led = (Path(place) / one).resolve(strict=True)
                except (OSError, RuntimeError):
                    continue  # it leads to nothing, or round and round
                assert led.is_relative_to(top.resolve())


def test_a_tree_that_holds_itself_many_times_is_counted():
    """Ten folders in each of ten levels are ten thousand million places made of eleven objects."""
    layers = [tree((FILE, b"f", WORDS_ID))]
    for _ in range(7):
        layers.append(tree(*((FOLDER, b"%d" % n, id_of(*layers[-1])) for n in range(10))))
    with offering_tree(layers[-1], *layers[:-1], WORDS) as peer:
        assert refusal(peer)[0] == "git_too_many_files"
    bare = [tree()]
    for _ in range(7):
        bare.append(tree(*((FOLDER, b"%d" % n, id_of(*bare[-1])) for n in range(10))))
    with offering_tree(bare[-1], *bare[:-1]) as peer:
        assert refusal(peer)[0] == "git_too_many_files", "folders without a file in them count as well"


def test_folders_may_not_be_deeper_than_the_bound():
    layers = [tree((FILE, b"f", WORDS_ID))]
    for _ in range(9):
        layers.append(tree((FOLDER, b"d", id_of(*layers[-1]))))
    with offering_tree(layers[-1], *layers[:-1], WORDS) as peer:
        assert refusal(peer)[0] == "git_too_deep"


def test_one_file_in_many_places_counts_each_time():
    large = (BLOB, b"x" * 90_000)
    root = tree(*((FILE, b"%d" % n, id_of(*large)) for n in range(4)))
    with offering_tree(root, large) as peer:
        code, said = refusal(peer)
    assert (code, "300,000 bytes" in said) == ("git_too_large", True)


def test_a_submodule_is_another_repository_and_nothing_of_it_is_looked_for():
    root = tree((FILE, b".gitmodules", WORDS_ID), (MODULE, b"inner", b"1" * 40))
    with offering_tree(root, WORDS) as peer:
        with fetched(peer.url, sources=listed(peer.port), bounds=SMALL) as clone:
            assert sorted(path.name for path in clone.check_out().iterdir()) == [".git", ".gitmodules"]
        assert len(peer.asked) == 2


@pytest.mark.parametrize("mode", [0o060000, 0o010000, 0o140000, 0o020666, 0])
def test_what_is_neither_file_nor_folder_is_refused(mode):
    with offering_tree(tree((mode, b"a", WORDS_ID)), WORDS) as peer:
        assert refusal(peer)[0] == "git_broken"


def test_a_mode_gives_no_more_than_execution():
    root = tree((0o104777, b"suid", WORDS_ID), (0o100666, b"wide", WORDS_ID), (PROGRAM, b"run", WORDS_ID))
    with offering_tree(root, WORDS) as peer, fetched(peer.url, sources=listed(peer.port), bounds=SMALL) as clone:
        top = clone.check_out()
        modes = {path.name: path.stat().st_mode & 0o7777 for path in top.iterdir() if path.is_file()}
    assert all(mode & 0o7022 == 0 for mode in modes.values())
    assert (modes["wide"] & 0o111, modes["run"] & 0o100) == (0, 0o100)


@pytest.mark.parametrize(
    "items",
    [
        (TIP, PLAIN),
        (TIP, WORDS),
        (PLAIN, WORDS),
        (TIP, (TREE, PLAIN[1][:-3]), WORDS),
        (commit(WORDS_ID), WORDS),
        (commit(b"0" * 40), WORDS),
        ((COMMIT, b"nonsense"),),
        ((BLOB, b"no commit"),),
        (tree((FOLDER, b"a", WORDS_ID)), WORDS),
    ],
)
def test_a_commit_of_which_something_is_missing_or_wrong_is_refused(items):
    tip = items[0] if items[0] is not PLAIN else TIP
    with offering(id_of(*tip), pack_of(*items)) as peer:
        assert refusal(peer)[0] in {"git_incomplete", "git_broken"}
