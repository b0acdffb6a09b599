"""*Create Portal Account*: the dialog that several screens share."""
