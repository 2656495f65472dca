"""Addresses of the pages. `portal/urls.py` includes them at the root."""

from django.urls import path, re_path

from portal.pages import (
    agents,
    audit,
    catalog,
    delegations,
    home,
    people,
    search,
    servers,
    styleguide,
    teams,
    tools,
)

urlpatterns = [
    path("", home.home, name="home"),
    path("search/", search.search, name="search"),
    path("styleguide/", styleguide.styleguide, name="styleguide"),
    path("catalog/", catalog.catalog, name="catalog"),
    path("catalog/register/", servers.register, name="server_new"),
    path("tools/<str:uid>/approve/", tools.approve, name="tool_approve"),
    path("tools/<str:uid>/reject/", tools.reject, name="tool_reject"),
    path("servers/<slug:slug>/", servers.detail, name="server"),
    re_path(
        r"^servers/(?P<slug>[-a-z0-9]+)/(?P<act>activate|quarantine|retire)/$", servers.set_status, name="server_status"
    ),
    path("servers/<slug:slug>/probe/", servers.probe_now, name="server_probe"),
    path("servers/<slug:slug>/credential/set/", servers.set_credential, name="credential_set"),
    path("servers/<slug:slug>/credential/remove/", servers.remove_credential, name="credential_remove"),
    path("servers/<slug:slug>/<slug:tab>/", servers.detail, name="server_tab"),
    path("teams/", teams.teams, name="teams"),
    path("teams/<slug:slug>/", teams.tenant, name="tenant"),
    path("teams/<slug:slug>/roles/give/", teams.give_role, name="role_give"),
    path("teams/<slug:slug>/roles/take/", teams.take_role, name="role_take"),
    path("identity/agents/", agents.agents, name="identity"),
    path("identity/agents/register/", agents.register, name="agent_new"),
    path("identity/agents/<slug:slug>/", agents.agent, name="agent"),
    re_path(r"^identity/agents/(?P<slug>[-a-z0-9]+)/(?P<act>suspend|resume)/$", agents.set_status, name="agent_status"),
    path("identity/delegations/", delegations.delegations, name="delegations"),
    path("identity/delegations/new/", delegations.create, name="delegation_new"),
    path("identity/delegations/<str:uid>/", delegations.delegation, name="delegation"),
    path("identity/delegations/<str:uid>/narrow/", delegations.narrow, name="delegation_narrow"),
    path("identity/delegations/<str:uid>/revoke/", delegations.revoke, name="delegation_revoke"),
    path("identity/delegations/<str:uid>/token/", delegations.mint, name="delegation_mint"),
    path("identity/people/", people.people, name="people"),
    path("identity/people/add/", people.add, name="person_new"),
    re_path(r"^identity/people/(?P<handle>[-a-z0-9]+)/(?P<act>on|off)/$", people.set_active, name="person_active"),
    path("audit/", audit.explorer, name="audit"),
    path("audit/<uuid:uid>/", audit.record, name="record"),
    path("audit/<uuid:uid>/verify/", audit.verify, name="record_verify"),
    path("audit/<uuid:uid>/<slug:what>/", audit.download, name="record_download"),
]
