"""Backups: one file with the whole clinic in it, made while it works and checked before it counts."""
