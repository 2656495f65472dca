"""Which hits contradict each other, and whose word counts: for any hits."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from registry.context.precedence import conflicts, ordered
from tenants.rules import Tier

RANK = {"team": 0, "domain": 1, "platform": 2}
WORDS = st.lists(
    st.sampled_from(["deploys", "freeze", "on", "friday", "monday", "never", "always", "restart", "queue"]), max_size=8
)


@dataclass(frozen=True)
class Said:
    tier: str
    text: str
    heading: tuple[str, ...] = ()
    title: str = ""


HITS = st.lists(
    st.builds(
        Said,
        tier=st.sampled_from([tier.value for tier in Tier]),
        text=WORDS.map(" ".join),
        heading=st.sampled_from([(), ("Freeze",), ("2. freeze!",), ("Other",)]),
    ),
    max_size=8,
)


@given(HITS)
def test_no_hit_is_lost_and_none_stands_before_what_overrules_it(hits):
    found = conflicts(hits)
    order = ordered(list(range(len(hits))), found)
    assert sorted(order) == list(range(len(hits)))
    for conflict in found:
        assert order.index(conflict.winner) < order.index(conflict.loser)


@given(HITS)
def test_only_different_tiers_with_different_words_conflict_and_the_nearer_tier_wins(hits):
    for conflict in conflicts(hits):
        winner, loser = hits[conflict.winner], hits[conflict.loser]
        assert RANK[winner.tier] < RANK[loser.tier]
        assert winner.text != loser.text


@given(HITS)
def test_without_a_conflict_the_order_stays(hits):
    assert ordered(hits, []) == hits


@given(HITS, st.randoms())
def test_the_same_pairs_conflict_in_whatever_order_they_were_found(hits, chance):
    shuffled = list(range(len(hits)))
    chance.shuffle(shuffled)

    def pairs(order):
        return sorted((order[row.winner], order[row.loser]) for row in conflicts([hits[place] for place in order]))

    assert pairs(shuffled) == pairs(list(range(len(hits))))


def test_what_counts_as_the_same_thing():
    team = Said("team", "Freeze deployments from friday noon", ("Handbook", "3. Freeze windows"))
    platform = Said("platform", "Deployments freeze on saturday", ("Rules", "Freeze windows"))
    (found,) = conflicts([platform, team])
    assert (found.winner, found.loser, found.why) == (1, 0, "the same heading")
    inside = Said("team", "Ask Ines first.\n\nB / Freeze windows\nDeployments freeze from friday.", ("Handbook",))
    assert [row.subject for row in conflicts([platform, inside])] == ["Freeze windows"]
    copied = Said("domain", "Rotate each signing key every quarter of the year", ("A",))
    changed = Said("team", "Rotate each signing key every month of the year", ("B",))
    assert [row.why for row in conflicts([copied, changed])] == ["nearly the same words"]
    assert conflicts([copied, Said("team", "The canteen opens at noon", ("B",))]) == []
    assert conflicts([copied, Said("team", copied.text.upper(), ("A",))]) == []
    assert conflicts([Said("domain", "Yes, always", ("A",)), Said("domain", "No, always", ("A",))]) == []
