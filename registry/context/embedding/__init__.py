"""Vectors of texts: the built-in model, and the choice of another."""
