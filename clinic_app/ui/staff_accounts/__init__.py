"""*Staff accounts*."""
