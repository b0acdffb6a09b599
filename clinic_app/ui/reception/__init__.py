"""*Reception*."""
