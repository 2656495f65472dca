"""Writes to sources, documents and imports: check permission, change, audit, return the object."""
