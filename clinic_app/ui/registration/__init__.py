"""*Patient registration*."""
