"""The API against its own description: schemathesis sends what the description allows and what it does not."""

from collections import Counter

import pytest
import schemathesis
from django.core import signals
from django.core.cache import cache
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from schemathesis import checks
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks as openapi_checks

from portal.rest.schema import openapi_document
from portal.wsgi import application

pytestmark = pytest.mark.django_db

EXAMPLES = 5
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]
OPERATIONS = 140


@pytest.fixture
def open_connection(db):
    """Real requests give their connection back at the end; here it is the test's."""
    for signal in (signals.request_started, signals.request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (signals.request_started, signals.request_finished):
        signal.connect(close_old_connections)


def names_of(world, path: str) -> dict[str, str]:
    """Returns names of things that are there, so that what the description allows is also done."""
    own, kind = world.own, path.split("/")[3]
    if kind == "context":
        return context_names_of(own.context, path)
    slugs = {
        "tenants": "ledger",
        "agents": "builder-bot",
        "servers": "ledger-api",
        "groups": "ledger-tools",
        "repositories": "ledger-app",
    }
    uids = {
        "delegations": own.delegation.uid,
        "tools": own.tool.uid,
        "pattern-requests": own.pattern_request.uid,
        "change-requests": own.request.uid,
    }
    names = {"blueprints": own.blueprint.name, "forks": own.fork.name, "audit": "ledger"}
    known = {"slug": slugs.get(kind), "uid": uids.get(kind), "name": names.get(kind), "handle": "member"}
    known |= {"role": "member", "domain": "payments", "team": "ledger"}
    known |= {"namespace": own.blueprint.namespace, "semver": own.proposed.semver}
    return {name: str(value) for name, value in known.items() if value and "{" + name + "}" in path}


def context_names_of(context, path: str) -> dict[str, str]:
    """Returns names of what the team has written down, as the address means them."""
    if "{owner}" in path:
        return {"owner": "ledger", "slug": context.source.slug}
    uids = {"documents": context.document, "imports": context.reading, "memories": context.memory, "gaps": context.gap}
    row = uids.get(path.split("/")[4])
    return {"slug": "ledger"} if "{slug}" in path else {"uid": str(row.uid)} if row and "{uid}" in path else {}


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
def test_the_api_does_what_its_description_says(world, as_role, undone, audit_key, probes, open_connection, mode):
    description = schemathesis.openapi.from_dict(openapi_document())
    description.app = application
    cookies = {"hanse": world.clients["admin"].cookies["hanse"].value}
    broken, tried, statuses = {}, 0, Counter[int]()

    def send(case) -> None:
        cache.clear()
        case.headers = {name: value for name, value in case.headers.items() if name.lower() != "authorization"}
        case.cookies = {}
        if mode is GenerationMode.POSITIVE:
            case.path_parameters = {**case.path_parameters, **names_of(world, case.operation.path)}
            case.headers = {**case.headers, **({"If-Match": "*"} if "If-Match" in case.headers else {})}
        csrf = {"X-CSRFToken": "a" * 32}
        with undone(), as_role("hanse_app"):
            answer = case.call(cookies={**cookies, "csrftoken": "a" * 32}, headers=csrf)
        statuses[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    for found in description.get_all_operations():
        operation = found.ok()
        told = hypothesis_settings(
            max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None
        )
        try:
            told(given(case=operation.as_strategy(generation_mode=mode))(send))()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told at the end
            broken[operation.label] = f"{error}"[:600]
        tried += 1
    assert broken == {}
    assert tried >= OPERATIONS
    assert statuses[401] == 0, "every request got past the door"
    done = sum(count for status, count in statuses.items() if status < 300)
    assert done >= (60 if mode is GenerationMode.POSITIVE else 1), statuses
    assert statuses.total() - done >= 20, statuses
