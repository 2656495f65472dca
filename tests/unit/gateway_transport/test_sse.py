from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.egress import TooLarge
from gateway.sse import EventParser

STREAM = (
    b"\xef\xbb\xbf: comment\r\n\r\ndata: one\n\nevent: message\rid: 7\rdata:two\rdata:  lines\r\rretry: 5\n\n"
    b'data\n\ndata: {"a":\r\ndata: 1}\r\n\r\ndata: not finished'
)
EVENTS = [b"one", b"two\n lines", b"", b'{"a":\n1}']


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_are_the_same_however_the_stream_is_cut(cuts):
    parser = EventParser(1000)
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(edges)]
    assert [event for piece in pieces for event in parser.feed(piece)] == EVENTS


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 200, b"data: xxxxxxxxxx\n" * 20, b"x" * 200])
def test_an_event_has_a_limit(stream):
    parser = EventParser(100)
    with pytest.raises(TooLarge):
        [parser.feed(stream[position : position + 1]) for position in range(len(stream))]


def test_many_small_events_pass_a_small_limit():
    parser = EventParser(20)
    assert sum(len(parser.feed(b"data: abc\n\n")) for _ in range(1000)) == 1000
