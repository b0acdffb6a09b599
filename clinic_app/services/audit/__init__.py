"""The audit trail: recording, refusing with a trace, reading, verifying."""
