"""Patients who may be the same person: who they are, how likely it is, and why.

Probabilistic matching after Fellegi and Sunter (1969). ``comparable``: what is compared of a person. ``keys``: by what
candidates are found. ``comparing``: how well two people agree, field by field. ``weights``: what that says, in bits,
and where that comes from. ``scoring``: grade and reasons. ``finding``: the question itself.
"""

from clinic_app.services.patients.duplicates import index
from clinic_app.services.patients.duplicates.comparable import Comparable
from clinic_app.services.patients.duplicates.finding import likely_matches
from clinic_app.services.patients.duplicates.scoring import Candidate, Grade, compare

__all__ = ["Candidate", "Comparable", "Grade", "compare", "index", "likely_matches"]
