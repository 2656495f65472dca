"""Calls of wrapped HTTP APIs: the request from its approved plan, and the answer as a result of MCP."""
