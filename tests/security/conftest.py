"""One clinic for all attacks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.serving import Server
from tests.security import attack


@pytest.fixture(scope="package")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[attack.Target]:
    """A served clinic, with everything logged that the server can log."""
    with attack.target(Server(tmp_path_factory.mktemp("attacked"), CLINIC_LOG_LEVEL="DEBUG")) as made:
        yield made
