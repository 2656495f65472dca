"""The official SDK's client asks the context server through the gateway, as an agent does."""


def test_an_answer_names_its_source_and_a_second_team_sees_nothing_of_it(house):
    answer = house.search("ledger", "who keeps the rota of the ledger")
    hit = answer["hits"][0]
    assert "kept by Ines" in hit["text"]
    assert (hit["tier"], hit["owner"], hit["source"], hit["path"], hit["line"], hit["commit"]) == (
        "team",
        "ledger",
        "runbooks",
        "oncall.md",
        3,
        "c0ffee",
    )
    assert not [hit for hit in house.search("rival", "who keeps the rota of the ledger")["hits"] if hit["owner"] == "ledger"]
