"""Parts of addresses that are no slugs: the namespace of a blueprint and the number of a version."""

from django.urls import register_converter

from blueprints.format.schema import NAMESPACE, SEMVER


class Namespace:
    """`platform`, `domain.NAME` or `team.NAME`. Another form leads nowhere."""

    regex = NAMESPACE

    def to_python(self, value: str) -> str:
        """Returns the namespace."""
        return value

    def to_url(self, value: str) -> str:
        """Returns the namespace."""
        return value


class Number:
    """A semantic version, as the format has them."""

    regex = SEMVER

    def to_python(self, value: str) -> str:
        """Returns the number."""
        return value

    def to_url(self, value: str) -> str:
        """Returns the number."""
        return value


register_converter(Namespace, "namespace")
register_converter(Number, "semver")
