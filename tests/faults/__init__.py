"""Machines that die: the server under faults, through HTTP and sockets. What was measured: docs/reliability.md."""
