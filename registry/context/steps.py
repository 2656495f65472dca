"""The step of an onboarding that brings what a team has written down: a git repository, a page, files."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, QuerySet, Sum

from kernel import clock
from kernel.counting import counted
from kernel.errors import Invalid
from registry.context import queries
from registry.context.entries import pasted
from registry.context.keeping import digest_of
from registry.context.models import OPEN, Document, Import, Source
from registry.context.services.credentials import set_source_credential
from registry.context.services.imports import begin_fetch, begin_import
from registry.context.services.memories import REMEMBERED
from registry.context.services.sources import add_source
from registry.context.tasks import wake
from registry.git.access import USERNAME
from registry.git.fetching import Sources, fault_of_address, name_of_address
from registry.sealing import Key
from tenants.models import Onboarding, Tenant
from tenants.onboarding import Field, Found, Line, Means, Outcome, Reads, State, Step, Values
from tenants.principals import Principal
from tenants.rosters import slug_from
from tenants.rules import Sensitivity
from tenants.together import totals

PAGES: Final = "documents"
"""The short name of the source that takes what is pasted and uploaded here."""
_LEVELS: Final = [(level.name.lower(), level.name.capitalize()) for level in Sensitivity]


@dataclass(frozen=True, slots=True)
class RepositoryMeans:
    """What a private repository needs from above: the key that its credential is sealed to."""

    sealing_key: Callable[[], Key]


def pages_of(actor: Principal, team: Tenant, level: str = "internal") -> Source:
    """Returns the source that takes files and pages of this step, added now when it is not there yet."""
    there = queries.sources(actor).filter(owner=team, slug=PAGES).first()
    if there is not None:
        return there
    sensitivity = Sensitivity[level.upper()]
    return add_source(actor=actor, owner=team, slug=PAGES, name="Documents", sensitivity=sensitivity)


def _team(row: Onboarding) -> Tenant:
    assert row.owner is not None  # noqa: S101 - the frame asks for the first step before any other
    return row.owner


def _fields(actor: Principal, row: Onboarding) -> list[Field]:
    where = "Its https address. A worker fetches it now; later only what changed is read again."
    return [
        Field(name="url", label="Git repository", help=where),
        Field(name="branch", label="Branch", help="Left empty, the one that the repository itself shows."),
        Field(name="username", label="Its user name", help=f"Only with a token. Left empty, {USERNAME} is said."),
        Field(
            name="token",
            label="Its token or password",
            kind="secret",
            help="For a repository that not everybody may read. Sealed for the worker at once and never shown again.",
        ),
        Field(
            name="title", label="A page: its title", help="For what is written down nowhere yet, or cannot be fetched."
        ),
        Field(
            name="text", label="Its text", kind="long", help="Markdown: headings become the places that a hit names."
        ),
        Field(
            name="sensitivity",
            label="Sensitivity",
            kind="choice",
            choices=_LEVELS,
            initial="internal",
            help="Holds for everything that is brought here. Who has less clearance finds nothing of it.",
        ),
    ]


def _reads(actor: Principal, row: Onboarding) -> Reads:
    mine = _sources(actor, _team(row)).order_by().values("pk")
    imports = queries.imports(actor).filter(source__in=mine)
    documents = Document.objects.visible_to(actor).filter(source__in=mine)
    return {
        "open": imports.filter(state__in=OPEN).order_by("pk")[:1],
        "documents": totals(documents, n=Count("pk"), chunks=Sum("chunk_count")),
        "failed": imports.exclude(fault="")[:1],
    }


def _state(actor: Principal, row: Onboarding, found: Found) -> State:
    if found["open"]:
        return State("waiting", _said_of(actor, found["open"][0]))
    read = found["documents"][0]
    if read["n"]:
        return State("done", f"{counted(read['n'], 'document')}, {counted(read['chunks'] or 0, 'passage')}.")
    return State("open", found["failed"][0].fault if found["failed"] else "")


def _said_of(actor: Principal, reading: Import) -> str:
    if not reading.is_staged:
        return f"{reading.source.name} is being fetched."
    counts = queries.progress_of(actor, [reading])[reading.pk]
    return f"{counts['total'] - counts['waiting']:,} of {counts['total']:,} documents read."


def _brought(actor: Principal, team: Tenant) -> list[Source]:
    """The sources that people brought: what agents were told to remember is none of them."""
    return list(_sources(actor, team))


def _sources(actor: Principal, team: Tenant) -> QuerySet[Source]:
    return queries.sources(actor).filter(owner=team).exclude(slug__startswith=REMEMBERED)


def _plan(actor: Principal, row: Onboarding, values: Values) -> Iterator[Line]:
    mine = _brought(actor, _team(row))
    yield from _plan_repository(actor, mine, values)
    yield from _plan_page(actor, mine, values)
    if not mine and not _text(values, "url") and not _text(values, "text"):
        yield Line(mark="fault", kind="documents", field="url", text="Name a repository, paste a page, or bring files.")
    elif _text(values, "sensitivity") not in {"", *(key for key, _ in _LEVELS)}:
        yield Line(mark="fault", kind="documents", field="sensitivity", text="Choose one of the four.")


def _plan_repository(actor: Principal, mine: list[Source], values: Values) -> Iterator[Line]:
    known = _repository_of(mine, values)
    others = [source for source in mine if source.kind == Source.Kind.GIT and source != known]
    yield from (Line(mark="there", kind="repository", text=_told(actor, source)) for source in others)
    if known is not None:
        is_to_do = _is_to_do(_newest(actor, known))
        said = f"{known.location}: fetched once more" if is_to_do else _told(actor, known)
        yield Line(mark="make" if is_to_do else "there", kind="repository", text=said)
    elif _text(values, "url"):
        yield _plan_addition(_text(values, "url"), _text(values, "branch"))


def _plan_addition(url: str, branch: str) -> Line:
    if fault := fault_of_address(url):
        return Line(mark="fault", kind="repository", field="url", text=fault)
    where = f"{url}, branch {branch}" if branch else url
    return Line(mark="make", kind="repository", text=f"{where}: added as “{_slug_of(url)}” and read")


def _is_to_do(reading: Import | None) -> bool:
    return reading is None or reading.state in {Import.State.FAILED, Import.State.CANCELLED}


def _plan_page(actor: Principal, mine: list[Source], values: Values) -> Iterator[Line]:
    title, text = _text(values, "title"), _text(values, "text")
    if slug_from(title) and text:
        entry = pasted(title, text, clock.now())
        same = Document.objects.visible_to(actor).filter(source__in=mine, source__slug=PAGES, path=entry.path)
        is_there = same.filter(digest=digest_of(entry.content or b"")).exists()
        yield Line(mark="there" if is_there else "make", kind="page", text=f"{title} ({entry.path})")
    elif title or text:
        yield Line(mark="fault", kind="page", field="title" if text else "text", text="A page has a title and a text.")


def _act(actor: Principal, row: Onboarding, values: Values, means: Means) -> Outcome:
    team, done = _team(row), list[str]()
    mine = _brought(actor, team)
    lines = list(_plan_repository(actor, mine, values))
    if any(line.mark == "make" for line in lines) or "token" in means.secrets:
        source = _repository_of(mine, values) or _add_repository(actor, team, values, means)
        _seal(actor, source, values, means)
        wake(begin_fetch(actor=actor, source=source, sources=means.of(Sources)))
        done.append(f"{source.name} is being fetched")
    if any(line.mark == "make" for line in _plan_page(actor, mine, values)):
        source = pages_of(actor, team, _text(values, "sensitivity") or "internal")
        page = pasted(_text(values, "title"), _text(values, "text"), clock.now())
        wake(begin_import(actor=actor, source=source, entries=[page]))
        done.append(f"“{values['title']}” is being read")
    return Outcome(f"{' and '.join(done)}." if done else "Everything named is there.")


def _seal(actor: Principal, source: Source, values: Values, means: Means) -> None:
    """Keeps what was typed for the repository, when something was."""
    if "token" not in means.secrets:
        return
    key = means.of(RepositoryMeans).sealing_key()
    try:
        set_source_credential(
            actor=actor,
            source=source,
            kind="basic",
            username=_text(values, "username"),
            secret=means.secrets["token"],
            public_key=key.public,
            key_id=key.key_id,
        )
    except Invalid as error:
        errors = {"token" if name == "secret" else name: texts for name, texts in error.errors.items()}
        raise Invalid(error.message, errors=errors, code=error.error_code) from None


def _add_repository(actor: Principal, team: Tenant, values: Values, means: Means) -> Source:
    url = _text(values, "url")
    try:
        return add_source(
            actor=actor,
            owner=team,
            slug=_slug_of(url),
            name=name_of_address(url),
            kind=Source.Kind.GIT,
            location=url,
            branch=_text(values, "branch"),
            sensitivity=Sensitivity[(_text(values, "sensitivity") or "internal").upper()],
            sources=means.of(Sources),
        )
    except Invalid as error:
        errors = {"url" if name == "location" else name: texts for name, texts in error.errors.items()}
        raise Invalid(error.message, errors=errors, code=error.error_code) from error


def _repository_of(mine: list[Source], values: Values) -> Source | None:
    """Returns the source that was made of the address in the answers."""
    url = _text(values, "url")
    named = (one for one in mine if one.kind == Source.Kind.GIT and one.branch == _text(values, "branch"))
    return next((one for one in named if url in {one.location, f"{one.location}/"}), None) if url else None


def _newest(actor: Principal, source: Source) -> Import | None:
    return queries.imports(actor, source).first()


def _told(actor: Principal, source: Source) -> str:
    reading = _newest(actor, source)
    if reading is None or reading.state in OPEN:
        return f"{source.location} is being read"
    return f"{source.location}: {reading.fault}" if reading.fault else f"{source.location} at {source.commit[:12]}"


def _slug_of(url: str) -> str:
    slug = slug_from(name_of_address(url)) or "repository"
    return f"{slug}-repository"[:48] if slug == PAGES or slug.startswith(REMEMBERED) else slug


def _text(values: Values, name: str) -> str:
    return str(values.get(name) or "").strip()


DOCUMENTS: Final = Step(
    key="documents",
    needs="What the team has written down: a repository, a page, or files.",
    fields=_fields,
    reads=_reads,
    state=_state,
    plan=_plan,
    act=_act,
    button="Bring it",
    optional=True,
)
