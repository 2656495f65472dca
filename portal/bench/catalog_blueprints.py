"""Every list of blueprints and forks at the size that we claim, and what a new version of a much-forked one costs."""

import json
import time
from collections.abc import Iterator
from typing import Final

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import Resolver404, resolve

from blueprints.compiling import compile_blueprint
from blueprints.forks.diff import compare
from blueprints.forks.keyed import same
from blueprints.forks.operations import apply
from blueprints.models import Fork, Version
from blueprints.queries.forks import fork_by_ref, forks
from blueprints.queries.library import blueprints, version_by_ref
from blueprints.services.publishing import propose_version, publish_version
from blueprints.versions import digest_of
from portal.bench import machine
from portal.bench.crowd import ADMIN, MEMBER, Size, make_crowd
from portal.bench.figures import Figure, Report
from portal.bench.installation import connect, installed, server_version
from portal.bench.looking import Seen, figures_of, look, ready_to_serve
from portal.bench.workflows import Amount, make_workflows
from tenants.principals import SYSTEM
from tenants.scope import ALL, tenant_scope

PAGES: Final = {"library": "/blueprints/", "forks": "/forks/"}
"""Pages by name: those that there are not are said in the notes."""

SMALL: Final = Amount(blueprints=80, forks=200, popular=40)
_CHECKED: Final = 60


def measure(*, quick: bool = False) -> Report:
    """Returns the worst figures over all lists, and those of a publication. Raises when a row is not what it must be."""
    amount, teams, repeats = (SMALL, 4, 2) if quick else (Amount(), 60, 20)
    with installed() as config:
        ready_to_serve(config)
        make_crowd(config, Size(teams=teams, servers=0, people=5, agents=0, delegations=0, events=0))
        make_workflows(config, amount)
        connect(config, "app")  # from here on grants and row level security hold, as for the portal
        with tenant_scope(ALL):
            _check_rows()
            addresses, absent = [*_lists(), *_pages()], sorted(set(PAGES.values()) - set(_pages()))
        seen = [one for who in (MEMBER, ADMIN) for one in look(who, addresses, repeats)]
        published = list(_publish(amount))
        described = machine.describe(config.data, postgresql=server_version(config))
    figures = [*figures_of(seen), *published]
    return Report(bench="catalog-blueprints", machine=described, figures=figures, notes=_notes(amount, seen, absent))


def _lists() -> Iterator[str]:
    """Addresses of REST; those of one thing are of the most-forked blueprint and of the member's team."""
    popular, fork = _popular(), forks(SYSTEM).filter(owner__slug="team-0", drift__gt=0).earliest("pk")
    blueprint, own = f"/api/v1/blueprints/{popular}", f"/api/v1/forks/team-0/{fork.name}"
    yield from (
        f"/api/v1/blueprints{query}" for query in ("", "?q=upgrade-7", "?sort=-changed&limit=200", "?tag=ticket")
    )
    yield from (f"/api/v1/blueprints{query}" for query in ("?owner=team-0", "?pattern=dark-factory&status=active"))
    yield from (blueprint, f"{blueprint}/versions", f"{blueprint}/changes", f"{blueprint}/families")
    yield from (f"{blueprint}/forks", f"{blueprint}/forks?sort=conflicts&limit=200", f"{blueprint}/versions/1.1.0/diff")
    yield from (f"/api/v1/forks{query}" for query in ("", "?behind=true&sort=conflicts", "?q=fork-77", "?team=team-0"))
    yield from (f"/api/v1/forks{query}" for query in (f"?blueprint={popular}", "?sort=-changed&limit=200"))
    yield from (own, f"{own}/difference", f"{own}/changes", f"{own}/requests")
    yield from ("/api/v1/change-requests", "/api/v1/change-requests?status=open&sort=title&limit=200")


def _popular() -> str:
    return blueprints(SYSTEM).filter(owner__tier="platform").earliest("pk").ref


def _pages() -> list[str]:
    return [address for address in PAGES.values() if _is_there(address)]


def _is_there(address: str) -> bool:
    try:
        resolve(address)
    except Resolver404:
        return False
    return True


def _check_rows() -> None:
    """Raises when a sample of what was written is not what the services would have stored."""
    step = max(1, forks(SYSTEM).count() // _CHECKED)
    names = list(forks(SYSTEM).order_by("pk").values_list("owner__slug", "name"))[::step]
    wrong = [name for team, name in names if not _is_true(fork_by_ref(SYSTEM, team, name))]
    refs = [row.ref for row in blueprints(SYSTEM).order_by("pk")[:: max(1, step // 4)]]
    wrong += [ref for ref in refs if not _is_written(version_by_ref(SYSTEM, ref))]
    if wrong or len(names) < _CHECKED:
        raise RuntimeError(f"rows are not what services would have stored: {wrong[:5]}, {len(names)} checked")


def _is_true(fork: Fork) -> bool:
    head = fork.blueprint.head or fork.base
    difference = compare(fork.base.document, head.document, fork.document)
    header = {"blueprint": 1, "document": fork.document["document"]}
    return (
        (difference.behind, difference.drift, len(difference.conflicts)) == (fork.behind, fork.drift, fork.conflicts)
        and same(apply(fork.base.document, fork.operations, header=header), fork.document)
        and fork.digest == digest_of(fork.document)
        and fork.measured_id == head.pk
    )


def _is_written(version: Version) -> bool:
    return version.digest == digest_of(version.document) and version.lock == compile_blueprint(version.document)


def _publish(amount: Amount) -> Iterator[Figure]:
    """Publishes a next version of the most-forked blueprint, as a reviewer would, and checks what it has done."""
    with tenant_scope(ALL):
        ref = _popular()
        head = version_by_ref(SYSTEM, ref)
        header = {**head.document["document"], "version": "2.0.0"}
        document = {**head.document, "document": header, "goal": {**head.document["goal"], "statement": "Another."}}
        proposed = propose_version(actor=SYSTEM, owner=head.owner, text=json.dumps(document), note="Measured.")
        with CaptureQueriesContext(connection) as captured:
            began = time.perf_counter()
            publish_version(actor=SYSTEM, version=proposed)
            taken = time.perf_counter() - began
        count = forks(SYSTEM).filter(blueprint=head.blueprint, measured__semver="2.0.0", behind__gt=0).count()
    if count < amount.popular:
        raise RuntimeError(f"{count} forks were measured instead of {amount.popular}")
    yield Figure(name="publishing, forks measured", value=count, unit="", digits=0)
    yield Figure(name="publishing, all of it", value=taken, unit="s")
    yield Figure(name="publishing, for each fork", value=taken * 1000 / count, unit="ms")
    yield Figure(name="publishing, statements", value=len(captured), unit="", digits=0)


def _notes(amount: Amount, seen: list[Seen], absent: list[str]) -> list[str]:
    said = (
        f"{amount.blueprints:,} blueprints, {amount.forks:,} forks, {amount.popular:,} of them of one blueprint; "
        f"{len(seen) // 2} addresses x 2 people; statements without those that only begin and end transactions"
    )
    return [said, *(f"NOT MEASURED: there is no page at {address}" for address in absent)]
