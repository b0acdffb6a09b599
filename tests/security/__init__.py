"""Attacks, from outside where that is possible."""
