"""The format of a blueprint, described once: what is checked, and the JSON Schema that is shipped, come from here."""

from collections.abc import Iterator
from typing import Any, Final

from blueprints.format.findings import Finding
from blueprints.format.shapes import Choice, Flag, Kinds, Many, Named, Record, Scalar, Shape, Text, Whole

END: Final = "end"
ESCALATE: Final = "escalate"
RESERVED: Final = frozenset({END, ESCALATE})

SEMVER: Final = r"(?:0|[1-9][0-9]{0,5})\.(?:0|[1-9][0-9]{0,5})\.(?:0|[1-9][0-9]{0,5})(?:-[0-9a-z]+(?:\.[0-9a-z]+)*)?"
SLUG: Final = r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?"
NAMESPACE: Final = rf"platform|(?:domain|team)\.{SLUG}"
REFERENCE: Final = rf"(?:{NAMESPACE})/{SLUG}@{SEMVER}"
DIGEST: Final = r"sha256:[0-9a-f]{64}"

IDENT: Final = Text(most=48, pattern=r"[a-z][a-z0-9_]*", form="a name of a-z, 0-9 and underscore")
TARGET: Final = IDENT
LINE: Final = Text(most=200)
PROSE: Final = Text(most=20_000)
VERSION: Final = Text(most=64, pattern=SEMVER, form="a semantic version")
REF: Final = Text(most=160, pattern=REFERENCE, form="a reference such as platform/implement-ticket@1.2.0")
SHA256: Final = Text(most=71, pattern=DIGEST, form="a digest such as sha256:…")
CEL: Final = Text(most=1_000, note="an expression in CEL")
TOOL: Final = Text(most=128, pattern=rf"{SLUG}/[A-Za-z0-9_.-]{{1,64}}", form="a tool as server/tool")
ARGV: Final = Many(of=Text(most=4_000), least=1, most=64)
MINUTES: Final = Whole(least=1, most=1_440, note="the node is ended after so many minutes")
ROLE: Final = Choice(("member", "reviewer", "team_lead", "domain_steward", "platform_admin"))
SENSOR: Final = Choice(("computational", "inferential"))
WRITE: Final = Choice(("branch", "pull_request", "comment", "issue", "merge", "deploy", "release", "record"))
FILESYSTEM: Final = Choice(("none", "scratch", "repo-ro", "repo-rw"))

PARAMETER: Final = Record(
    required={"type": Choice(("text", "integer", "boolean")), "title": LINE},
    optional={"required": Flag(), "default": Scalar(), "choices": Many(of=Scalar(), least=1, most=50, unique=True)},
)
PARAMETERS: Final = Named(of=PARAMETER, names=IDENT)

HEADER: Final = Record(
    required={
        "namespace": Text(most=60, pattern=NAMESPACE, form="platform, domain.NAME or team.NAME"),
        "name": Text(most=48, pattern=SLUG, form="a slug"),
        "version": VERSION,
        "title": LINE,
        "summary": Text(most=1_000),
        "owner": Text(most=48, pattern=SLUG, form="a slug"),
        "license": Text(most=60),
    },
    optional={"variant": Choice(("any", "greenfield", "brownfield")), "tags": Many(of=IDENT, most=12, unique=True)},
)

NEEDS: Final = Record(
    optional={
        "filesystem": FILESYSTEM,
        "shell": Flag(),
        "packages": Flag(),
        "compile": Flag(),
        "network": Choice(("none", "gateway")),
        "gpu": Flag(),
        "interactive": Flag(),
        "cpu": Whole(least=1, most=64),
        "memory_mib": Whole(least=64, most=262_144),
        "disk_mib": Whole(least=64, most=1_048_576),
    },
)

GRANT: Final = Record(required={"name": TOOL, "effect": Choice(("read", "write", "destroy"))})
WRITE_GRANT: Final = Record(
    required={"kind": WRITE, "max": Whole(least=1, most=50, note="per run")},
    optional={"branch_prefix": Text(most=60, pattern=r"[a-z0-9][a-z0-9/_-]*"), "environment": Text(most=48)},
)
PERMISSIONS: Final = Record(
    required={
        "tools": Many(of=GRANT, key="name", most=100),
        "data": Many(of=Text(most=120, pattern=r"[a-z0-9][a-z0-9:/._-]*", form="a name of data"), unique=True),
        "writes": Many(of=WRITE_GRANT, key="kind", most=20),
    },
)

BUDGET: Final = Record(
    required={
        "wall_minutes": Whole(least=1, most=10_080),
        "agent_turns": Whole(least=0, most=2_000),
        "tokens": Whole(least=0, most=100_000_000),
        "cost_cents": Whole(least=0, most=1_000_000),
        "tool_calls": Whole(least=0, most=10_000),
    },
)

CHECK: Final = Record(
    required={"id": IDENT, "title": LINE, "sensor": SENSOR},
    optional={"command": ARGV, "prompt": PROSE},
)

PRECONDITION: Final = Record(
    required={
        "signal": Text(most=64, pattern=r"[a-z][a-z0-9_.]*", form="a signal such as tests.pass"),
        "op": Choice(("eq", "ne", "gte", "lte")),
        "value": Scalar(),
    }
)

_NODE: Final[dict[str, Shape]] = {"id": IDENT, "kind": Text(most=20)}
_SHARED: Final[dict[str, Shape]] = {"title": LINE, "next": TARGET}
_FAIL: Final = Record(optional={"fail": TARGET})
_RETRIES: Final = Record(required={"max": Whole(least=0, most=3), "backoff_seconds": Whole(least=0, most=600)})


def _node(kind: str, required: dict[str, Shape], optional: dict[str, Shape]) -> Record:
    own = {**_NODE, "kind": Choice((kind,))}
    return Record(required={**own, **required}, optional={**_SHARED, **optional})


NODE: Final = Kinds(
    tag="kind",
    of={
        "run": _node(
            "run",
            {"command": ARGV, "minutes": MINUTES},
            {"needs": NEEDS, "retries": _RETRIES, "on": _FAIL},
        ),
        "agent": _node(
            "agent",
            {
                "prompt": PROSE,
                "minutes": MINUTES,
                "max_turns": Whole(least=1, most=200),
                "max_visits": Whole(least=1, most=3),
                "may": Many(of=Choice(("read", "edit", "execute")), least=0, most=3, unique=True),
                "tools": Many(of=TOOL, most=50, unique=True),
                "response": PARAMETERS,
            },
            {"needs": NEEDS, "on": _FAIL, "guides": Many(of=LINE, most=20, unique=True)},
        ),
        "tool": _node(
            "tool",
            {"tool": TOOL, "minutes": MINUTES, "arguments": Named(of=CEL, names=Text(most=64))},
            {"writes": WRITE, "retries": _RETRIES, "on": _FAIL},
        ),
        "validate": _node(
            "validate", {"checks": Many(of=IDENT, least=1, most=50, unique=True), "minutes": MINUTES}, {"on": _FAIL}
        ),
        "gate": _node("gate", {"when": CEL}, {"on": _FAIL}),
        "approve": _node(
            "approve",
            {"by": ROLE, "expires_hours": Whole(least=1, most=720), "question": Text(most=1_000)},
            {"on": Record(optional={"reject": TARGET})},
        ),
        "branch": Record(
            required={
                **_NODE,
                "kind": Choice(("branch",)),
                "cases": Many(of=Record(required={"when": CEL, "to": TARGET}), least=1, most=20),
                "else": TARGET,
            },
            optional={"title": LINE},
        ),
        "loop": _node(
            "loop",
            {"from": IDENT, "until": CEL, "max": Whole(least=1, most=10, note="rounds")},
            {"on": Record(optional={"exhausted": TARGET})},
        ),
        "fork": Record(
            required={
                **_NODE,
                "kind": Choice(("fork",)),
                "branches": Many(of=IDENT, least=2, most=8, unique=True),
                "width": Whole(least=1, most=8, note="branches that run at the same time"),
                "join": IDENT,
            },
            optional={"title": LINE},
        ),
        "join": _node("join", {"policy": Choice(("all", "any"))}, {"on": _FAIL}),
    },
)

BLUEPRINT: Final = Record(
    required={
        "blueprint": Choice((1,)),
        "document": HEADER,
        "goal": Record(
            required={"statement": Text(most=1_000), "checks": Many(of=IDENT, least=1, most=20, unique=True)}
        ),
        "pattern": Choice(("dark-factory", "interactive-assistant", "either")),
        "needs": NEEDS,
        "permissions": PERMISSIONS,
        "budget": BUDGET,
        "escalate": Record(
            required={"to": ROLE, "keep": Many(of=Choice(("branch", "transcript", "diff")), most=3, unique=True)}
        ),
        "checks": Many(of=CHECK, key="id", least=1, most=50),
        "nodes": Many(of=NODE, key="id", least=1, most=200),
    },
    optional={
        "preconditions": Many(of=PRECONDITION, key="signal", least=1, most=30),
        "inputs": PARAMETERS,
        "outputs": Named(of=Record(required={"title": LINE, "value": CEL}), names=IDENT),
    },
)


def check_shape(document: Any) -> Iterator[Finding]:
    """Yields every way in which `document` is not of the format."""
    yield from BLUEPRINT.check(document, ())


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of a blueprint: it accepts what `check_shape` accepts, but for ids that appear twice."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Hanse blueprint, format 1",
        **BLUEPRINT.schema(),
    }
