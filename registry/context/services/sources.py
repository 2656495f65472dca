"""Adding, changing and removing sources, and removing documents: with chunks, vectors and everything that waits."""

from django.db import IntegrityError, transaction

from audit.services import record
from kernel.errors import Conflict, Invalid
from registry import verbs
from registry.context import keeping
from registry.context.models import Chunk, Document, ImportItem, Source
from registry.context.services.credentials import drop_credential
from registry.git.fetching import Sources, check_source
from tenants import authority
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.rules import Sensitivity
from tenants.services import require_reason, require_slug
from tenants.versions import check_version, lock

_LONGEST_NAME = 120
_LONGEST_LOCATION = 500


@transaction.atomic
def add_source(
    *,
    actor: Principal,
    owner: Tenant,
    slug: str,
    name: str,
    kind: str = Source.Kind.FILES,
    location: str = "",
    branch: str = "",
    sensitivity: int = Sensitivity.INTERNAL,
    sources: Sources | None = None,
) -> Source:
    """Returns a source without documents yet. What it will hold is seen by who sees its owner, up to its sensitivity.

    A git repository needs `sources`: where such may be fetched from. Its address is checked now and at every fetch.
    """
    authority.require_contributor(actor, owner, "add sources of documents")
    require_slug(slug)
    _check(name, location, sensitivity)
    if kind not in Source.Kind.values:
        raise Invalid("There is no such kind.", errors={"kind": [f"One of {', '.join(Source.Kind.values)}."]})
    location, branch = _place(kind, location, branch, sources)
    try:
        with transaction.atomic():
            source = Source.objects.create(
                owner=owner,
                slug=slug,
                name=name,
                kind=kind,
                location=location,
                branch=branch,
                sensitivity=sensitivity,
                created_by=actor.person,
            )
    except IntegrityError as error:
        raise Conflict(f"There is a source “{slug}” already.", slug=slug) from error
    _record(actor, source, verbs.SOURCE_ADDED, kind=kind, location=location, sensitivity=int(sensitivity))
    return source


@transaction.atomic
def change_source(
    *,
    actor: Principal,
    source: Source,
    name: str | None = None,
    location: str | None = None,
    branch: str | None = None,
    sensitivity: int | None = None,
    sources: Sources | None = None,
    expected_version: int | None = None,
) -> Source:
    """Returns the source changed. A new sensitivity holds for everything in it at once. To lower it is the keeper's.

    A repository that moved is read as a whole the next time; until then its documents stay. Its credential was bound to
    the address before and is dropped.
    """
    source = lock(source)
    authority.require_contributor(actor, source.owner, "change sources of documents")
    if sensitivity is not None and sensitivity < source.sensitivity:
        authority.require_keeper(actor, source.owner, "lower the sensitivity of documents")
    check_version(source, expected_version)
    source.name = source.name if name is None else name
    before = (source.location, source.branch)
    after = (before[0] if location is None else location, before[1] if branch is None else branch)
    if after != before:
        source.location, source.branch = _place(source.kind, *after, sources)
        source.commit = ""
    if source.location != before[0]:
        drop_credential(actor, source, because="address changed")
    source.sensitivity = source.sensitivity if sensitivity is None else sensitivity
    _check(source.name, source.location, source.sensitivity)
    source.version += 1
    source.save()
    Document.objects.filter(source=source).update(sensitivity=source.sensitivity)
    Chunk.objects.filter(source=source).update(sensitivity=source.sensitivity)
    _record(actor, source, verbs.SOURCE_CHANGED, name=source.name, sensitivity=int(source.sensitivity))
    return source


@transaction.atomic
def remove_source(*, actor: Principal, source: Source, reason: str, expected_version: int | None = None) -> None:
    """Removes the source with documents, chunks, vectors, imports, what waits in them, and its share of word counts."""
    authority.require_keeper(actor, source.owner, "remove sources of documents")
    require_reason(reason)
    source = lock(source)
    check_version(source, expected_version)
    documents = Document.objects.filter(source=source)
    counted = documents.count()
    with_copies = documents.filter(copies__isnull=False).exclude(copies__source=source).distinct()
    for document in with_copies:
        keeping.hand_over(document)
    chunks = Chunk.objects.filter(source=source).delete()[0]
    drop_credential(actor, source, because="source removed")
    facts = {"documents": counted, "chunks": chunks}
    owner_id, slug = source.owner_id, source.slug
    source.delete()
    keeping.count_words(owner_id)
    record(
        scope=owner_id,
        verb=verbs.SOURCE_REMOVED,
        person=actor.uid,
        object=f"source:{slug}",
        facts=facts,
        reasons=[reason],
    )


@transaction.atomic
def remove_document(*, actor: Principal, document: Document, reason: str) -> None:
    """Removes the document with chunks, vectors, what an import still holds of it, and its share of word counts.

    The next whole reading of its source brings it back, unless it is gone there, too.
    """
    authority.require_contributor(actor, document.owner, "remove documents")
    require_reason(reason)
    document = lock(document)
    source, owner_id = document.source, document.owner_id
    uid, digest = str(document.uid), document.digest
    ImportItem.objects.filter(of__source=source, path=document.path).delete()
    chunks = keeping.forget([document])
    keeping.count_words(owner_id)
    facts = {"document": uid, "digest": digest, "chunks": chunks}
    record(
        scope=owner_id,
        verb=verbs.DOCUMENT_REMOVED,
        person=actor.uid,
        object=f"source:{source.slug}",
        facts=facts,
        reasons=[reason],
    )


def _place(kind: str, location: str, branch: str, sources: Sources | None) -> tuple[str, str]:
    """Returns where a source is read from, in one spelling. Only a repository's place is ever reached from here."""
    if kind != Source.Kind.GIT:
        if branch:
            raise Invalid("Only a repository has a branch.", errors={"branch": ["Only a repository has one."]})
        return location, ""
    if sources is None:
        raise Invalid("A repository cannot be named here.", errors={"kind": ["Not by this way."]})
    try:
        return check_source(location, branch, sources), branch
    except Invalid as error:
        errors = {"location" if name == "url" else name: texts for name, texts in error.errors.items()}
        raise Invalid(error.message, errors=errors, code=error.error_code) from error


def _check(name: str, location: str, sensitivity: int) -> None:
    errors: dict[str, list[str]] = {}
    if not 0 < len(name.strip()) <= _LONGEST_NAME or not name.isprintable():
        errors["name"] = [f"1 to {_LONGEST_NAME} characters."]
    if len(location) > _LONGEST_LOCATION or (location and not location.isprintable()):
        errors["location"] = [f"At most {_LONGEST_LOCATION} characters."]
    if sensitivity not in list(Sensitivity):
        errors["sensitivity"] = ["One of the four."]
    if errors:
        raise Invalid("The source cannot be kept so.", errors=errors)


def _record(actor: Principal, source: Source, verb: str, **facts: object) -> None:
    record(scope=source.owner_id, verb=verb, person=actor.uid, object=f"source:{source.slug}", facts=facts)
