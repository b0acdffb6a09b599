"""*Where you are signed in*: part of *Your account* and of *My record*."""
