"""Repositories on this host that a team can register and have measured, by the very task that a worker runs."""

import json
from dataclasses import replace

from django.conf import settings
from django.test import override_settings

from blueprints.classification.survey import classify
from blueprints.models import Repository
from blueprints.services.measuring import record_measurement
from blueprints.services.repositories import register_repository
from blueprints.tasks import measure_repository
from kernel import clock
from portal.keyring import record_signer
from portal.sources import repository_sources
from tests.apps.classification.repositories import PYTHON, make_repository, report_of


def offered(root):
    """Returns a context manager: inside, the operator lists this directory for repositories."""
    return override_settings(HANSE=replace(settings.HANSE, repository_roots=(root,)))


def register(actor, team, place, **over):
    """Returns a repository of a team that is cloned from a directory."""
    facts = {"slug": place.name, "name": place.name.title(), "url": place.as_uri()}
    return register_repository(actor=actor, team=team, sources=repository_sources(), **(facts | over))


def measured(repository):
    """Returns the repository after a worker has measured it."""
    measure_repository(repository.pk)
    return refreshed(repository)


def refreshed(repository):
    return Repository.objects.select_related("owner").get(pk=repository.pk)


def proven(repository, place, tmp_path, **parts):
    """Returns the repository with a record in which everything was executed, except what `parts` says."""
    now = clock.now()
    report = report_of(place, "pytest -q", **parts) | {"at": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
    (tmp_path / "executed.json").write_text(json.dumps(report))
    classification = classify(place, now=now, executed=tmp_path / "executed.json")
    return record_measurement(repository, classification, record_signer())


def whole(root, name="calc"):
    """Returns the directory of a repository whose files give all that files can give."""
    return make_repository(root / name, PYTHON)
