"""*Portal work list*."""
