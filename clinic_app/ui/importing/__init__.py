"""The page *Import and export*."""
