"""Forks: typed operations on one base version, what they change, and how they move to a new version."""
