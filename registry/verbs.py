"""What can be done to servers, tools and credentials, as the audit log names it."""

from typing import Final

from audit import verbs

SERVER_REGISTERED: Final = "registry.server.registered"
SERVER_CHANGED: Final = "registry.server.changed"
SERVER_ACTIVATED: Final = "registry.server.activated"
SERVER_QUARANTINED: Final = "registry.server.quarantined"
SERVER_RETIRED: Final = "registry.server.retired"
SERVER_PROBED: Final = "registry.server.probed"
DOCUMENT_PROPOSED: Final = "registry.document.proposed"
DOCUMENT_TAKEN: Final = "registry.document.taken"
DOCUMENT_DISCARDED: Final = "registry.document.discarded"
TOOL_APPROVED: Final = "registry.tool.approved"
TOOL_REJECTED: Final = "registry.tool.rejected"
TOOL_CLASSIFIED: Final = "registry.tool.classified"
GROUP_CREATED: Final = "registry.group.created"
GROUP_CHANGED: Final = "registry.group.changed"
CREDENTIAL_SET: Final = "registry.credential.set"
CREDENTIAL_REMOVED: Final = "registry.credential.removed"

LABELS: Final = {
    SERVER_REGISTERED: "Registered a server",
    SERVER_CHANGED: "Changed a server",
    SERVER_ACTIVATED: "Activated a server",
    SERVER_QUARANTINED: "Quarantined a server",
    SERVER_RETIRED: "Retired a server",
    SERVER_PROBED: "Found a server's tools changed",
    DOCUMENT_PROPOSED: "Proposed an API's next document",
    DOCUMENT_TAKEN: "Made an API's operations tools",
    DOCUMENT_DISCARDED: "Discarded an API's proposed document",
    TOOL_APPROVED: "Approved a tool",
    TOOL_REJECTED: "Rejected a tool",
    TOOL_CLASSIFIED: "Classified a tool",
    GROUP_CREATED: "Created a tool group",
    GROUP_CHANGED: "Changed a tool group",
    CREDENTIAL_SET: "Set a credential",
    CREDENTIAL_REMOVED: "Removed a credential",
}


def register() -> None:
    """Makes the audit log accept these acts."""
    verbs.register("registry", LABELS)
