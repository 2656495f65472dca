"""Every route and method of the API, as every role, on one's own team's thing and on another team's.

`RULES` is the whole truth in one place: a route that is not in it fails. Each rule has two lines of statuses, for the
thing at home (`ledger`) and abroad (`rival`), in the order of `WHO`. Somebody who may not see a thing gets 404 whatever
they ask; 403 is for who sees it and may not do that.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import URLPattern, get_resolver

from kernel import clock
from tests.apis.documents import ORDERS
from tests.apps.blueprints import estate
from tests.rest.cases import ABROAD_SEES, ALL_SEE, HOME_SEES, WHO, Case, says, slug_of, uid_of, version_of
from tests.rest.conftest import Things, World
from tests.rest.context_rules import CONTEXT

pytestmark = pytest.mark.django_db


def delegation_body(things: Things, world: World) -> dict[str, Any]:
    return {
        "agent": things.agent.slug,
        "team": things.team.slug,
        "tool_groups": [things.group.slug],
        "not_after": (clock.now() + timedelta(hours=1)).isoformat(),
        "sensitivity_ceiling": "public",
    }


def agent_body(things: Things, world: World) -> dict[str, Any]:
    return {"slug": "new-bot", "name": "New", "home": things.team.slug, "sponsor": things.agent.sponsor.handle}


def server_body(things: Things, world: World) -> dict[str, Any]:
    return {"owner": things.team.slug, "slug": "new-api", "name": "New", "url": "http://127.0.0.1:9/mcp"}


def api_body(things: Things, world: World) -> dict[str, Any]:
    return {
        "owner": things.team.slug,
        "slug": "new-orders",
        "name": "New",
        "url": "http://127.0.0.1:9/api",
        "document": ORDERS,
    }


def document_tag(things: Things) -> dict[str, str]:
    return {"If_Match": f'"{things.api.document.version}.x"'}


def group_body(things: Things, world: World) -> dict[str, Any]:
    return {"owner": things.team.slug, "slug": "new-group", "name": "New", "tools": [str(things.tool.uid)]}


def approval(things: Things, world: World) -> dict[str, Any]:
    return {"seen_pin": things.tool.seen_pin, "effect": "read", "sensitivity": "public"}


def domain_of(things: Things) -> dict[str, Any]:
    return {"slug": things.team.slug, "domain": "payments" if things.team.slug == "ledger" else "north"}


def member_of(things: Things) -> dict[str, Any]:
    return {"slug": things.team.slug, "handle": "stranger", "role": "member"}


def step_of(things: Things) -> dict[str, Any]:
    return {"uid": str(things.onboarding.uid), "key": "people"}


def person_of(things: Things) -> dict[str, Any]:
    return {"handle": things.agent.sponsor.handle}


def layer_body(things: Things, world: World) -> dict[str, Any]:
    return {"document": {**things.layer.document, "checks": []}}


def repository_of(things: Things) -> dict[str, str]:
    return {"team": things.team.slug, "slug": things.repository.slug}


def repository_body(things: Things, world: World) -> dict[str, Any]:
    return {"team": things.team.slug, "slug": "new-app", "name": "New", "url": "http://127.0.0.1:9/new"}


def credential_tag(things: Things) -> dict[str, str]:
    return {"If_Match": f'"{things.server.credential.uid}.x"'}


def repository_tag(things: Things) -> dict[str, str]:
    return {"If_Match": f'"{things.repository.credential.uid}.x"'}


def blueprint_of(things: Things) -> dict[str, str]:
    return {"name": things.blueprint.name, "namespace": things.blueprint.namespace}


def proposed_of(things: Things) -> dict[str, str]:
    return {**blueprint_of(things), "semver": things.proposed.semver}


def fork_of(things: Things) -> dict[str, str]:
    return {"name": things.fork.name, "team": things.team.slug}


def next_text(things: Things, world: World) -> dict[str, Any]:
    later = estate.next_of(things.blueprint, "2.0.0", lambda it: estate.node(it, "plan").update(minutes=18))
    return {"text": estate.as_text(later)}


def proposal(things: Things, world: World) -> dict[str, Any]:
    return {**next_text(things, world), "note": "Less time."}


def fork_body(things: Things, world: World) -> dict[str, Any]:
    return {"blueprint": things.blueprint.ref, "team": things.team.slug, "name": "another"}


def only_turns(things: Things, world: World) -> dict[str, Any]:
    return {"operations": [estate.set_turns("implement", 30)]}


def event_of(things: Things) -> dict[str, str]:
    from audit.models import Event

    return {"uid": str(Event.objects.filter(scope=things.team.pk).latest("id").uid)}


def stream_of(things: Things) -> dict[str, str]:
    return {"name": things.team.slug}


# fmt: off
RULES: dict[str, Case] = {
    **CONTEXT,
    "GET openapi.json": Case("200 200 200 200 200 200 200 200", "200 200 200 200 200 200 200 200"),
    "GET me": Case(ALL_SEE, ALL_SEE),
    "GET me/keys": Case(ALL_SEE, ALL_SEE),
    "POST me/keys": Case("201 201 201 201 201 201 201 401", "201 201 201 201 201 201 201 401", body=says(name="ci")),
    "DELETE me/keys/<uuid:uid>": Case(
        "404 404 404 204 404 404 404 401", "404 404 404 404 404 204 404 401", uid_of("key")),

    "GET tenants": Case(ALL_SEE, ALL_SEE),
    "POST tenants": Case(
        "201 403 403 403 403 403 403 401", "201 403 403 403 403 403 403 401",
        body=says(tier="team", slug="new-team", name="New")),
    "GET tenants/<slug:slug>": Case(HOME_SEES, ABROAD_SEES, slug_of("team")),
    "PATCH tenants/<slug:slug>": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401",
        slug_of("team"), says(name="Renamed"), version_of("team")),
    "PUT tenants/<slug:slug>/domains/<slug:domain>": Case(
        "204 204 403 403 403 404 404 401", "204 404 404 404 404 403 404 401", domain_of),
    "DELETE tenants/<slug:slug>/domains/<slug:domain>": Case(
        "204 204 403 403 403 404 404 401", "204 404 404 404 404 403 404 401", domain_of),
    "GET tenants/<slug:slug>/harness": Case(HOME_SEES, ABROAD_SEES, slug_of("team")),
    "GET tenants/<slug:slug>/harness/layer": Case(HOME_SEES, ABROAD_SEES, slug_of("team")),
    "PUT tenants/<slug:slug>/harness/layer": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401",
        slug_of("team"), layer_body, version_of("layer")),
    "POST tenants/<slug:slug>/harness/preview": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401", slug_of("team"), layer_body),
    "GET tenants/<slug:slug>/members": Case(HOME_SEES, ABROAD_SEES, slug_of("team")),
    "PUT tenants/<slug:slug>/members/<slug:handle>/<slug:role>": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401", member_of),
    "DELETE tenants/<slug:slug>/members/<slug:handle>/<slug:role>": Case(
        "204 403 204 403 403 404 404 401", "204 404 404 404 404 204 404 401", Things.keeper_role),

    "GET tenants/<slug:slug>/sign-in-groups": Case(HOME_SEES, ABROAD_SEES, slug_of("team")),
    "POST tenants/<slug:slug>/sign-in-groups": Case(
        "201 403 201 403 403 404 404 401", "201 404 404 404 404 201 404 401",
        slug_of("team"), says(group="night-crew", role="reviewer")),
    "GET tenants/<slug:slug>/sign-in-groups/<uuid:uid>": Case(HOME_SEES, ABROAD_SEES, Things.rule),
    "DELETE tenants/<slug:slug>/sign-in-groups/<uuid:uid>": Case(
        "204 403 204 403 403 404 404 401", "204 404 404 404 404 204 404 401", Things.rule),

    "GET onboardings": Case(ALL_SEE, ALL_SEE),
    "POST onboardings": Case(
        "201 201 403 403 403 403 403 401", "201 201 403 403 403 403 403 401", body=says(name="New team")),
    "GET onboardings/<uuid:uid>": Case(HOME_SEES, ABROAD_SEES, uid_of("onboarding")),
    # The team stands already, so nobody is named and nothing is proposed any more.
    "POST onboardings/<uuid:uid>/hand": Case(
        "409 403 403 403 403 404 404 401", "409 404 404 404 404 403 404 401",
        uid_of("onboarding"), says(person="stranger"), version_of("onboarding")),
    "POST onboardings/<uuid:uid>/propose": Case(
        "409 403 409 409 403 404 404 401", "409 404 404 404 404 409 404 401", uid_of("onboarding")),
    "POST onboardings/<uuid:uid>/close": Case(
        "200 403 200 200 403 404 404 401", "200 404 404 404 404 200 404 401",
        uid_of("onboarding"), says(reason="Done."), version_of("onboarding")),
    # No server is active, so there is no call to make.
    "POST onboardings/<uuid:uid>/call": Case(
        "409 403 409 409 403 404 404 401", "409 404 404 404 404 409 404 401", uid_of("onboarding")),
    "GET onboardings/<uuid:uid>/steps/<slug:key>": Case(HOME_SEES, ABROAD_SEES, step_of),
    "PATCH onboardings/<uuid:uid>/steps/<slug:key>": Case(
        "200 403 200 200 403 404 404 401", "200 404 404 404 404 200 404 401",
        step_of, says(answers={"people": ""}), lambda things: {"If_Match": '"0.x"'}),
    "GET onboardings/<uuid:uid>/steps/<slug:key>/plan": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401", step_of),
    "POST onboardings/<uuid:uid>/steps/<slug:key>/commit": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401",
        step_of, says(), lambda things: {"If_Match": '"0.x"'}),

    "GET people": Case(ALL_SEE, ALL_SEE),
    "POST people": Case(
        "201 403 403 403 403 403 403 401", "201 403 403 403 403 403 403 401",
        body=says(email="new@example.test", name="New", handle="new-one")),
    "GET people/<slug:handle>": Case(HOME_SEES, ABROAD_SEES, person_of),
    "PATCH people/<slug:handle>": Case(
        "200 403 403 403 403 404 404 401", "200 404 404 404 404 403 404 401",
        person_of, says(is_active=False), lambda things: {"If_Match": '"1.x"'}),

    "GET agents": Case(ALL_SEE, ALL_SEE),
    "POST agents": Case(
        "201 403 201 403 403 422 422 401", "201 422 422 422 422 201 422 401", body=agent_body),
    "GET agents/<slug:slug>": Case(HOME_SEES, ABROAD_SEES, slug_of("agent")),
    "PATCH agents/<slug:slug>": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401",
        slug_of("agent"), says(purpose="other"), version_of("agent")),
    "POST agents/<slug:slug>/suspend": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401",
        slug_of("agent"), says(reason="odd"), version_of("agent")),
    "POST agents/<slug:slug>/resume": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401",
        slug_of("agent"), headers=version_of("agent")),

    "GET delegations": Case(ALL_SEE, ALL_SEE),
    "POST delegations": Case(
        "403 403 201 201 403 422 422 401", "403 422 422 422 422 201 422 401", body=delegation_body),
    "GET delegations/<uuid:uid>": Case(HOME_SEES, ABROAD_SEES, uid_of("delegation")),
    "PATCH delegations/<uuid:uid>": Case(
        "200 403 200 200 403 404 404 401", "200 404 404 404 404 200 404 401",
        uid_of("delegation"), says(effect_ceiling="read"), version_of("delegation")),
    "POST delegations/<uuid:uid>/revoke": Case(
        "200 403 200 200 403 404 404 401", "200 404 404 404 404 200 404 401",
        uid_of("delegation"), says(reason="done"), version_of("delegation")),
    "POST delegations/<uuid:uid>/tokens": Case(
        "403 403 403 201 403 404 404 401", "403 404 404 404 404 201 404 401", uid_of("delegation"), says(minutes=5)),

    "GET servers": Case(ALL_SEE, ALL_SEE),
    "POST servers": Case(
        "201 403 201 201 403 422 422 401", "201 422 422 422 422 201 422 401", body=server_body),
    "GET servers/<slug:slug>": Case(HOME_SEES, ABROAD_SEES, slug_of("server")),
    "PATCH servers/<slug:slug>": Case(
        "200 403 200 200 403 404 404 401", "200 404 404 404 404 200 404 401",
        slug_of("server"), says(summary="other"), version_of("server")),
    "POST servers/<slug:slug>/probe": Case(
        "202 403 202 202 403 404 404 401", "202 404 404 404 404 202 404 401", slug_of("server")),
    "POST servers/<slug:slug>/activate": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401",
        slug_of("server"), headers=version_of("server")),
    "POST servers/<slug:slug>/quarantine": Case(
        "200 403 200 200 403 404 404 401", "200 404 404 404 404 200 404 401",
        slug_of("server"), says(reason="odd"), version_of("server")),
    "POST servers/<slug:slug>/retire": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401",
        slug_of("server"), says(reason="old"), version_of("server")),
    "GET servers/<slug:slug>/tools": Case(HOME_SEES, ABROAD_SEES, slug_of("server")),
    "GET servers/<slug:slug>/probes": Case(HOME_SEES, ABROAD_SEES, slug_of("server")),
    "GET servers/<slug:slug>/changes": Case(HOME_SEES, ABROAD_SEES, slug_of("server")),
    "GET servers/<slug:slug>/callers": Case(HOME_SEES, ABROAD_SEES, slug_of("server")),
    "GET servers/<slug:slug>/contract": Case(HOME_SEES, ABROAD_SEES, slug_of("server")),
    "GET servers/<slug:slug>/credential": Case(HOME_SEES, ABROAD_SEES, slug_of("server")),
    "PUT servers/<slug:slug>/credential": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401",
        slug_of("server"), says(kind="bearer", value="another"), credential_tag),
    "DELETE servers/<slug:slug>/credential": Case(
        "204 403 204 403 403 404 404 401", "204 404 404 404 404 204 404 401",
        slug_of("server"), headers=credential_tag),

    "POST apis": Case(
        "201 403 201 201 403 422 422 401", "201 422 422 422 422 201 422 401", body=api_body),
    "GET servers/<slug:slug>/document": Case(HOME_SEES, ABROAD_SEES, slug_of("api")),
    "PUT servers/<slug:slug>/document": Case(
        "200 403 200 200 403 404 404 401", "200 404 404 404 404 200 404 401",
        slug_of("api"), says(document=ORDERS, tags=["orders"]), document_tag),
    "POST servers/<slug:slug>/document/preview": Case(
        HOME_SEES, ABROAD_SEES, slug_of("api"), says(operations=["GET /orders"])),

    "GET tools": Case(ALL_SEE, ALL_SEE),
    "GET tools/<uuid:uid>": Case(HOME_SEES, ABROAD_SEES, uid_of("tool")),
    "POST tools/<uuid:uid>/approve": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401",
        uid_of("tool"), approval, version_of("tool")),
    "POST tools/<uuid:uid>/reject": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401",
        uid_of("tool"), says(reason="odd"), version_of("tool")),
    "POST tools/<uuid:uid>/classify": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401",
        uid_of("tool"), says(effect="read", sensitivity="public"), version_of("tool")),

    "GET groups": Case(ALL_SEE, ALL_SEE),
    "POST groups": Case(
        "201 403 201 403 403 422 422 401", "201 422 422 422 422 201 422 401", body=group_body),
    "GET groups/<slug:slug>": Case(HOME_SEES, ABROAD_SEES, slug_of("group")),
    "PATCH groups/<slug:slug>": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401",
        slug_of("group"), says(tools=[]), version_of("group")),

    "GET repositories": Case(ALL_SEE, ALL_SEE),
    "POST repositories": Case(
        "201 403 201 201 403 422 422 401", "201 422 422 422 422 201 422 401", body=repository_body),
    "GET repositories/<slug:team>/<slug:slug>": Case(HOME_SEES, ABROAD_SEES, repository_of),
    "PATCH repositories/<slug:team>/<slug:slug>": Case(
        "200 403 200 200 403 404 404 401", "200 404 404 404 404 200 404 401",
        repository_of, says(name="Other"), version_of("repository")),
    "DELETE repositories/<slug:team>/<slug:slug>": Case(
        "204 403 204 403 403 404 404 401", "204 404 404 404 404 204 404 401",
        repository_of, headers=version_of("repository")),
    "POST repositories/<slug:team>/<slug:slug>/measure": Case(
        "202 403 202 202 403 404 404 401", "202 404 404 404 404 202 404 401", repository_of),
    "POST repositories/<slug:team>/<slug:slug>/lower": Case(
        "200 403 200 200 403 404 404 401", "200 404 404 404 404 200 404 401",
        repository_of, says(reason="odd"), version_of("repository")),
    "GET repositories/<slug:team>/<slug:slug>/credential": Case(HOME_SEES, ABROAD_SEES, repository_of),
    "PUT repositories/<slug:team>/<slug:slug>/credential": Case(
        "200 403 200 200 403 404 404 401", "200 404 404 404 404 200 404 401",
        repository_of, says(secret="another-swordfish"), repository_tag),
    "DELETE repositories/<slug:team>/<slug:slug>/credential": Case(
        "204 403 204 204 403 404 404 401", "204 404 404 404 404 204 404 401", repository_of, headers=repository_tag),
    "GET repositories/<slug:team>/<slug:slug>/record": Case(HOME_SEES, ABROAD_SEES, repository_of),
    "GET repositories/<slug:team>/<slug:slug>/changes": Case(HOME_SEES, ABROAD_SEES, repository_of),
    "GET repositories/<slug:team>/<slug:slug>/requests": Case(HOME_SEES, ABROAD_SEES, repository_of),
    # There is an open one already: who may ask hears 409.
    "POST repositories/<slug:team>/<slug:slug>/requests": Case(
        "409 403 409 409 403 404 404 401", "409 404 404 404 404 409 404 401", repository_of, says(reason="A pilot.")),
    "GET pattern-requests": Case(ALL_SEE, ALL_SEE),
    "GET pattern-requests/<uuid:uid>": Case(HOME_SEES, ABROAD_SEES, uid_of("pattern_request")),
    "POST pattern-requests/<uuid:uid>/approve": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401",
        uid_of("pattern_request"), says(reason="Looked at it."), version_of("pattern_request")),
    "POST pattern-requests/<uuid:uid>/decline": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401",
        uid_of("pattern_request"), says(reason="Not yet."), version_of("pattern_request")),
    "GET blueprints": Case(ALL_SEE, ALL_SEE),
    "POST blueprints/lint": Case(ALL_SEE, ALL_SEE, body=says(text="blueprint: 1")),
    "GET blueprints/<namespace:namespace>/<slug:name>": Case(HOME_SEES, ABROAD_SEES, blueprint_of),
    "POST blueprints/<namespace:namespace>/<slug:name>/deprecate": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401",
        blueprint_of, says(reason="old"), version_of("blueprint")),
    # It is not deprecated: who may restore it hears 409.
    "POST blueprints/<namespace:namespace>/<slug:name>/restore": Case(
        "409 403 409 403 403 404 404 401", "409 404 404 404 404 409 404 401",
        blueprint_of, headers=version_of("blueprint")),
    "GET blueprints/<namespace:namespace>/<slug:name>/forks": Case(HOME_SEES, ABROAD_SEES, blueprint_of),
    "GET blueprints/<namespace:namespace>/<slug:name>/families": Case(HOME_SEES, ABROAD_SEES, blueprint_of),
    "GET blueprints/<namespace:namespace>/<slug:name>/changes": Case(HOME_SEES, ABROAD_SEES, blueprint_of),
    "POST blueprints/<namespace:namespace>/<slug:name>/preview": Case(
        HOME_SEES, ABROAD_SEES, blueprint_of, next_text),
    "GET blueprints/<namespace:namespace>/<slug:name>/versions": Case(HOME_SEES, ABROAD_SEES, blueprint_of),
    "POST blueprints/<namespace:namespace>/<slug:name>/versions": Case(
        "201 403 201 201 403 404 404 401", "201 404 404 404 404 201 404 401", blueprint_of, proposal),
    "GET blueprints/<namespace:namespace>/<slug:name>/versions/<semver:semver>": Case(
        HOME_SEES, ABROAD_SEES, proposed_of),
    "GET blueprints/<namespace:namespace>/<slug:name>/versions/<semver:semver>/diff": Case(
        HOME_SEES, ABROAD_SEES, proposed_of),
    "POST blueprints/<namespace:namespace>/<slug:name>/versions/<semver:semver>/publish": Case(
        "200 403 200 403 200 404 404 401", "200 404 404 404 404 200 404 401",
        proposed_of, says(reason="good"), version_of("proposed")),
    "POST blueprints/<namespace:namespace>/<slug:name>/versions/<semver:semver>/reject": Case(
        "200 403 200 403 200 404 404 401", "200 404 404 404 404 200 404 401",
        proposed_of, says(reason="odd"), version_of("proposed")),
    "POST blueprints/<namespace:namespace>/<slug:name>/versions/<semver:semver>/withdraw": Case(
        "200 403 200 403 403 404 404 401", "200 404 404 404 404 200 404 401",
        proposed_of, headers=version_of("proposed")),

    "GET forks": Case(ALL_SEE, ALL_SEE),
    "POST forks": Case(
        "201 403 201 201 403 422 422 401", "201 422 422 422 422 201 422 401", body=fork_body),
    "GET forks/<slug:team>/<slug:name>": Case(HOME_SEES, ABROAD_SEES, fork_of),
    "PATCH forks/<slug:team>/<slug:name>": Case(
        "200 403 200 200 403 404 404 401", "200 404 404 404 404 200 404 401",
        fork_of, only_turns, version_of("fork")),
    "GET forks/<slug:team>/<slug:name>/difference": Case(HOME_SEES, ABROAD_SEES, fork_of),
    "POST forks/<slug:team>/<slug:name>/rebase": Case(
        "200 403 200 200 403 404 404 401", "200 404 404 404 404 200 404 401",
        fork_of, says(choices={}), version_of("fork")),
    # It changes a prompt: who may configure it hears 409.
    "POST forks/<slug:team>/<slug:name>/configure": Case(
        "409 403 409 409 403 404 404 401", "409 404 404 404 404 409 404 401", fork_of, headers=version_of("fork")),
    "POST forks/<slug:team>/<slug:name>/retire": Case(
        "200 403 200 200 403 404 404 401", "200 404 404 404 404 200 404 401",
        fork_of, says(reason="old"), version_of("fork")),
    "GET forks/<slug:team>/<slug:name>/requests": Case(HOME_SEES, ABROAD_SEES, fork_of),
    "POST forks/<slug:team>/<slug:name>/requests": Case(
        "201 403 201 201 403 404 404 401", "201 404 404 404 404 201 404 401",
        fork_of, says(targets=["/nodes/implement/max_turns"], title="Another")),
    "GET forks/<slug:team>/<slug:name>/changes": Case(HOME_SEES, ABROAD_SEES, fork_of),

    "GET change-requests": Case(ALL_SEE, ALL_SEE),
    "GET change-requests/<uuid:uid>": Case(HOME_SEES, ABROAD_SEES, uid_of("request")),
    "GET change-requests/<uuid:uid>/preview": Case(HOME_SEES, ABROAD_SEES, uid_of("request")),
    # Abroad the lead of the team has opened it, and nobody decides on their own.
    "POST change-requests/<uuid:uid>/accept": Case(
        "200 403 200 403 200 404 404 401", "200 404 404 404 404 403 404 401",
        uid_of("request"), says(part="patch"), version_of("request")),
    "POST change-requests/<uuid:uid>/decline": Case(
        "200 403 200 403 200 404 404 401", "200 404 404 404 404 200 404 401",
        uid_of("request"), says(reason="odd"), version_of("request")),
    "POST change-requests/<uuid:uid>/withdraw": Case(
        "403 403 403 200 403 404 404 401", "403 404 404 404 404 200 404 401",
        uid_of("request"), headers=version_of("request")),

    "GET audit/events": Case(ALL_SEE, ALL_SEE),
    "GET audit/events/<uuid:uid>": Case(HOME_SEES, ABROAD_SEES, event_of),
    # Not sequenced yet: who sees the record hears 409.
    "GET audit/events/<uuid:uid>/proof": Case(
        "409 409 409 409 409 404 404 401", "409 404 404 404 404 409 404 401", event_of),
    "GET audit/streams": Case(ALL_SEE, ALL_SEE),
    "GET audit/streams/<slug:name>/verify": Case(HOME_SEES, ABROAD_SEES, stream_of),
    r"GET ^[\s\S]*$": Case("404 404 404 404 404 404 404 404", "404 404 404 404 404 404 404 404"),
}
# fmt: on


def enumerate_routes() -> list[str]:
    """Returns every method and route of the API as the URL resolver has them."""
    api = next(entry for entry in get_resolver().url_patterns if str(entry.pattern) == "api/v1/")
    found = []
    for entry in api.url_patterns:
        assert isinstance(entry, URLPattern)
        methods = getattr(entry.callback, "actions", None) or {"get": "get"}
        found += [f"{method.upper()} {entry.pattern}" for method in methods if method != "head"]
    return found


def filled(route: str, names: dict[str, str]) -> str:
    path = route.replace(r"^[\s\S]*$", "no/such/address")
    for name, value in names.items():
        for kind in ("slug", "uuid", "namespace", "semver"):
            path = path.replace(f"<{kind}:{name}>", value)
    assert "<" not in path, route
    return path


@pytest.fixture(scope="module")
def wraps():
    return True


def test_every_route_has_a_rule_and_every_rule_a_route():
    assert sorted(RULES) == sorted(enumerate_routes())


@pytest.mark.parametrize("rule", RULES)
def test_each_role_gets_what_the_rule_says(world, call, undone, rule, audit_key, probes):
    case = RULES[rule]
    method, route = rule.split(" ", 1)
    answers = {}
    for where, things, line in (("own", world.own, case.own), ("other", world.other, case.other)):
        wanted = dict(zip(WHO, map(int, line.split()), strict=True))
        path, body, headers = (
            filled(route, case.names(things)) + case.query,
            case.body(things, world),
            case.headers(things),
        )
        for who in WHO:
            with undone():
                answer = call(who, method, path, body, **headers)
            if answer.status_code != wanted[who]:
                answers[where, who] = (answer.status_code, wanted[who], answer.content[:300])
    assert answers == {}


@pytest.mark.parametrize("rule", [rule for rule, case in RULES.items() if "404" in case.other and "<" in rule])
def test_what_is_another_teams_looks_like_what_is_not_there(world, call, undone, rule, audit_key, probes):
    case = RULES[rule]
    method, route = rule.split(" ", 1)
    who = WHO[case.other.split().index("404")]
    names, body, headers = case.names(world.other), case.body(world.other, world), case.headers(world.other)
    absent = {name: "01890000-0000-7000-8000-000000000000" if name == "uid" else "nowhere" for name in list(names)[:1]}
    with undone():
        foreign = call(who, method, filled(route, names) + case.query, body, **headers)
    with undone():
        missing = call(who, method, filled(route, {**names, **absent}) + case.query, body, **headers)
    assert (foreign.status_code, foreign.content) == (missing.status_code, missing.content)
    assert foreign.status_code == 404
