"""A command that cannot go on. In a module of its own, since the server's start reads builds without a command line."""

from __future__ import annotations


class CommandFailed(Exception):
    """A command cannot go on. The text is one sentence for whoever typed it; ``code`` is the exit code."""

    def __init__(self, sentence: str, code: int = 1) -> None:
        self.code = code
        super().__init__(sentence)
