"""The front desk of a clinic: registration, search, portal access; a patient portal; an audit trail."""
