"""*My record*."""
