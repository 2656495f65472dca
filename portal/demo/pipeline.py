"""A deployment pipeline: an internal application of the demo estate, with an MCP server in front of it."""

import json
from pathlib import Path
from typing import Annotated, Any, Final

from mcp.server import MCPServer
from mcp_types import ToolAnnotations
from pydantic import Field

from kernel import clock
from portal.demo.store import Store

SERVICES: Final = ("storefront-web", "checkout-api", "card-vault", "ledger-core", "fleet-tracker")
ENVIRONMENTS: Final = ("staging", "production")

Service = Annotated[str, Field(description=f"One of {', '.join(SERVICES)}.")]
Environment = Annotated[str, Field(description="staging or production.")]

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS deployment (
  id INTEGER PRIMARY KEY, service TEXT NOT NULL, environment TEXT NOT NULL, version TEXT NOT NULL,
  state TEXT NOT NULL, at TEXT NOT NULL, note TEXT NOT NULL DEFAULT ''
)
"""


class Pipeline:
    """Keeps deployments. The newest successful one of a service in an environment is what runs there."""

    def __init__(self, path: Path) -> None:
        self._store = Store(path, SCHEMA)
        if not self._store.rows("SELECT 1 FROM deployment LIMIT 1"):
            for service in SERVICES:
                for environment in ENVIRONMENTS:
                    self._add(service, environment, "1.0.0", "first release")

    def list(self, service: str | None, environment: str | None, limit: int) -> list[dict[str, Any]]:
        """Returns deployments, newest first."""
        return self._store.rows(
            "SELECT * FROM deployment WHERE (:service IS NULL OR service = :service)"
            " AND (:environment IS NULL OR environment = :environment) ORDER BY id DESC LIMIT :limit",
            service=service,
            environment=environment,
            limit=max(1, min(limit, 100)),
        )

    def deploy(self, service: str, environment: str, version: str, note: str) -> dict[str, Any]:
        """Returns the new deployment. Production takes only a version that ran in staging."""
        _require(service, environment)
        if environment == "production" and not self._ran_in_staging(service, version):
            raise ValueError(f"{service} {version} has not been in staging.")
        return self._add(service, environment, version, note)

    def roll_back(self, service: str, environment: str) -> dict[str, Any]:
        """Returns the deployment that puts the version before back in place; what it replaces is marked."""
        _require(service, environment)
        running = self.list(service, environment, 2)
        if len(running) < 2:
            raise ValueError(f"There is nothing before {running[0]['version']} to go back to.")
        self._store.write("UPDATE deployment SET state = 'rolled back' WHERE id = :id", id=running[0]["id"])
        return self._add(service, environment, running[1]["version"], f"back from {running[0]['version']}")

    def _ran_in_staging(self, service: str, version: str) -> bool:
        found = self._store.rows(
            "SELECT 1 FROM deployment WHERE service = :service AND environment = 'staging' AND version = :version",
            service=service,
            version=version,
        )
        return bool(found)

    def _add(self, service: str, environment: str, version: str, note: str) -> dict[str, Any]:
        key = self._store.write(
            "INSERT INTO deployment (service, environment, version, state, at, note)"
            " VALUES (:service, :environment, :version, 'live', :at, :note)",
            service=service,
            environment=environment,
            version=version,
            at=clock.timestamp(),
            note=note,
        )
        return self._store.rows("SELECT * FROM deployment WHERE id = :id", id=key)[0]


def pipeline_server(path: Path) -> MCPServer:
    """Returns the pipeline's MCP server over its store."""
    pipeline = Pipeline(path)
    server = MCPServer("deployment-pipeline", title="Deployment pipeline", version="1.2.0", log_level="WARNING")

    @server.tool(title="List deployments", annotations=ToolAnnotations(read_only_hint=True))
    def list_deployments(service: str | None = None, environment: str | None = None, limit: int = 20) -> str:
        """Lists deployments, newest first, of one service or environment or of all."""
        return json.dumps(pipeline.list(service, environment, limit))

    @server.tool(title="Deploy", annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False))
    def deploy(service: Service, environment: Environment, version: str, note: str = "") -> str:
        """Deploys a version of a service. Production takes only what has been in staging."""
        return json.dumps(pipeline.deploy(service, environment, version, note))

    @server.tool(title="Roll back", annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True))
    def roll_back(service: Service, environment: Environment) -> str:
        """Puts the version before back in place. What ran is taken down."""
        return json.dumps(pipeline.roll_back(service, environment))

    return server


def _require(service: str, environment: str) -> None:
    if service not in SERVICES or environment not in ENVIRONMENTS:
        raise ValueError(f"Unknown service or environment: {service}, {environment}.")
