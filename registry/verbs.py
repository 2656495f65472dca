"""What can be done to servers, tools and credentials, as the audit log names it."""

from typing import Final

from audit import verbs

SERVER_REGISTERED: Final = "registry.server.registered"
SERVER_CHANGED: Final = "registry.server.changed"
SERVER_ACTIVATED: Final = "registry.server.activated"
SERVER_QUARANTINED: Final = "registry.server.quarantined"
SERVER_RETIRED: Final = "registry.server.retired"
SERVER_PROBED: Final = "registry.server.probed"
SERVER_PROVIDED: Final = "registry.server.provided"
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
SOURCE_ADDED: Final = "registry.source.added"
SOURCE_CHANGED: Final = "registry.source.changed"
SOURCE_REMOVED: Final = "registry.source.removed"
DOCUMENT_REMOVED: Final = "registry.document.removed"
IMPORT_BEGUN: Final = "registry.import.begun"
IMPORT_PAUSED: Final = "registry.import.paused"
IMPORT_RESUMED: Final = "registry.import.resumed"
IMPORT_RETRIED: Final = "registry.import.retried"
IMPORT_CANCELLED: Final = "registry.import.cancelled"
IMPORT_ENDED: Final = "registry.import.ended"
MEMORY_ACCEPTED: Final = "registry.memory.accepted"
MEMORY_REJECTED: Final = "registry.memory.rejected"
MEMORY_ERASED: Final = "registry.memory.erased"
GAPS_FORGOTTEN: Final = "registry.gaps.forgotten"

LABELS: Final = {
    SERVER_REGISTERED: "Registered a server",
    SERVER_CHANGED: "Changed a server",
    SERVER_ACTIVATED: "Activated a server",
    SERVER_QUARANTINED: "Quarantined a server",
    SERVER_RETIRED: "Retired a server",
    SERVER_PROBED: "Found a server's tools changed",
    SERVER_PROVIDED: "Provided an internal server",
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
    SOURCE_ADDED: "Added a source of documents",
    SOURCE_CHANGED: "Changed a source of documents",
    SOURCE_REMOVED: "Removed a source and its documents",
    DOCUMENT_REMOVED: "Removed a document",
    IMPORT_BEGUN: "Began to read a source",
    IMPORT_PAUSED: "Paused an import",
    IMPORT_RESUMED: "Resumed an import",
    IMPORT_RETRIED: "Retried what an import could not read",
    IMPORT_CANCELLED: "Cancelled an import",
    IMPORT_ENDED: "Read a source",
    MEMORY_ACCEPTED: "Accepted what an agent learned",
    MEMORY_REJECTED: "Rejected what an agent learned",
    MEMORY_ERASED: "Erased what an agent learned",
    GAPS_FORGOTTEN: "Erased what agents asked in vain",
}


def register() -> None:
    """Makes the audit log accept these acts."""
    verbs.register("registry", LABELS)
