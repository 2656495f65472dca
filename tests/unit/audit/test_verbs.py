import pytest

from audit import verbs


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(verbs, "_labels", {"tools.call": "Called a tool"})
    monkeypatch.setattr(verbs, "_state", {"frozen": False})


def test_a_registered_verb_is_known_and_has_words():
    verbs.register("tenants", {"tenants.give_role": "Gave a role"})
    verbs.register("tenants", {"tenants.give_role": "Gave a role"})
    assert verbs.require("tenants.give_role") == "tenants.give_role"
    assert verbs.label("tenants.give_role") == "Gave a role"


def test_an_unknown_verb_raises_but_an_old_one_can_be_shown():
    with pytest.raises(LookupError):
        verbs.require("tenants.explode")
    assert verbs.label("tenants.explode") == "tenants.explode"


@pytest.mark.parametrize("verb", ["registry.add", "tenants", "tenants.Give", "tenants.give role", "tenants."])
def test_a_verb_outside_its_namespace_or_alphabet_is_refused(verb):
    with pytest.raises(ValueError, match="not a verb"):
        verbs.register("tenants", {verb: "x"})


def test_two_meanings_of_one_verb_are_refused():
    with pytest.raises(ValueError, match="twice"):
        verbs.register("tools", {"tools.call": "Something else"})


def test_after_first_use_the_registry_is_closed():
    verbs.require("tools.call")
    with pytest.raises(ValueError, match="too late"):
        verbs.register("tenants", {"tenants.give_role": "Gave a role"})
