"""The official SDK's client asks the context server through the gateway, as an agent does."""

import pytest
from mcp.shared.exceptions import MCPError

from gateway.wire import INVALID_PARAMS
from tenants.rules import Sensitivity


def test_an_answer_names_its_source_and_a_second_team_sees_nothing_of_it(house):
    answer = house.search("ledger", "rota escalate")
    hit = answer["hits"][0]
    assert "kept by Ines" in hit["text"]
    assert (hit["tier"], hit["owner"], hit["source"], hit["path"]) == ("team", "ledger", "runbooks", "oncall.md")
    assert (hit["line"], hit["commit"], hit["heading"]) == (3, "c0ffee", ["On call"])
    theirs = house.search("rival", "rota escalate")
    assert theirs["hits"] == []
    assert "Nothing was found" in theirs["note"]


def test_three_tools_are_offered_once_for_all_tiers(house):
    listed = house.with_client("ledger", lambda client: client.list_tools())
    assert [tool.name for tool in listed.tools] == ["context.read", "context.remember", "context.search"]


@pytest.mark.parametrize("mode", ["2026-07-28", "auto", "legacy"])
def test_each_revision_gets_the_same_structured_answer(house, mode):
    async def work(client):
        return await client.call_tool("context.search", {"query": "rota escalate"})

    result = house.with_client("ledger", work, mode=mode)
    assert result.structured_content["hits"][0]["path"] == "oncall.md"


def test_a_server_of_one_tenant_is_asked_at_its_own_address(house):
    answer = house.search("ledger", "freezes deployments", path="ledger/context-ledger")
    assert {hit["owner"] for hit in answer["hits"]} == {"ledger"}
    answer = house.search("ledger", "payments reconciled", path="ledger/context-payments")
    assert [hit["path"] for hit in answer["hits"]] == ["psd.md"]
    listed = house.with_client("ledger", lambda client: client.list_tools(), path="ledger/context-payments")
    assert [tool.name for tool in listed.tools] == ["context.read", "context.search"]


def test_where_tiers_contradict_each_other_the_nearer_counts_and_the_other_stays_visible(house):
    answer = house.search("ledger", "freeze windows deployments")
    ledger, platform = (
        next(hit for hit in answer["hits"] if hit["owner"] == owner) for owner in ("ledger", "platform")
    )
    assert ledger["rank"] < platform["rank"]
    assert platform["overruled_by"] == ledger["uri"]
    assert "overruled_by" not in ledger
    # Other tests of this house plant documents that are alike, too.
    (conflict,) = [one for one in answer["conflicts"] if one["subject"] == "Freeze windows"]
    assert (conflict["winner_tier"], conflict["loser_tier"]) == ("team", "platform")


def test_tier_source_day_and_limit_narrow_a_search(house):
    assert {hit["tier"] for hit in house.search("ledger", "freezes deployments", tier="platform")["hits"]} == {
        "platform"
    }
    assert {hit["source"] for hit in house.search("ledger", "freezes ledger", source="runbooks")["hits"]} == {
        "runbooks"
    }
    assert house.search("ledger", "freezes deployments", since="2099-01-01")["hits"] == []
    assert house.search("ledger", "freezes deployments", source="nothing")["hits"] == []
    assert len(house.search("ledger", "freezes deployments", limit=1)["hits"]) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"query": ""},
        {"query": "x", "limit": 0},
        {"query": "x", "limit": 21},
        {"query": "x", "tier": "world"},
        {"query": "x", "since": "yesterday"},
        {"query": "x", "since": "2026-02-31"},
        {"query": "x", "owner": "rival"},
        {"query": "x" * 1001},
    ],
)
def test_bad_arguments_are_a_result_that_a_model_can_read(house, arguments):
    assert house.call("ledger", "context.search", **arguments).is_error


def test_a_section_and_the_whole_document_are_read_by_the_address_of_a_hit(house):
    hit = house.search("ledger", "freezes deployments", tier="team")["hits"][0]
    section = house.call("ledger", "context.read", uri=hit["uri"]).structured_content
    assert "Friday noon" in section["text"]
    assert (section["owner"], section["source"], section["path"]) == ("ledger", "runbooks", "deploy.md")
    whole = house.call("ledger", "context.read", uri=hit["uri"].partition("#")[0]).structured_content
    assert section["text"] in whole["text"]


def test_a_long_document_is_read_in_pieces_that_make_up_the_whole(house):
    hit = next(hit for hit in house.search("ledger", "manatee")["hits"] if hit["path"] == "long.md")
    uri, pieces, offset = hit["uri"].partition("#")[0], [], 0
    while offset is not None:
        piece = house.call("ledger", "context.read", uri=uri, offset=offset, limit=1000).structured_content
        assert len(piece["text"]) <= 1000
        pieces.append(piece["text"])
        offset = piece.get("next")
    whole = house.call("ledger", "context.read", uri=uri, limit=20_000).structured_content
    assert "".join(pieces) == whole["text"]
    assert len(whole["text"]) == whole["total"] > 5000


def test_another_team_s_address_reads_nothing(house):
    uri = house.search("ledger", "rota escalate")["hits"][0]["uri"]
    for address in (uri, uri.replace("ledger", "rival"), uri.partition("#")[0]):
        refused = house.call("rival", "context.read", uri=address)
        assert refused.is_error
        assert refused.content[0].text == "There is no such document, or you may not see it."
    assert house.call("ledger", "context.read", uri="context://ledger/../x").is_error


def test_what_is_above_the_ceiling_is_neither_found_nor_read(house):
    hits = house.search("ledger", "quokka statements")["hits"]
    assert hits[0]["sensitivity"] == "confidential"
    answer = house.search("low", "quokka statements")
    assert [hit for hit in answer["hits"] if hit["source"] == "incidents"] == []
    assert answer["searched"]["ceiling"] == Sensitivity.INTERNAL.name.lower()
    assert house.call("low", "context.read", uri=hits[0]["uri"]).is_error


def test_a_passage_that_talks_to_the_agent_is_marked(house):
    (hit,) = [hit for hit in house.search("ledger", "platypus")["hits"] if hit["path"] == "trap.md"]
    assert hit["marks"] == ["injection:override"]


def test_what_holds_a_secret_is_found_by_nobody(house):
    assert house.search("ledger", "narwhal")["hits"] == []


def test_each_call_is_in_the_log_with_both_identities_and_its_outcome(house, events):
    house.search("ledger", "rota escalate")
    intent, outcome = events()[-2:]
    assert (intent["kind"], outcome["kind"]) == ("intent", "outcome")
    assert intent["object"] == "context/context.search"
    assert outcome["result"] == "ok"
    assert (intent["person"], intent["agent"]) == (
        str(house.cast.member.uid),
        str(house.cast.agent.uid),
    )


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
def test_a_document_is_a_resource_under_the_rules_of_the_tool_that_reads_it(house, events, mode):
    uri = house.search("ledger", "rota escalate")["hits"][0]["uri"]

    async def work(client):
        return await client.list_resource_templates(), await client.list_resources(), await client.read_resource(uri)

    templates, listed, read = house.with_client("ledger", work, mode=mode)
    assert [template.uri_template for template in templates.resource_templates] == ["context://{+address}"]
    assert listed.resources == []
    assert "kept by Ines" in read.contents[0].text
    assert read.contents[0].meta["hanse/provenance"]["path"] == "oncall.md"
    assert [event["object"] for event in events()][-2:] == ["context/context.read"] * 2


@pytest.mark.parametrize("who", ["rival", "elsewhere"])
@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
def test_a_resource_that_may_not_be_shown_is_an_error_and_on_record(house, events, who, mode):
    uri = house.search("ledger", "rota escalate")["hits"][0]["uri"]

    async def work(client):
        for address in (uri, "context://x", "file:///etc/passwd", "books://x"):
            with pytest.raises(MCPError) as caught:
                await client.read_resource(address)
            assert caught.value.code == INVALID_PARAMS
            assert "Ines" not in str(caught.value)
        return await client.list_resource_templates()

    templates = house.with_client(who, work, mode=mode).resource_templates
    assert len(templates) == (1 if who == "rival" else 0)
    assert len({event["call"] for event in events()}) == 5
