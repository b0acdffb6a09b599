"""*Possible duplicates*, and *Compare and merge*."""
