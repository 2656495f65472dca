"""No query of one team's agent brings a word of another team's documents, through the gateway and every door of it.

Each team has documents of its own about the same things, in the same words, and in each document a canary: a word that
stands nowhere else. A foreign canary in an answer is a leak. That the own ones are found shows that the test could fail.
"""

import json
import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

from tests.gateway.wire_client import Client
from tests.internal.house import bring

QUERIES = 1_500
"""For each of the two teams."""
AT_ONCE = 5
_SUBJECTS = [
    "deploy",
    "rollback",
    "queue",
    "ledger",
    "invoice",
    "key",
    "rotation",
    "incident",
    "backup",
    "restore",
    "quota",
    "cache",
]
_CANARY = re.compile(r"canary(?P<team>[a-z]+?)(?P<kind>secret|open)[a-z]{6}")


def canary(chance, team, kind):
    return f"canary{team}{kind}{''.join(chance.choices('bcdfghjklm', k=6))}"


@pytest.fixture(scope="module")
def planted(house):
    """Returns the canaries by owner; both teams, their domains and the platform write of the same subjects."""
    chance = random.Random(20261125)
    found = {}
    with house.rows():
        cast = house.cast
        for owner in (cast.team, cast.rival, cast.domain, cast.other_domain, cast.platform):
            texts = {}
            for subject in _SUBJECTS:
                word = canary(chance, owner.slug, "open")
                found.setdefault(owner.slug, set()).add(word)
                texts[subject] = (
                    f"# The {subject}\n\n## Steps\n\nBefore the {subject} the {word} is switched off by Ines.\n"
                )
            bring(cast, owner, "planted", **texts)
    return found


def queries(chance, own, foreign):
    """Yields questions of many kinds: words, phrases, names of others' canaries, operators, nonsense."""
    while True:
        subject, other = chance.choice(_SUBJECTS), chance.choice(_SUBJECTS)
        yield chance.choice(
            [
                f"how do I {subject} before the {other}",
                f'"the {subject}" steps',
                f"{subject} -{other}",
                chance.choice(foreign),
                f"{subject} {chance.choice(foreign)[:-3]}",
                chance.choice(own),
                f"switched off by Ines {subject}",
                f"rival ledger payments north {subject}",
                "canary",
                f"{subject}') OR true --",
                f"steps {chr(chance.randrange(0x21, 0x2FF))} {subject}",
            ]
        )


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("team", ["ledger", "rival"])
def test_no_query_of_one_team_brings_a_word_of_another(house, planted, team):
    near = {"ledger": {"ledger", "payments", "platform"}, "rival": {"rival", "north", "platform"}}[team]
    own = sorted(word for owner in near for word in planted[owner])
    foreign = sorted(word for owner in planted.keys() - near for word in planted[owner])
    # Not the SDK's client, which would take as long as everything behind it.
    client = Client(house.url, f"/mcp/{team}", house.token(house.delegations[team]))

    def ask(number) -> Counter[str]:
        chance, seen = random.Random(f"{team} {number}"), Counter()
        for query in islice(queries(chance, own, foreign), QUERIES // AT_ONCE):
            arguments = {"query": query, "limit": chance.choice([1, 5, 20])}
            if chance.random() < 0.2:
                arguments |= chance.choice([{"tier": "team"}, {"tier": "domain"}, {"source": "planted"}])
            result = client.call("context.search", arguments).result
            assert not result.get("isError"), (arguments, result)
            seen.update(match[0] for match in _CANARY.finditer(json.dumps(result)))
            seen["queries"] += 1
            assert {hit["owner"] for hit in result["structuredContent"]["hits"]} <= near, arguments
        return seen

    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = sum(pool.map(ask, range(AT_ONCE)), Counter())
    assert seen["queries"] == QUERIES
    assert seen.keys() & set(foreign) == set()
    # The reverse: nearly every canary of its own reach was found, so a foreign one would have been, too.
    assert len(seen.keys() & set(own)) > 0.9 * len(own)


def test_the_other_team_s_addresses_read_nothing(house, planted):
    addresses = [hit["uri"] for hit in house.search("rival", "planted steps Ines", tier="team", limit=20)["hits"]]
    assert len(addresses) > 5

    async def work(client):
        for address in addresses:
            for uri in (address, address.partition("#")[0], address.replace("//rival", "//ledger")):
                result = await client.call_tool("context.read", {"uri": uri})
                assert result.is_error
                assert "canary" not in result.content[0].text

    house.with_client("ledger", work)
