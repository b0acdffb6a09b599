"""What became of a press without an answer: asked by the browser after every new connection."""

from __future__ import annotations

import dataclasses
from typing import Any

import reflex as rx

from clinic_app.core.errors import ClinicError
from clinic_app.services import intents
from clinic_app.services.access import Permission
from clinic_app.ui.session import presses
from clinic_app.ui.session.handler import Asking, handler, text
from clinic_app.ui.session.presses import NOT_SENT, PressState


class ResumeState(Asking, rx.State):
    """Has nothing of its own: outcomes are shown by the screens."""

    def _fail(self, error: ClinicError) -> None:
        """The press stays without an answer: the browser asks again after the next connection."""

    @handler(Permission.OWN_SESSION)
    async def resume(self, form: dict[str, Any]):
        """Show what the press ``intent`` has done, or say that it was not sent.

        ``had`` is the mark of credentials that the page had on its screen and lost with the server's memory. Whoever
        has ``left`` credentials that were on the screen is told that they are gone; nothing is issued anew.
        """
        press = presses.press_of(form)
        if not press:
            return None
        intent, told = presses.intent_of(press), await self.get_state(PressState)
        if told.answered.partition(" ")[0] == press:  # its answer has come meanwhile, and what it did is on the screen
            return None
        left = form.get("left") == "yes"
        if left:
            await self._ask(intents.mark_seen, intent)
        done = await self._ask(intents.outcome, intent)
        if done is None:
            told._tell(*NOT_SENT[presses.fields_of(form.get("what"))], bad=True, lost=True)
            told.answered = f"{press} lost"
            return None
        done = dataclasses.replace(done, had=text(form.get("had"), 16))
        shown = told._tell(*presses.left_words(done)) if left else await presses.show(self, done)
        told.answered = f"{press} done"
        return shown
