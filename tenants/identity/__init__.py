"""Agents, delegations and the tokens that carry both identities."""
