"""What can go wrong with an import. ``FileRefused`` is about the whole file; what is wrong with a row is in the row."""

from __future__ import annotations

from clinic_app.core.errors import Conflict, InvalidInput, NotFound


class FileRefused(InvalidInput):
    """The file cannot be read as a list of patients. ``sentence`` says why, and what helps."""

    code = "import_file_refused"

    def __init__(self, sentence: str) -> None:
        super().__init__({"file": sentence})
        self.sentence = sentence


class NoSuchImport(NotFound):
    """There is no such import, or it does not stand as the action needs it."""

    code = "import_not_found"
    title = "Import not found"
    detail = "This import has changed meanwhile. Nothing was done."


class ImportUnderWay(Conflict):
    """One import at a time."""

    code = "import_under_way"
    title = "An import is under way"
    detail = "Another file is being checked or imported just now. Nothing was begun."


class NoSuchRow(NotFound):
    """There is no such row among those to decide, or the patient is not one of its candidates."""

    code = "import_row_not_found"
    title = "Row not found"
    detail = "This row is not waiting for a decision. Nothing was changed."


class PartOutOfPlace(Conflict):
    """A part of a file that does not follow on what has come; ``received`` says how many bytes have."""

    code = "import_part_out_of_place"
    title = "Part out of place"
    detail = "This part does not follow the last one."

    def __init__(self, received: int) -> None:
        super().__init__()
        self.received = received
