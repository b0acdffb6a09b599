"""What patients who may be the same are found by."""

from __future__ import annotations

from sqlmodel import Field

from clinic_app.models.base import TableModel, table_of


class MatchKey(TableModel, table=True):
    """A patient stands under this key: a checksum of parts of a name and of a birth date, of a phone, of an email.

    Written with the patient; how keys are made: ``services/patients/duplicates/keys.py``. Checksums may coincide, and
    keys of a patient who is gone may stay: whoever is found is compared.
    """

    __tablename__ = "match_keys"
    __table_args__ = {"sqlite_with_rowid": False}

    key: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})  # 32 bits, signed
    patient_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})  # patients.id


#: What statements are made of.
MATCH_KEYS = table_of(MatchKey)
