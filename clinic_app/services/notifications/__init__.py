"""Messages to patients, sent after the commit."""
