"""Messages: what is written with the work it tells of, and sent after the commit."""
