"""A library to test with: the platform's and a domain's blueprints, published through the services."""

import copy

import yaml

from blueprints.models import Blueprint, Version
from blueprints.services.forking import fork_blueprint
from blueprints.services.publishing import propose_version, publish_version
from tenants.principals import SYSTEM
from tests.unit.blueprints.samples import sample


def as_text(document):
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def document_of(owner, name="implement-ticket-brownfield", version="1.0.0"):
    """Returns a shipped blueprint under another owner and number."""
    document = sample(name)
    namespace = "platform" if owner.tier == "platform" else f"{owner.tier}.{owner.slug}"
    document["document"] |= {"namespace": namespace, "owner": owner.slug, "version": version}
    return document


def publish(owner, document, *, by=SYSTEM, note="First version.") -> Version:
    """Returns the version of a document, proposed by one and published by another."""
    proposed = propose_version(actor=by, owner=owner, text=as_text(document), note=note)
    return publish_version(actor=SYSTEM, version=proposed)


def next_of(blueprint: Blueprint, version: str, change):
    """Returns the head's document under a new number after `change` has worked on it."""
    document = copy.deepcopy(blueprint.head.document)
    document["document"]["version"] = version
    change(document)
    return document


def node(document, name):
    return next(node for node in document["nodes"] if node["id"] == name)


def set_turns(name, turns, reason="Ours is larger."):
    """Returns the operation that sets how many turns an agent node has."""
    return {"op": "set_field", "path": f"/nodes/{name}/max_turns", "value": turns, "reason": reason}


def prompt(name, text, reason="Our conventions differ."):
    """Returns the operation that replaces a prompt."""
    return {"op": "replace_prompt", "node": name, "prompt": text, "reason": reason}


def make_fork(cast, version, *operations, name="our-ticket"):
    """Returns a fork of the lead's team."""
    return fork_blueprint(actor=cast.lead, version=version, team=cast.team, name=name, operations=operations)
