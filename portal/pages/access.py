"""The forms in which a credential of a repository is typed. It goes in, and no form shows it again."""

from typing import Any

from django import forms

from kernel.secrets import Secret
from portal.keyring import repository_key
from registry.git.access import KINDS, MAX_SECRET, MAX_USERNAME, USERNAME


def _username() -> forms.CharField:
    said = f"Of a token often any name will do: left empty, {USERNAME} is said."
    return forms.CharField(
        label="User name",
        max_length=MAX_USERNAME,
        required=False,
        help_text=said,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


def _secret(*, required: bool, said: str) -> forms.CharField:
    return forms.CharField(
        label="Token or password",
        max_length=MAX_SECRET,
        required=required,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=said,
    )


class GitCredentialForm(forms.Form):
    """What the server of a repository is shown. The secret is never rendered back, not even after an error."""

    kind = forms.ChoiceField(choices=KINDS)
    username = _username()
    secret = _secret(required=True, said="It needs to read this repository and nothing more.")


class WithCredential(forms.Form):
    """What is asked beside the address of a new repository, for one that not everybody may read."""

    username = _username()
    secret = _secret(required=False, said="For a repository that asks for it. Sealed at once, and never shown again.")


def typed(data: dict[str, Any], kind: str = "basic") -> dict[str, Any]:
    """Takes what was typed of a credential out of a form's data. Returns what a service needs to seal it; nothing without a secret."""
    username, secret = data.pop("username", ""), data.pop("secret", "")
    if not secret:
        return {}
    key = repository_key()
    return {
        "kind": kind,
        "username": username,
        "secret": Secret(secret.encode()),
        "public_key": key.public,
        "key_id": key.key_id,
    }
