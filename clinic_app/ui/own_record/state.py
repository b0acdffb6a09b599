"""*My record*: the signed-in patient's own, decided by the session alone."""

from __future__ import annotations

import reflex as rx

from clinic_app.core.errors import ClinicError
from clinic_app.services.access import Permission
from clinic_app.services.accounts.own_sessions import take_failed_tries
from clinic_app.services.portal.own_record import own_record
from clinic_app.ui import presenters
from clinic_app.ui.session.drawn import path_of
from clinic_app.ui.session.handler import Asking, handler
from clinic_app.ui.session.presses import enter_line
from clinic_app.ui.view_models import Fact, Happening


class OwnRecordState(Asking, rx.State):
    """A patient's own details and who has looked at them."""

    first_name: str = ""
    details: list[Fact] = []
    contact: list[Fact] = []
    viewers: list[Happening] = []
    viewed: str = ""  # how many viewings are shown, where there are more
    failure: str = ""
    tries: str = ""  # what failed before this sign-in, said once
    loaded: bool = False

    def _fail(self, error: ClinicError) -> None:
        self.failure = error.detail

    @handler(Permission.OWN_RECORD)
    async def load(self):
        """Ask for the record. A temporary password is sent to choose one's own first."""
        self.failure = ""
        await enter_line(self, path_of(self))
        view = await self._ask(own_record)
        self.first_name = view.first_name
        self.details, self.contact = presenters.own_details(view), presenters.own_contact(view)
        self.viewers = [presenters.viewing(look) for look in view.viewings]
        self.viewed = f"The latest {len(self.viewers)} are shown." if view.viewed_before else ""
        told = await self._ask(take_failed_tries)
        if told is not None:  # after a lost connection what is shown stays
            self.tries = presenters.failed_tries(told)
        self.loaded = True
