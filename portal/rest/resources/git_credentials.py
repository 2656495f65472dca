"""The credential of a repository: it goes in and never comes out. Of a source of documents, and of one that is measured."""

from typing import Any

from rest_framework import serializers
from rest_framework.response import Response

from blueprints.queries import repositories as measured
from blueprints.services.credentials import remove_repository_credential, set_repository_credential
from kernel.errors import NotFound
from kernel.secrets import Secret
from portal.keyring import repository_key
from portal.rest.fields import Choice, Input, Output, PersonRef, Text
from portal.rest.operations import Resource, operation
from portal.rest.preconditions import require_absent_or_match, tag_of
from registry.context import queries
from registry.context.services.credentials import remove_source_credential, set_source_credential
from registry.git.access import KINDS, MAX_SECRET, MAX_USERNAME


class GitCredentialOut(Output):
    """What is known of a repository's credential: never what it is."""

    uid = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=KINDS)
    address = serializers.CharField(help_text="What it is bound to. Another address drops it.")
    key_id = serializers.CharField(help_text="The worker's key that it is sealed to.")
    created_at = serializers.DateTimeField()
    created_by = PersonRef(allow_null=True)


class NewGitCredential(Input):
    """A credential to seal for the worker that fetches the repository."""

    kind = Choice(choices=KINDS, required=False, default="basic")
    username = Text(
        max_length=MAX_USERNAME, required=False, allow_blank=True, help_text="For `basic`; empty: `x-access-token`."
    )
    secret = Text(max_length=MAX_SECRET, trim_whitespace=False, write_only=True, help_text="The token or password.")


class SourceCredentialResource(Resource):
    """The credential of a source's repository."""

    resource = "source-credential"

    @operation(summary="Read what is known of a source's credential", gives=GitCredentialOut)
    def retrieve(self, owner: str, slug: str) -> Response:
        """That there is one, of which kind, for which address, since when. Never what it is."""
        found = queries.credential_of(self.principal, queries.source_by_ref(self.principal, owner, slug))
        if found is None:
            raise NotFound("There is no credential.")
        return _shown(found)

    @operation(
        summary="Set a source's credential",
        takes=NewGitCredential,
        gives=GitCredentialOut,
        conditional=True,
        creatable=True,
    )
    def update(self, data: dict[str, Any], owner: str, slug: str) -> Response:
        """Seals it for the worker and this address. `If-None-Match: *` for the first one, then `If-Match`."""
        source = queries.source_by_ref(self.principal, owner, slug)
        _require_present(self, queries.credential_of(self.principal, source))
        return _shown(set_source_credential(actor=self.principal, source=source, **_sealing(data)))

    @operation(summary="Remove a source's credential", status=204, conditional=True)
    def destroy(self, owner: str, slug: str) -> None:
        """The repository is asked for without one from now on."""
        source = queries.source_by_ref(self.principal, owner, slug)
        _require_there(self, queries.credential_of(self.principal, source))
        remove_source_credential(actor=self.principal, source=source)


class RepositoryCredentialResource(Resource):
    """The credential of a repository that is measured."""

    resource = "repository-credential"

    @operation(summary="Read what is known of a repository's credential", gives=GitCredentialOut)
    def retrieve(self, team: str, slug: str) -> Response:
        """That there is one, of which kind, for which address, since when. Never what it is."""
        found = measured.credential_of(self.principal, measured.repository_by_ref(self.principal, team, slug))
        if found is None:
            raise NotFound("There is no credential.")
        return _shown(found)

    @operation(
        summary="Set a repository's credential",
        takes=NewGitCredential,
        gives=GitCredentialOut,
        conditional=True,
        creatable=True,
    )
    def update(self, data: dict[str, Any], team: str, slug: str) -> Response:
        """Seals it for the worker and this address. `If-None-Match: *` for the first one, then `If-Match`."""
        repository = measured.repository_by_ref(self.principal, team, slug)
        _require_present(self, measured.credential_of(self.principal, repository))
        return _shown(set_repository_credential(actor=self.principal, repository=repository, **_sealing(data)))

    @operation(summary="Remove a repository's credential", status=204, conditional=True)
    def destroy(self, team: str, slug: str) -> None:
        """The repository is asked for without one from now on."""
        repository = measured.repository_by_ref(self.principal, team, slug)
        _require_there(self, measured.credential_of(self.principal, repository))
        remove_repository_credential(actor=self.principal, repository=repository)


def _require_present(resource: Resource, present: Any) -> None:
    require_absent_or_match(resource.request, str(present.uid) if present else None)


def _require_there(resource: Resource, present: Any) -> None:
    if present is None:
        raise NotFound("There is no credential.")
    _require_present(resource, present)


def _sealing(data: dict[str, Any]) -> dict[str, Any]:
    key, secret = repository_key(), Secret(data.pop("secret").encode())
    return {"secret": secret, "public_key": key.public, "key_id": key.key_id, **data}


def _shown(found: Any) -> Response:
    data = GitCredentialOut(found).data
    return Response(data, headers={"ETag": tag_of(str(found.uid), data)})
