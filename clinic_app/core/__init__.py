"""Technical ground: settings, database, errors, clock, secrets, logs. Knows nothing of clinics."""
