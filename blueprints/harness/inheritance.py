"""What stands below a layer: which entries of domains and teams fit no more when what is above them changes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from blueprints.harness.layers import Check
from blueprints.harness.merging import Layer, Refusal, descend, misfits


@dataclass(frozen=True, slots=True)
class Federation:
    """Sound layers as they stand: the platform's, those of domains, those of teams with the domains each team is in."""

    platform: Layer
    domains: Mapping[str, Layer]
    teams: Sequence[tuple[Layer, frozenset[str]]] = ()

    @property
    def team_layers(self) -> Iterator[Layer]:
        """The layers of teams alone."""
        return (layer for layer, _ in self.teams)

    def with_layer(self, layer: Layer) -> "Federation":
        """Returns the federation in which the platform or a domain has this layer."""
        if layer["owner"]["tier"] == "platform":
            return replace(self, platform=layer)
        return replace(self, domains={**self.domains, layer["owner"]["tenant"]: layer})

    def lapsed(self, *, today: date) -> Iterator[Refusal]:
        """Yields every entry of a domain or a team that does not fit what stands above it."""
        yield from self.lapsed_of_domains(today=today)
        yield from self.lapsed_of_teams(today=today)

    def lapsed_of_domains(self, *, today: date) -> Iterator[Refusal]:
        """Yields those of domains."""
        top = descend([], [self.platform], today=today).checks
        for name, layer in sorted(self.domains.items()):
            yield from _refusals(name, layer, top, today)

    def lapsed_of_teams(self, *, today: date) -> Iterator[Refusal]:
        """Yields those of teams. Teams of the same domains stand below the same checks, put together once."""
        top = descend([], [self.platform], today=today).checks
        known: dict[frozenset[str], list[Check]] = {}
        for layer, domains in self.teams:
            names = domains.intersection(self.domains)
            if names not in known:
                known[names] = descend(top, [self.domains[name] for name in names], today=today).checks
            yield from _refusals(layer["owner"]["tenant"], layer, known[names], today)


def _refusals(tenant: str, layer: Layer, above: Sequence[Check], today: date) -> Iterator[Refusal]:
    return (Refusal(tenant, finding) for finding in misfits(layer, above, today=today))
