"""The library of the invented estate: what platform and domains publish, what teams made of it, and where they work."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from blueprints.classification.survey import classify
from blueprints.format.writing import write_blueprint
from blueprints.models import Fork, Version
from blueprints.queries.library import version_by_ref
from blueprints.queries.repositories import harness_of
from blueprints.services.baseline import load_layers
from blueprints.services.forking import configure_fork, fork_blueprint
from blueprints.services.measuring import record_measurement
from blueprints.services.publishing import propose_version, publish_version
from blueprints.services.repositories import register_repository
from blueprints.services.requests import open_request
from blueprints.services.shipping import publish_shipped
from kernel import clock
from portal.demo.repositories import REPOSITORIES, make_repositories
from portal.keyring import record_signer
from registry.addresses import AddressPolicy
from registry.git.fetching import Sources
from tenants.models import Person, Tenant
from tenants.principals import SYSTEM, Principal, principal_of

TICKET: Final = "platform/implement-ticket-brownfield"
UPGRADE: Final = "platform/dependency-upgrade"
GARDEN: Final = "platform/documentation-gardening"
Operation = Mapping[str, Any]

SMALLER_PLAN: Final = (
    "Read the ticket and the code that it touches. Name the one behaviour that changes, the test that will prove it,\n"
    "and every consumer of the basket's published interface that could notice. Do not edit anything yet. Call the risk\n"
    "high when the change touches authentication, payment, data migrations or a published interface.\n"
)


def load_library(tenants: Mapping[str, Tenant], people: Mapping[str, Person]) -> None:
    """Publishes the shipped library, forks it as teams would, and leaves something to decide for everybody."""
    who = {handle: principal_of(person) for handle, person in people.items()}
    load_layers(actor=SYSTEM, owners={name: tenants[name] for name in ("platform", "payments", "cloud")})
    publish_shipped(author=who["mara"], reviewer=who["otto"], owner=tenants["platform"])
    publish_shipped(author=who["selma"], reviewer=who["piet"], owner=tenants["payments"])
    checkout = _fork_tickets(tenants, who)
    _fork_others(tenants, who)
    _publish_next(who, tenants["platform"])
    open_request(
        actor=who["aisha"],
        fork=checkout,
        targets=["/nodes/plan/prompt"],
        title="Let the plan name every consumer of a published interface",
        note="In our last plans it named the mobile client that we had forgotten before.",
    )
    _propose_another(who, tenants["payments"])


def load_repositories(directory: Path, tenants: Mapping[str, Tenant], people: Mapping[str, Person]) -> None:
    """Makes three repositories, registers them for their teams, and measures them as the worker would."""
    places = make_repositories(directory)
    for plan in REPOSITORIES:
        repository = register_repository(
            actor=principal_of(people[plan.by]),
            team=tenants[plan.team],
            slug=plan.slug,
            name=plan.name,
            url=places[plan.slug].as_uri(),
            sources=Sources(AddressPolicy(()), (directory,)),
        )
        found = classify(places[plan.slug], now=clock.now(), harness=harness_of(repository.owner))
        record_measurement(repository, found, record_signer())


def _fork_tickets(tenants: Mapping[str, Tenant], who: Mapping[str, Principal]) -> Fork:
    fewer_turns = _set("/nodes/implement/max_turns", 40, "Whatever took more than 40 turns was an unclear ticket.")
    checkout = _fork(
        who["aisha"], TICKET, tenants["checkout"], "basket-ticket", "Implement a basket ticket",
        [fewer_turns, _prompt("plan", SMALLER_PLAN, "Four apps consume the basket; plans kept forgetting one.")],
    )  # fmt: skip
    _fork(who["tom"], TICKET, tenants["storefront"], "shop-ticket", "Implement a shop ticket", [fewer_turns])
    proof = {
        "op": "add_node",
        "item": {
            "id": "confirm_vault",
            "kind": "approve",
            "title": "A second person reads what touches the vault",
            "by": "team_lead",
            "expires_hours": 24,
            "question": "Does this leave card data where it is?",
        },
        "after": "verify_again",
        "reason": "The scheme's rules want a second person before anything leaves the sandbox.",
    }
    _fork(who["lena"], TICKET, tenants["card-vault"], "vault-ticket", "Implement a vault ticket", [proof])
    return checkout


def _fork_others(tenants: Mapping[str, Tenant], who: Mapping[str, Principal]) -> None:
    calm = _set("/budget/cost_cents", 400, "Upgrades are routine here; we would rather hear of an odd one.")
    fork = _fork(who["nadia"], UPGRADE, tenants["accounts"], "ledger-upgrade", "Upgrade the ledger's libraries", [calm])
    configure_fork(actor=who["nadia"], fork=fork)
    _fork(who["ingrid"], GARDEN, tenants["fleet"], "manuals", "Tend the manuals", [])


def _publish_next(who: Mapping[str, Principal], platform: Tenant) -> None:
    """The platform moves on, so that forks fall behind: one clashes, the others only follow."""

    def change(document: dict[str, Any]) -> None:
        nodes = {node["id"]: node for node in document["nodes"]}
        nodes["implement"]["max_turns"] = 45
        nodes["set_up"]["minutes"] = 25

    version = _next(who["mara"], platform, TICKET, "1.1.0", "Room for larger set-ups, fewer turns at a time.", change)
    publish_version(actor=who["otto"], version=version)


def _propose_another(who: Mapping[str, Principal], payments: Tenant) -> None:
    """One version is left open, for the reviewer of the domain."""

    def change(document: dict[str, Any]) -> None:
        document["document"]["summary"] += " Evidence is kept for two years."
        for node in document["nodes"]:
            if node["kind"] == "validate":
                node["minutes"] += 5
        document["budget"]["wall_minutes"] += 60

    note = "Says how long evidence is kept, and gives the search for card data more time."
    _next(who["selma"], payments, "domain.payments/pci-change", "1.0.1", note, change)


def _next(
    author: Principal, owner: Tenant, ref: str, number: str, note: str, change: Callable[[dict[str, Any]], None]
) -> Version:
    document = dict(version_by_ref(SYSTEM, ref).document)
    change(document)
    document["document"]["version"] = number
    return propose_version(actor=author, owner=owner, text=write_blueprint(document), note=note)


def _fork(actor: Principal, ref: str, team: Tenant, name: str, title: str, operations: list[Operation]) -> Fork:
    version = version_by_ref(SYSTEM, ref)
    return fork_blueprint(actor=actor, version=version, team=team, name=name, title=title, operations=operations)


def _set(path: str, value: object, reason: str) -> Operation:
    return {"op": "set_field", "path": path, "value": value, "reason": reason}


def _prompt(node: str, text: str, reason: str) -> Operation:
    return {"op": "replace_prompt", "node": node, "prompt": text, "reason": reason}
