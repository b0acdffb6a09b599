"""*Confirm it is you*."""
