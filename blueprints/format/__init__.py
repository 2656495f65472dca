"""The format: reading it safely, what it may hold, and its JSON Schema from the same description."""
