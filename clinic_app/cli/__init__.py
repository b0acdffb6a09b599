"""The command line, ``python -m clinic_app``."""
