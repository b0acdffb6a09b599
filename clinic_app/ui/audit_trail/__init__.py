"""*Audit trail*."""
