"""The application: plain functions, one transaction each."""
