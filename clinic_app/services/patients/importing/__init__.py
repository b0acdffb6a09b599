"""Patients from a file: read, checked against the register, decided, taken in; resumable."""
