"""Patients: registering, finding, editing."""
