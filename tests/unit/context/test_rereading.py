"""Reading the best hits again: words as they are written, added to what a hit was found by."""

from dataclasses import dataclass
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from registry.context.rereading import SHARE, reread, scores
from registry.context.scoring import Bm25


@dataclass(frozen=True)
class Hit:
    text: str
    score: float
    document: UUID
    heading: tuple[str, ...]


def hit(text, score=1.0, document=0, heading=()):
    return Hit(text, score, UUID(int=document), heading)


WORDS = st.lists(st.sampled_from(["key", "keys", "the", "rotated", "aws/vpc", "Größe"]), min_size=1, max_size=12).map(
    " ".join
)
HITS = st.lists(st.builds(hit, WORDS, st.floats(0, 100), st.integers(0, 4), st.tuples(WORDS)), max_size=8)


def test_of_hits_that_were_found_alike_the_words_as_written_decide():
    hits = [hit("we deploy it", document=1), hit("deploying is slow", document=2)]
    assert [found.text for _score, found in reread("deploying", hits)] == ["deploying is slow", "we deploy it"]


def test_what_was_found_by_much_more_stays_first():
    hits = [hit("we deploy it", 10.0, 1), hit("deploying is slow", 1.0, 2)]
    assert [found.text for _score, found in reread("deploying", hits)] == ["we deploy it", "deploying is slow"]


def test_the_chunks_of_a_document_speak_for_each_other():
    hits = [hit("nothing of it", document=1), hit("keys are rotated", document=2), hit("nothing of it", document=2)]
    first, second, third = scores("rotated keys", hits)
    assert first < second == third


def test_a_name_is_read_in_its_parts():
    hits = [hit("all of aws", document=1), hit("module aws/network/vpc", document=2)]
    assert reread("aws network vpc", hits)[0][1].document == UUID(int=2)


@given(WORDS, HITS)
def test_nothing_is_lost_and_each_score_is_within_its_bounds(question, hits):
    found = reread(question, hits)
    assert sorted(map(repr, (row for _score, row in found))) == sorted(map(repr, hits))
    assert all(0 <= score <= 1 + SHARE + 1e-9 for score, _row in found)
    assert [score for score, _row in found] == sorted((score for score, _row in found), reverse=True)


@given(WORDS, st.lists(WORDS, min_size=1, max_size=6))
def test_whole_documents_found_alike_come_in_the_order_of_plain_bm25(question, texts):
    hits = [hit(text, document=number) for number, text in enumerate(texts)]
    words = " ".join(dict.fromkeys(question.split()))
    words = " ".join(dict.fromkeys(words.replace("/", " ").lower().split()))
    slow = Bm25(texts)
    expected = {place: slow._score(place, words) for place in range(len(texts))}
    most = max(expected.values()) or 1.0
    for place, score in enumerate(scores(words, hits)):
        assert abs(score - 1 - SHARE * expected[place] / most) < 1e-9


def test_hits_without_a_score_or_a_word_are_no_fault():
    assert reread("?!", [hit("", 0.0)]) == [(0.0, hit("", 0.0))]
    assert reread("keys", []) == []
