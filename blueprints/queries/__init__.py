"""Reads of blueprints, forks, change requests, harness and repositories, each already limited to the principal."""
