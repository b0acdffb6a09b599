"""*Patient profile*."""
