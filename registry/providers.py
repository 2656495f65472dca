"""Internal servers: what of Hanse is an MCP server itself, and which there are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.module_loading import import_string

from registry.asking import Asking
from registry.provided import PATHS
from tenants.rules import Effect, Sensitivity, Tier

Run = Callable[[Asking, Mapping[str, Any]], Mapping[str, Any]]
"""Answers a call: who asks and the arguments, which fit the schema. Returns structured content, or raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvidedTool:
    """A tool as it is shipped. `tiers` says whose own servers have it; the merged server has every tool."""

    definition: Mapping[str, Any]
    effect: Effect
    run: Run
    sensitivity: Sensitivity = Sensitivity.PUBLIC
    tiers: frozenset[Tier] = frozenset(Tier)

    @property
    def name(self) -> str:
        """Returns the tool's name, the same on every server of its provider."""
        return str(self.definition["name"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """What has a server in each tenant, and a merged one of the platform that answers for all tiers at once."""

    slug: str
    name: str
    summary: str
    tools: tuple[ProvidedTool, ...]

    def tools_in(self, tier: Tier | None) -> tuple[ProvidedTool, ...]:
        """Returns the tools of a tenant's own server, or of the merged one."""
        return tuple(tool for tool in self.tools if tier is None or tier in tool.tiers)


def providers() -> list[Provider]:
    """Returns every provider that was registered, in that order."""
    return [import_string(path) for path in PATHS]


def provider_of(slug: str) -> Provider | None:
    """Returns the provider of this name."""
    return next((provider for provider in providers() if provider.slug == slug), None)
