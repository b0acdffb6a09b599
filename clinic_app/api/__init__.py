"""HTTP entry: JSON under /api/v1, and the routes the pages' own forms and scripts post to."""
