"""Writes to blueprints: check permission, change, audit, return the object."""
