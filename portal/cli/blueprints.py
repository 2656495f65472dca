"""Blueprints from the command line: files become versions, versions become files again. Acts as the installation."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml
from django.db import transaction
from rest_framework.serializers import Serializer
from rest_framework.utils.encoders import JSONEncoder

from blueprints.format.reading import MAX_BYTES
from blueprints.models import Fork, Version
from blueprints.queries.forks import fork_by_ref
from blueprints.queries.library import names_blueprint, version_by_ref
from blueprints.services.forking import fork_blueprint
from blueprints.services.publishing import propose_version, publish_version
from portal.rest.blueprint_fields import VersionDetail
from portal.rest.resources.forks import ForkDetail
from tenants.principals import SYSTEM
from tenants.queries import tenant_by_slug
from tenants.scope import ALL, tenant_scope

_FIRST: Final = ("op", "id", "kind", "path", "node", "key", "prompt", "value", "item", "after")
_LAST: Final = "reason"


@contextmanager
def everything() -> Iterator[None]:
    """Lets what is inside see and change everything, or nothing when it fails."""
    with transaction.atomic(), tenant_scope(ALL):
        yield


def publish_text(text: str, *, owner: str, note: str) -> Version:
    """Returns the version that a text became. The installation proposes and publishes, so nobody reviews it."""
    proposed = propose_version(actor=SYSTEM, owner=tenant_by_slug(SYSTEM, owner), text=text, note=note)
    return publish_version(actor=SYSTEM, version=proposed)


def fork_version(ref: str, *, team: str, name: str, title: str) -> Fork:
    """Returns a new fork of a version, or of a head."""
    version, owner = version_by_ref(SYSTEM, ref), tenant_by_slug(SYSTEM, team)
    return fork_blueprint(actor=SYSTEM, version=version, team=owner, name=name, title=title)


def find(what: str) -> Version | Fork:
    """Returns the version of a reference, or else the fork of `TEAM/NAME`."""
    team, _, name = what.partition("/")
    return version_by_ref(SYSTEM, what) if names_blueprint(what) else fork_by_ref(SYSTEM, team, name)


def read_file(name: str) -> str:
    """Returns the text of a file. What is no UTF-8, or too long, is left for the reader of blueprints to refuse."""
    with Path(name).open("rb") as file:
        return file.read(MAX_BYTES + 1).decode("utf-8", "surrogateescape")


def as_json(row: Version | Fork) -> str:
    """Returns a version or fork as REST shows it."""
    kind: type[Serializer[Any]] = VersionDetail if isinstance(row, Version) else ForkDetail
    return json.dumps(kind(row, context={"principal": SYSTEM}).data, cls=JSONEncoder, indent=2, ensure_ascii=False)


def as_text(row: Version | Fork) -> str:
    """Returns YAML that `blueprint diff` and `compile` take: a version as it was written, a fork as an overlay."""
    if isinstance(row, Version):
        return f"# {row.ref} ({row.status}), {row.digest}\n{row.text}".rstrip("\n")
    numbers = f"behind {row.behind}, drift {row.drift}, conflicts {row.conflicts}"
    return f"# {row.ref} ({row.mode}, {row.status}): {numbers}\n{_overlay(row)}".rstrip("\n")


def _overlay(fork: Fork) -> str:
    names = ("namespace", "name", "version", "title", "summary", "owner", "license", "variant", "tags")
    header = fork.document["document"]
    overlay = {
        "overlay": 1,
        "document": {name: header[name] for name in names if name in header},
        "base": {"ref": fork.base.ref, "digest": fork.base.digest},
        "operations": [_ordered(operation) for operation in fork.operations],
    }
    return yaml.safe_dump(overlay, sort_keys=False, allow_unicode=True, width=110)


def _ordered(value: Any) -> Any:
    """The database does not keep the order of keys, and a reader wants to know first what is done to what."""
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if not isinstance(value, dict):
        return value
    known = [name for name in _FIRST if name in value]
    others = sorted(value.keys() - {*known, _LAST})
    return {name: _ordered(value[name]) for name in [*known, *others, *([_LAST] if _LAST in value else [])]}
