"""Maps `portal.config` to Django. A value that an operator can set is in `config.py`; what is here is decided."""

import gc
import os
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from django.contrib.messages import constants as message_levels

from portal import compat
from portal.config import load
from portal.dsn import django_database, embedded_dsn
from portal.provider import providers
from portal.rest.settings import REST_FRAMEWORK, SPECTACULAR_SETTINGS  # noqa: F401 - settings, found by name

gc.disable()  # what is loaded from here on stays, and looking for garbage in it is a seventh of a start; see `portal.apps`

BASE_DIR: Final = Path(__file__).resolve().parent.parent
HANSE: Final = load(os.environ)
IS_SECURE: Final = HANSE.url.startswith("https://")

DEBUG = HANSE.debug
SECRET_KEY = HANSE.secret_key
ALLOWED_HOSTS = list(HANSE.allowed_hosts)
CSRF_TRUSTED_ORIGINS = [HANSE.url]

INSTALLED_APPS = [
    "audit",
    "tenants",
    "registry",
    "blueprints",
    "learning",
    "portal",
    "portal.rest",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "rest_framework",
    "drf_spectacular",
    "django_filters",
    "django_htmx",
    "guardian",
    "simple_history",
    *compat.PARTIALS_APPS,
]

MIDDLEWARE = [
    "portal.health.Probes",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "portal.csp.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "portal.middleware.PrincipalMiddleware",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "builtins": list(compat.PARTIALS_BUILTINS),
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.csp.nonce",
            ],
            "loaders": compat.cached_loaders(),
        },
    },
]

# --- database -------------------------------------------------------------------------------------------------------

_DSN: Final = HANSE.dsn(HANSE.role) or embedded_dsn(
    socket_dir=HANSE.run_dir / "pg",
    database="hanse",
    user=HANSE.role,
    password="not-set-up-yet",  # noqa: S106 - no login has it
)
_IDENTITY: Final = django_database(_DSN)
_OPTIONS: Final = _IDENTITY["OPTIONS"] if isinstance(_IDENTITY["OPTIONS"], dict) else {}

DATABASES = {
    "default": {
        **_IDENTITY,
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**_OPTIONS, "application_name": f"hanse-{HANSE.role}", "connect_timeout": "5"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Holds the counters that slow down guessing. The default of 300 entries would let strangers push them out.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

# --- people and sign-in ---------------------------------------------------------------------------------------------

# How the registry, which stands below, reaches a server: through the gateway.
PROBE_ROUTE = "portal.probing.open_route"
# Where the blueprints' worker fetches repositories from, and who signs what it measures of them.
REPOSITORY_SOURCES = "portal.sources.repository_sources"
RECORD_SIGNER = "portal.keyring.record_signer"
# And where it gets the vectors of documents from.
EMBEDDING = {"source": HANSE.embedding.source, "model": HANSE.embedding.model, "key": HANSE.embedding.key}

AUTH_USER_MODEL = "tenants.Person"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
    "guardian.backends.ObjectPermissionBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"

ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_USER_MODEL_EMAIL_FIELD = "email"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_UNIQUE_EMAIL = True
ACCOUNT_EMAIL_VERIFICATION = "none"  # people are added by an administrator; nobody signs up
ACCOUNT_ADAPTER = "portal.signin.ClosedAccounts"
SOCIALACCOUNT_ADAPTER = "portal.signin.KnownPeopleOnly"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/5m/key"}
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_EMAIL_AUTHENTICATION = True
SOCIALACCOUNT_PROVIDERS = providers(HANSE.oidc)

GUARDIAN_MONKEY_PATCH_USER = False
ANONYMOUS_USER_NAME = None
SIMPLE_HISTORY_REVERT_DISABLED = True

# --- what a browser may do ------------------------------------------------------------------------------------------

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if IS_SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = IS_SECURE
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_NAME = "__Host-hanse" if IS_SECURE else "hanse"
SESSION_COOKIE_SECURE = IS_SECURE
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 60 * 60 * 12
CSRF_COOKIE_SECURE = IS_SECURE
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_USE_SESSIONS = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
DATA_UPLOAD_MAX_NUMBER_FILES = 1000

# --- static files ---------------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = HANSE.data / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG
MEDIA_ROOT = HANSE.data / "files"

# --- the rest -------------------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
LOGGING_CONFIG = "logging.config.dictConfig"
# A reset link is a secret, so without a mail server it goes nowhere: never into a log.
_MAIL: Final = urlsplit(HANSE.mail_url)
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if HANSE.mail_url else 'dummy'}.EmailBackend"
EMAIL_HOST = _MAIL.hostname or "localhost"
EMAIL_PORT = _MAIL.port or (465 if _MAIL.scheme == "smtps" else 587)
EMAIL_HOST_USER = unquote(_MAIL.username or "")
EMAIL_HOST_PASSWORD = unquote(_MAIL.password or "")
EMAIL_USE_SSL = _MAIL.scheme == "smtps"
EMAIL_USE_TLS = _MAIL.scheme == "smtp"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = HANSE.mail_from
MESSAGE_LEVEL = message_levels.INFO
DEFAULT_EXCEPTION_REPORTER_FILTER = "portal.reports.NothingButShape"
TEST_RUNNER = "django.test.runner.DiscoverRunner"
