"""What can go wrong with backups, in words."""

from __future__ import annotations

from clinic_app.core.errors import Conflict, InvalidInput


class BackupFailed(Conflict):
    """No backup was made, and nothing is left of the attempt."""

    code = "backup_failed"
    title = "No backup was made"


class NotABackup(InvalidInput):
    """The file is no backup of this program, or is damaged."""

    code = "not_a_backup"

    def __init__(self, words: str) -> None:
        super().__init__({"file": words}, "Not a backup")


class RestoreRefused(Conflict):
    """The backup does not fit this clinic as it is; nothing was changed."""

    code = "restore_refused"
    title = "Nothing was restored"


class MoveRefused(Conflict):
    """The clinic was not moved; its database is as it was."""

    code = "move_refused"
    title = "The clinic was not moved"
