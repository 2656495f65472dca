"""HTTP APIs described by OpenAPI 3.0 and 3.1: a document in, MCP tool definitions with their request plans out. Pure."""
