"""A delegation names what is there: a name that is free would be authority for whoever takes it later."""

from datetime import timedelta

import pytest

from kernel import clock

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("slug", ["not-there-yet", "rival"])
def test_a_group_out_of_reach_is_not_delegated(call, world, slug):
    name = world.other.group.slug if slug == "rival" else slug
    body = {
        "agent": world.own.agent.slug,
        "team": world.own.team.slug,
        "tool_groups": [world.own.group.slug, name],
        "not_after": (clock.now() + timedelta(hours=1)).isoformat(),
    }
    answer = call("lead", "POST", "delegations", body)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"pointer": "/tool_groups", "detail": f"Not in reach: {name}."}]
    body["tool_groups"] = [world.own.group.slug]
    assert call("lead", "POST", "delegations", body).status_code == 201
