"""What Django REST framework and drf-spectacular are told."""

from blueprints.format.schema import NAMESPACE, SEMVER

REST_FRAMEWORK: dict[str, object] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["portal.rest.authentication.PrincipalAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["portal.rest.authentication.SignedIn"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["portal.rest.parsers.StrictJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "portal.rest.parsers.AlwaysJSON",
    "DEFAULT_THROTTLE_CLASSES": ["portal.rest.throttling.PrincipalThrottle"],
    "DEFAULT_THROTTLE_RATES": {"principal": "1200/min", "heavy": "12/min"},
    # The server has put the caller's address right already; the header itself says whatever a stranger wants.
    "NUM_PROXIES": 0,
    "DEFAULT_SCHEMA_CLASS": "portal.rest.schema.OperationSchema",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "portal.rest.problems.answer_problem",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}

SPECTACULAR_SETTINGS: dict[str, object] = {
    "TITLE": "Hanse",
    "VERSION": "1",
    "DESCRIPTION": (
        "Everything that the portal does. Errors are problem details (RFC 9457). Lists are read page by page with an "
        "opaque cursor. A change of a versioned object needs `If-Match` with the `ETag` that was read. A `POST` with an "
        "`Idempotency-Key` happens once in 24 hours, however often it is sent. What one may not see answers 404."
    ),
    "LICENSE": {"name": "Apache-2.0"},
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_PATCH": False,
    "PATH_CONVERTER_OVERRIDES": {
        "namespace": {"type": "string", "maxLength": 55, "pattern": f"^(?:{NAMESPACE})$"},
        "semver": {"type": "string", "maxLength": 64, "pattern": f"^{SEMVER}$"},
    },
    "SORT_OPERATION_PARAMETERS": True,
    "ENABLE_DJANGO_DEPLOY_CHECK": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "portal.rest.schema.describe_problems",
    ],
    "ENUM_NAME_OVERRIDES": {
        "Effect": "portal.rest.fields.EFFECTS",
        "Sensitivity": "portal.rest.fields.SENSITIVITIES",
        "Tier": "portal.rest.fields.TIERS",
        "NewTier": "portal.rest.fields.NEW_TIERS",
        "Role": "portal.rest.fields.ROLES",
        "Concern": "portal.rest.fields.CONCERNS",
        "Origin": "portal.rest.fields.ORIGINS",
        "Profile": "portal.rest.fields.PROFILES",
        "AgentStatus": "portal.rest.fields.AGENT_STATUSES",
        "ServerStatus": "registry.models.Server.Status",
        "Transport": "registry.models.Server.Transport",
        "ToolState": "registry.models.Tool.State",
        "CredentialKind": "portal.rest.fields.CREDENTIAL_KINDS",
        "GitCredentialKind": "registry.git.access.KINDS",
        "StepState": "portal.rest.fields.STEP_STATES",
        "QuestionKind": "portal.rest.fields.QUESTION_KINDS",
        "PlanMark": "portal.rest.fields.PLAN_MARKS",
        "Verdict": "portal.rest.fields.VERDICTS",
        "EventKind": "portal.rest.fields.EVENT_KINDS",
        "BlueprintStatus": "blueprints.models.Blueprint.Status",
        "Pattern": "blueprints.models.PATTERNS",
        "Variant": "blueprints.models.VARIANTS",
        "VersionStatus": "blueprints.models.Version.Status",
        "ForkStatus": "blueprints.models.Fork.Status",
        "ForkMode": "blueprints.models.Fork.Mode",
        "ChangeRequestStatus": "blueprints.models.ChangeRequest.Status",
        "ChangeState": "portal.rest.blueprint_fields.STATES",
        "KeyScope": "portal.rest.fields.SCOPES",
        "RepositoryPattern": "blueprints.models.Repository.Pattern",
        "MeasurementStage": "blueprints.models.Repository.Stage",
        "PatternRequestStatus": "blueprints.models.PatternRequest.Status",
        "RepositoryState": "blueprints.queries.repositories.STATE_CHOICES",
        "SourceKind": "registry.context.models.Source.Kind",
        "ImportState": "registry.context.models.Import.State",
        "ImportItemState": "registry.context.models.ImportItem.State",
        "MemoryState": "registry.context.memories.Memory.State",
        "SearchMode": "portal.rest.context_filters.SEARCH_MODES",
        "PatternReason": "portal.rest.resources.repositories.BECAUSE",
    },
}
