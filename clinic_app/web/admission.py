"""How many requests are in work at once, in all and for one address."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

from clinic_app.core.addresses import networks
from clinic_app.web import refusals
from clinic_app.web.refusals import Refused


class Admission:
    """The requests in work in one process: those that have arrived whole and are not answered yet.

    An address that opens request upon request without sending them keeps nobody out, nor does a session that sends
    many at once: they wait in ``Arrivals`` and for their ``Turns``.
    """

    def __init__(self, per_address: int, at_once: int) -> None:
        self._per_address, self._at_once = per_address, at_once
        self._in_work = Counter[str]()
        self._count = 0

    @contextlib.contextmanager
    def admitted(self, address: str) -> Iterator[None]:
        """Take a request of ``address``, as ``client_address`` writes it, into work for as long as the block lasts.

        Raises ``Refused`` when that is one too many, of this address or in all.
        """
        source = networks(address)[0]
        if self._in_work[source] >= self._per_address:
            raise Refused(refusals.ADDRESS_BUSY)
        if self._count >= self._at_once:
            raise Refused(refusals.SERVER_BUSY)
        self._in_work[source] += 1
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
            self._in_work[source] -= 1
            if not self._in_work[source]:
                del self._in_work[source]
