"""Names of versions: semantic versions in their order, references, and the digest that a version really is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from blueprints.format.schema import REFERENCE, SEMVER
from kernel.canonical import digest as canonical_digest


@dataclass(frozen=True, slots=True)
class Reference:
    """A version by name: `namespace/name@version`."""

    namespace: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}@{self.version}"

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Returns the reference that `text` writes. Raises `ValueError`."""
        if not re.fullmatch(REFERENCE, text):
            raise ValueError(f"{text!r} is no reference such as platform/implement-ticket@1.2.0")
        namespace, _, rest = text.partition("/")
        name, _, version = rest.partition("@")
        return cls(namespace, name, version)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Reference":
        """Returns the reference of a document."""
        header = document["document"]
        return cls(header["namespace"], header["name"], header["version"])


def namespace_of(tier: str, slug: str) -> str:
    """Returns the namespace in which a tenant of this tier publishes."""
    return "platform" if tier == "platform" else f"{tier}.{slug}"


def next_version(version: str, part: Literal["major", "minor", "patch"]) -> str:
    """Returns the release after `version` that raises this part (semver.org, 6 to 8); a pre-release ends."""
    major, minor, patch = version_key(version)[0]
    raised = {"major": (major + 1, 0, 0), "minor": (major, minor + 1, 0), "patch": (major, minor, patch + 1)}
    return ".".join(map(str, raised[part]))


def version_key(version: str) -> tuple[tuple[int, int, int], int, tuple[tuple[int, int, str], ...]]:
    """Returns what versions are ordered by (semver.org, 11): a release stands above its pre-releases."""
    if not re.fullmatch(SEMVER, version):
        raise ValueError(f"{version!r} is no semantic version")
    core, _, pre = version.partition("-")
    major, minor, patch = (int(part) for part in core.split("."))
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split(".")) if pre else ()
    return (major, minor, patch), 0 if pre else 1, parts


def digest_of(document: Mapping[str, Any]) -> str:
    """Returns `sha256:` and the digest of the document's canonical JSON: two texts that mean the same have the same."""
    return f"sha256:{canonical_digest(document)}"
