"""Accounts: signing in, sessions, passwords."""
