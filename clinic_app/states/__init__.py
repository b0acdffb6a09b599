"""Reflex states: ask a use case, keep its view. No rule lives here."""
