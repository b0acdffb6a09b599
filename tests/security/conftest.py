"""One clinic for all attacks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.serving import Server
from tests.security import attack

LOUD = {"CLINIC_LOG_LEVEL": "DEBUG", **attack.ROOM}


@pytest.fixture(scope="package")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[attack.Target]:
    """A served clinic, with everything logged that the server can log."""
    folder = tmp_path_factory.mktemp("attacked")
    with attack.target(Server(folder, "tests.security.looking_in:create", **LOUD)) as made:
        yield made


@pytest.fixture(scope="package")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[attack.Target]:
    """Another one, whose edge lets everybody connect: there the guard stands alone."""
    folder = tmp_path_factory.mktemp("behind")
    with attack.target(Server(folder, "tests.security.open_door:create", **LOUD)) as made:
        yield made
