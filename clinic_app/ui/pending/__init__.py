"""*Pending verification*."""
