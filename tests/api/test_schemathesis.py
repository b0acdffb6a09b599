"""The whole API against its own description, by generated requests: no 500, nothing undocumented, nobody let in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS

from clinic_app.core import db
from clinic_app.models.accounts import Role
from clinic_app.services.accounts import tokens
from tests import factories
from tests.api.conftest import served
from tests.conftest import migrate

pytestmark = pytest.mark.slow
#: Checks left out, each for a reason.
EXCLUDED = {
    # rules such as "a valid phone number", "a real date" or "not taken yet" cannot be said in JSON Schema
    "positive_data_acceptance",
}
schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", served())


@pytest.fixture(scope="module")
def _clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A database with real commits, and a patient to find."""
    url = f"sqlite:///{tmp_path_factory.mktemp('schema') / 'clinic.sqlite3'}"
    migrate(url)
    engine = db.make_engine(url)
    db.bind(engine)
    admin = factories.make_staff(Role.ADMIN, "schema-admin")
    factories.make_patient(admin, portal_email="schema@example.org")
    yield
    db.use(None)
    engine.dispose()


@schema.parametrize()
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_against_its_description(case: schemathesis.Case, _clinic: None) -> None:
    access = tokens.issue_tokens("schema-admin", factories.PASSWORD).access
    case.call_and_validate(
        headers={"Authorization": f"Bearer {access}"},
        excluded_checks=[check for check in CHECKS.get_all() if check.__name__ in EXCLUDED],
    )
