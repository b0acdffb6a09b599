"""*Your account*."""
