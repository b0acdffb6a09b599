"""*Portal accounts in bulk*."""
