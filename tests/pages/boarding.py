"""The wizard as tests fill it in."""

from django.urls import reverse

from tenants import onboarding
from tenants.models import Onboarding

TEAM = {"name": "Nordic cards", "kind": "acquired", "domains": ["payments"], "lead": "lead"}


def begin(client, name="Nordic cards"):
    response = client.post("/onboarding/", {"name": name, "kind": "acquired"})
    assert response.status_code == 302, response.content.decode()
    return Onboarding.objects.get(name=name)


def at(row, key, act=""):
    return reverse(f"onboarding_{act or 'step'}", args=[row.uid, key])


def fill(client, row, key, act="save", **values):
    revision = onboarding.held(Onboarding.objects.get(pk=row.pk), key).revision
    return client.post(at(row, key, act), {"revision": revision, **values})


def stand(browse):
    admin = browse("admin")
    row = begin(admin)
    response = fill(admin, row, "tenant", "commit", **TEAM)
    assert response.status_code == 302, response.content.decode()
    return Onboarding.objects.get(pk=row.pk)
