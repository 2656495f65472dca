"""The rules of the role sweeps for context: see `tests.rest.test_sweep`."""

from typing import Any

from tests.rest.cases import ABROAD_SEES, ALL_SEE, HOME_SEES, Case, says
from tests.rest.conftest import Things, World

BECAUSE = "?reason=old"


def source_of(things: Things) -> dict[str, str]:
    return {"owner": things.team.slug, "slug": things.context.source.slug}


def source_body(things: Things, world: World) -> dict[str, Any]:
    return {"owner": things.team.slug, "slug": "new-source", "name": "New"}


def document_of(things: Things) -> dict[str, str]:
    return {"uid": str(things.context.document.uid)}


def private_of(things: Things) -> dict[str, str]:
    return {"owner": things.team.slug, "slug": things.context.private.slug}


def private_tag(things: Things) -> dict[str, str]:
    return {"If_Match": f'"{things.context.private.credential.uid}.x"'}


def import_of(things: Things) -> dict[str, str]:
    return {"uid": str(things.context.reading.uid)}


def memory_of(things: Things) -> dict[str, str]:
    return {"uid": str(things.context.memory.uid)}


def version_of(kind: str) -> Any:
    return lambda things: {"If_Match": f'"{getattr(things.context, kind).version}.x"'}


# fmt: off
#                            admin stwrd lead  membr revwr outsd strgr nobody
WORKERS_DO = "200 403 200 200 403 404 404 401"
CONTEXT: dict[str, Case] = {
    "GET context/search": Case(ALL_SEE, ALL_SEE, query="?q=queue"),
    "GET context/coverage": Case(ALL_SEE, ALL_SEE),
    "GET context/coverage/<slug:slug>": Case(HOME_SEES, ABROAD_SEES, lambda things: {"slug": things.team.slug}),

    "GET context/sources": Case(ALL_SEE, ALL_SEE),
    "POST context/sources": Case(
        "201 403 201 201 403 422 422 401", "201 422 422 422 422 201 422 401", body=source_body),
    "GET context/sources/<slug:owner>/<slug:slug>": Case(HOME_SEES, ABROAD_SEES, source_of),
    "PATCH context/sources/<slug:owner>/<slug:slug>": Case(
        WORKERS_DO, "200 404 404 404 404 200 404 401", source_of, says(name="Other"), version_of("source")),
    "DELETE context/sources/<slug:owner>/<slug:slug>": Case(
        "204 403 204 403 403 404 404 401", "204 404 404 404 404 204 404 401",
        source_of, headers=version_of("source"), query=BECAUSE),
    "GET context/sources/<slug:owner>/<slug:slug>/credential": Case(HOME_SEES, ABROAD_SEES, private_of),
    "PUT context/sources/<slug:owner>/<slug:slug>/credential": Case(
        WORKERS_DO, "200 404 404 404 404 200 404 401", private_of, says(secret="another-swordfish"), private_tag),
    "DELETE context/sources/<slug:owner>/<slug:slug>/credential": Case(
        "204 403 204 204 403 404 404 401", "204 404 404 404 404 204 404 401", private_of, headers=private_tag),
    "GET context/sources/<slug:owner>/<slug:slug>/documents": Case(HOME_SEES, ABROAD_SEES, source_of),
    "GET context/sources/<slug:owner>/<slug:slug>/imports": Case(HOME_SEES, ABROAD_SEES, source_of),
    "POST context/sources/<slug:owner>/<slug:slug>/imports": Case(
        "201 403 201 201 403 404 404 401", "201 404 404 404 404 201 404 401",
        source_of, says(documents=[{"path": "a.md", "text": "# A\n\nIt is new.\n"}])),

    "GET context/documents": Case(ALL_SEE, ALL_SEE),
    "GET context/documents/<uuid:uid>": Case(HOME_SEES, ABROAD_SEES, document_of),
    "GET context/documents/<uuid:uid>/chunks": Case(HOME_SEES, ABROAD_SEES, document_of),
    "DELETE context/documents/<uuid:uid>": Case(
        "204 403 204 204 403 404 404 401", "204 404 404 404 404 204 404 401", document_of, query=BECAUSE),

    "GET context/imports": Case(ALL_SEE, ALL_SEE),
    "GET context/imports/<uuid:uid>": Case(HOME_SEES, ABROAD_SEES, import_of),
    "GET context/imports/<uuid:uid>/items": Case(HOME_SEES, ABROAD_SEES, import_of),
    "POST context/imports/<uuid:uid>/pause": Case(
        WORKERS_DO, "200 404 404 404 404 200 404 401", import_of, headers=version_of("reading")),
    # It is neither paused nor has anything of it failed: who may hears 409.
    "POST context/imports/<uuid:uid>/resume": Case(
        "409 403 409 409 403 404 404 401", "409 404 404 404 404 409 404 401",
        import_of, headers=version_of("reading")),
    "POST context/imports/<uuid:uid>/retry": Case(
        "409 403 409 409 403 404 404 401", "409 404 404 404 404 409 404 401",
        import_of, headers=version_of("reading")),
    "POST context/imports/<uuid:uid>/cancel": Case(
        WORKERS_DO, "200 404 404 404 404 200 404 401", import_of, headers=version_of("reading")),

    "GET context/memories": Case(ALL_SEE, ALL_SEE),
    "GET context/memories/<uuid:uid>": Case(HOME_SEES, ABROAD_SEES, memory_of),
    "POST context/memories/<uuid:uid>/accept": Case(
        "200 403 200 403 200 404 404 401", "200 404 404 404 404 200 404 401",
        memory_of, says(), version_of("memory")),
    "POST context/memories/<uuid:uid>/reject": Case(
        "200 403 200 403 200 404 404 401", "200 404 404 404 404 200 404 401",
        memory_of, says(reason="wrong"), version_of("memory")),
    "DELETE context/memories/<uuid:uid>": Case(
        "204 403 204 403 403 404 404 401", "204 404 404 404 404 204 404 401",
        memory_of, headers=version_of("memory"), query=BECAUSE),

    "GET context/gaps": Case(ALL_SEE, ALL_SEE),
    "POST context/gaps/forget": Case(
        "200 403 200 403 403 422 422 401", "200 422 422 422 422 200 422 401",
        body=lambda things, world: {"owner": things.team.slug}),
    "DELETE context/gaps/<uuid:uid>": Case(
        "204 403 204 204 403 404 404 401", "204 404 404 404 404 204 404 401",
        lambda things: {"uid": str(things.context.gap.uid)}),
}
# fmt: on
