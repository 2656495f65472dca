"""What an operator can set: read strictly, documented completely, never shown."""

import json
import re
from pathlib import Path

import pytest

from portal.config import VARIABLES, ConfigError, load

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "reference" / "configuration.md"


def test_every_variable_is_documented_as_it_is():
    rows = re.findall(r"(?m)^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \|$", PAGE.read_text(encoding="utf-8"))
    expected = [(v.name, v.default, "yes" if v.secret else "no", v.meaning) for v in VARIABLES]
    assert [(name, default.strip("`"), secret, meaning) for name, default, secret, meaning in rows] == expected


def test_the_code_reads_no_variable_that_is_not_declared():
    source = (ROOT / "portal" / "config.py").read_text(encoding="utf-8")
    read = set(re.findall(r'(?:environ(?:\.get\(|\[)|_secret\(environ, )"([A-Z_]+)"', source)) - {"XDG_RUNTIME_DIR"}
    declared = {variable.name for variable in VARIABLES}
    assert read <= declared
    assert declared - read == {f"HANSE_DB_{role}_DSN" for role in ("OWNER", "APP", "GATEWAY", "AUDIT", "BROKER")}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HANSE_PORT", "http"),
        ("HANSE_PORT", "70000"),
        ("HANSE_DEBUG", "perhaps"),
        ("HANSE_ROLE", "postgres"),
        ("HANSE_URL", "localhost:8000"),
        ("DATABASE_URL", "mysql://x"),
        ("CELERY_BROKER_URL", "ftp://x"),
        ("HANSE_OIDC_CLIENT_ID", "alone"),
        ("HANSE_REPOSITORY_ROOTS", "mirrors"),
        ("HANSE_REPOSITORY_ROOTS", "/srv/mirrors, /"),
        ("HANSE_REPOSITORY_ROOTS", "/srv/.."),
        ("HANSE_SECRET_KEY_FILE", "does/not/exist"),
    ],
)
def test_a_value_that_cannot_work_is_refused_in_one_line(name, value, tmp_path):
    with pytest.raises(ConfigError) as refusal:
        load({"HANSE_DATA": str(tmp_path), name: value})
    assert name.removesuffix("_ID") in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_the_identity_provider_is_asked_and_which_claim_names_groups_can_be_set(tmp_path):
    environ = {
        "HANSE_DATA": str(tmp_path),
        "HANSE_OIDC_CLIENT_ID": "hanse",
        "HANSE_OIDC_SERVER_URL": "https://login.example",
    }
    usual = load(environ).oidc
    assert (usual.scope, usual.groups) == (("openid", "email", "profile"), "groups")
    told = load({**environ, "HANSE_OIDC_SCOPE": "openid email  groups", "HANSE_OIDC_GROUPS": "roles"}).oidc
    assert (told.scope, told.groups) == (("openid", "email", "groups"), "roles")
    with pytest.raises(ConfigError, match="HANSE_OIDC_SCOPE"):
        load({**environ, "HANSE_OIDC_SCOPE": "email"})


def test_secrets_come_from_files_and_never_show(tmp_path):
    (tmp_path / "key").write_text("from-a-file\n")
    environ = {
        "HANSE_DATA": str(tmp_path),
        "HANSE_SECRET_KEY_FILE": str(tmp_path / "key"),
        "DATABASE_URL": "postgresql://u:hunter2@db/hanse",
        "HANSE_DB_APP_DSN": "postgresql://a:hunter3@db/hanse",
    }
    config = load(environ)
    assert config.secret_key == "from-a-file"
    assert config.dsn("owner") == environ["DATABASE_URL"]
    assert not {"from-a-file", "hunter2", "hunter3"} & set(re.findall(r"[\w-]+", repr(config)))


def test_sockets_find_a_short_place_when_the_data_directory_is_deep(tmp_path):
    deep = tmp_path / ("d" * 100)
    assert len(str(load({"HANSE_DATA": str(deep)}).run_dir / "pg" / ".s.PGSQL.5432")) < 107


def test_commands_find_where_this_data_is_served(tmp_path):
    recorded = {"port": 9000, "url": "http://localhost:9000", "gateway_url": "http://localhost:9001"}
    (tmp_path / "address.json").write_text(json.dumps(recorded))
    data = {"HANSE_DATA": str(tmp_path)}
    found = load(data)
    assert (found.port, found.url, found.gateway_url) == tuple(recorded.values())
    assert load(data | {"HANSE_PORT": "9000"}).gateway_url == "http://localhost:9001"
    assert load(data | {"HANSE_PORT": "9100"}).gateway_url == "http://localhost:9100"
    assert load(data | {"HANSE_URL": "https://hanse.example"}).gateway_url == "https://hanse.example"
    (tmp_path / "address.json").write_text("{")
    assert load(data).port == 8000


@pytest.mark.parametrize("url", ["https://mail.example", "smtp://", "mail.example:25"])
def test_a_mail_server_is_named_by_an_smtp_url(tmp_path, url):
    with pytest.raises(ConfigError, match="HANSE_MAIL_URL"):
        load({"HANSE_DATA": str(tmp_path), "HANSE_MAIL_URL": url})


def test_the_mail_password_shows_nowhere(tmp_path):
    config = load({"HANSE_DATA": str(tmp_path), "HANSE_MAIL_URL": "smtps://hanse:hunter2@mail.example"})
    assert config.mail_url.endswith("@mail.example")
    assert "hunter2" not in repr(config)
