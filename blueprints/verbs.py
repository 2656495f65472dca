"""What can be done to blueprints, forks, the harness and repositories, as the audit log names it."""

from typing import Final

from audit import verbs

VERSION_PROPOSED: Final = "blueprints.version.proposed"
VERSION_PUBLISHED: Final = "blueprints.version.published"
VERSION_REJECTED: Final = "blueprints.version.rejected"
VERSION_WITHDRAWN: Final = "blueprints.version.withdrawn"
BLUEPRINT_DEPRECATED: Final = "blueprints.blueprint.deprecated"
BLUEPRINT_RESTORED: Final = "blueprints.blueprint.restored"
FORKED: Final = "blueprints.fork.created"
FORK_CHANGED: Final = "blueprints.fork.changed"
FORK_REBASED: Final = "blueprints.fork.rebased"
FORK_FOLLOWED: Final = "blueprints.fork.followed"
FORK_CONFIGURED: Final = "blueprints.fork.configured"
FORK_RETIRED: Final = "blueprints.fork.retired"
REQUEST_OPENED: Final = "blueprints.request.opened"
REQUEST_ACCEPTED: Final = "blueprints.request.accepted"
REQUEST_DECLINED: Final = "blueprints.request.declined"
REQUEST_WITHDRAWN: Final = "blueprints.request.withdrawn"
LAYER_CHANGED: Final = "blueprints.layer.changed"
CHECK_WAIVED: Final = "blueprints.check.waived"
WAIVER_LIFTED: Final = "blueprints.waiver.lifted"
REPOSITORY_REGISTERED: Final = "blueprints.repository.registered"
REPOSITORY_CHANGED: Final = "blueprints.repository.changed"
REPOSITORY_REMOVED: Final = "blueprints.repository.removed"
REPOSITORY_MEASURED: Final = "blueprints.repository.measured"
PATTERN_LOWERED: Final = "blueprints.pattern.lowered"
PATTERN_ASKED: Final = "blueprints.pattern.asked"
PATTERN_APPROVED: Final = "blueprints.pattern.approved"
PATTERN_DECLINED: Final = "blueprints.pattern.declined"

LABELS: Final = {
    VERSION_PROPOSED: "Proposed a blueprint version",
    VERSION_PUBLISHED: "Published a blueprint version",
    VERSION_REJECTED: "Rejected a blueprint version",
    VERSION_WITHDRAWN: "Withdrew a blueprint version",
    BLUEPRINT_DEPRECATED: "Deprecated a blueprint",
    BLUEPRINT_RESTORED: "Restored a blueprint",
    FORKED: "Forked a blueprint",
    FORK_CHANGED: "Changed a fork",
    FORK_REBASED: "Rebased a fork",
    FORK_FOLLOWED: "Moved a configuration to a new version",
    FORK_CONFIGURED: "Made a fork a configuration",
    FORK_RETIRED: "Retired a fork",
    REQUEST_OPENED: "Proposed a change upstream",
    REQUEST_ACCEPTED: "Accepted a change from a fork",
    REQUEST_DECLINED: "Declined a change from a fork",
    REQUEST_WITHDRAWN: "Withdrew a change request",
    LAYER_CHANGED: "Changed a harness layer",
    CHECK_WAIVED: "Waived a check",
    WAIVER_LIFTED: "Lifted a waiver",
    REPOSITORY_REGISTERED: "Registered a repository",
    REPOSITORY_CHANGED: "Changed a repository",
    REPOSITORY_REMOVED: "Removed a repository",
    REPOSITORY_MEASURED: "Measured a repository",
    PATTERN_LOWERED: "Lowered a repository's pattern",
    PATTERN_ASKED: "Asked to raise a pattern",
    PATTERN_APPROVED: "Approved a raised pattern",
    PATTERN_DECLINED: "Declined a raised pattern",
}


def register() -> None:
    """Makes the audit log accept these acts."""
    verbs.register("blueprints", LABELS)
