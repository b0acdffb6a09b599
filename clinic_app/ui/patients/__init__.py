"""*Patients*: the list."""
