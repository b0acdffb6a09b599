"""The exact words, in the components; and what they are made of, values and Vars alike."""

from __future__ import annotations

import re

import pytest
import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.kit import feedback, forms, patient_table, shell, suggestions
from clinic_app.ui.kit.base import pick, when
from clinic_app.ui.kit.slip import slip
from clinic_app.ui.portal_dialog import view as portal
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.profile.access import access_panel
from clinic_app.ui.view_models import Access, PatientRow, Problem, Who

CLINIC = shell.Clinic("Test Clinic", "020 000", "tel:+25420000", "always", demo=True)
ROW = PatientRow(id=7, patient_id="LMC000007", name="Amina Odhiambo", initials="AO", href="/patients/LMC000007")


def drawn(component: rx.Component) -> str:
    """What the component compiles to, as one line of text."""
    return re.sub(r"\s+", " ", str(component.render())).replace("\\\\u2713", "✓")


def success() -> str:
    return drawn(portal.success_step())


def test_the_search_box_is_of_the_type_its_role_may_have() -> None:
    with_popup, alone = forms.search_field(popup=rx.el.div()), forms.search_field()
    assert 'role:"combobox"' in drawn(with_popup)
    assert 'type:"text"' in drawn(with_popup)
    assert "combobox" not in drawn(alone)
    assert 'type:"search"' in drawn(alone)


@pytest.mark.parametrize(("variant", "radix"), [("primary", "solid"), ("secondary", "soft"), ("outline", "outline")])
def test_portal_button_has_three_variants(variant: str, radix: str) -> None:
    assert f'variant:"{radix}"' in drawn(portal.portal_account_button(has_access=False, variant=variant))


@pytest.mark.parametrize(("size", "radix"), [("sm", "2"), ("md", "3"), ("lg", "4")])
def test_portal_button_has_three_sizes(size: str, radix: str) -> None:
    assert f'size:"{radix}"' in drawn(portal.portal_account_button(has_access=False, size=size))


def test_portal_button_says_what_it_does_and_that_it_works() -> None:
    idle = drawn(portal.portal_account_button(has_access=False))
    assert "Create Portal Account" in idle
    assert "Creating..." not in idle
    busy = drawn(portal.portal_account_button(has_access=False, busy=True))
    assert "Creating..." in busy
    assert "disabled:true" in busy


def test_portal_button_gives_way_to_the_badge() -> None:
    badge = drawn(portal.portal_account_button(has_access=True))
    assert "✓ Portal Active" in badge
    assert "badge good" in badge
    assert "Create Portal Account" not in badge


@pytest.mark.parametrize(
    ("status", "due", "words", "word", "tone"),
    [
        ("none", "", "", "Disabled", "badge idle"),
        ("off", "", "", "Disabled", "badge idle"),
        ("active", "", "", "Active", "badge good"),
        ("temporary", "", "", "Active", "badge good"),
        ("temporary", "soon", "expires in 5 h", "Active", "badge good"),
        ("temporary", "never", "never signed in", "Active", "badge good"),
        ("expired", "expired", "password expired", "Active", "badge good"),
        ("locked", "locked", "locked", "Active", "badge good"),
    ],
)
def test_portal_status_is_a_word_and_a_tone_and_what_is_due(status, due, words, word, tone) -> None:
    shown = drawn(feedback.portal_status(PatientRow(portal=status, due=due, due_words=words)))
    assert f'"{word}"' in shown
    assert tone in shown
    assert ('className:"due"' in shown) == bool(words)
    assert not words or f'"{words}"' in shown


@pytest.mark.parametrize(
    "words",
    [
        "Create Portal Account",
        "Create patient portal login for ",
        '"Email"',
        "Will be used as portal login username",
        "Phone Number (Optional)",
        "For SMS notifications (optional)",
        "Portal Access",
        "A temporary password will be generated.",
        "Cancel",
    ],
)
def test_dialog_asks_in_the_words_of_the_specification(words: str) -> None:
    assert words in drawn(portal.input_step())


@pytest.mark.parametrize(
    "words",
    [
        '"Portal login credentials for "',
        '"Username"',
        '"Temporary Password"',
        "Copy username",
        "Copy temporary password",
        "Important",
        "Send these credentials securely. Patient must change password on first login.",
        "Copy Both",
        "Print",
        "Close",
    ],
)
def test_dialog_tells_in_the_words_of_the_specification(words: str) -> None:
    assert words in success()


@pytest.mark.parametrize("step", [portal.input_step, portal.success_step, portal.reset_step, portal.rename_step])
def test_every_step_names_whose_it_is(step) -> None:
    described = drawn(step()).partition("Dialog.Description")[2][:900]
    assert PortalDialogState.name._js_expr in described


def test_slip_shows_the_password_in_groups_of_four() -> None:
    page = drawn(
        slip(
            clinic=CLINIC,
            name="Amina Odhiambo",
            username="amina@example.org",
            password="hR7mWq4NxT9b",
            until="Thursday",
            address="clinic.test/patient-portal/login",
        )
    )
    assert all(f'"{group}"' in page for group in ("hR7m", "Wq4N", "xT9b"))


@pytest.mark.parametrize("status", ["active", "temporary", "expired", "locked"])
def test_access_panel_says_that_access_is_enabled(status: str) -> None:
    panel = drawn(access_panel(Access(portal=status), create=rx.el.span("create")))
    assert "Portal access is enabled for this patient" in panel
    assert "Reset temporary password" in panel
    assert "Turn off portal access" in panel


def test_access_panel_without_an_account() -> None:
    panel = drawn(access_panel(Access(), create=rx.el.span("create")))
    assert "No portal account yet" in panel
    assert "create" in panel
    off = drawn(access_panel(Access(portal="off", username="amina@example.org"), create=rx.el.span("create")))
    assert "Turn on portal access" in off


def test_who_may_not_change_gets_no_buttons() -> None:
    for status in ("none", "active", "locked", "off"):
        panel = drawn(access_panel(Access(portal=status), create=rx.el.span("create"), may_change=False))
        assert "Turn o" not in panel
        assert "Reset" not in panel
        assert '"create"' not in panel


def test_table_has_the_columns_of_the_specification_and_its_roles() -> None:
    table = drawn(patient_table.patient_table([ROW], action=lambda patient: rx.el.span(patient.name), sort="name"))
    for column in ("Patient ID", "Name", "Date of birth", "Phone", "Portal Status", "Actions"):
        assert f'"{column}"' in table
    for role in ("table", "rowgroup", "row", "columnheader", "rowheader", "cell"):
        assert f'role:"{role}"' in table
    assert table.count('"aria-sort":"ascending"') == 1
    assert table.count('"aria-sort":"none"') == 2
    assert "Not known" in table


def test_label_holds_the_exact_words_and_nothing_else() -> None:
    field = drawn(forms.field("Next of kin", "next_of_kin_name", required=False, error="Wrong."))
    assert "'contents': '\"Next of kin\"'" in field
    assert "optional" in field
    assert '"aria-invalid":"true"' in field
    assert '"aria-describedby":"next_of_kin_name-error"' in field
    assert 'role:"alert"' in field


def test_error_summary_is_there_only_when_there_is_a_problem() -> None:
    assert "There is a problem" not in drawn(forms.error_summary([]))
    summary = drawn(forms.error_summary([Problem("last_name", "Last name is required.")]))
    assert "There is a problem" in summary
    assert "#last_name" in summary


def test_plain_form_is_posted_by_the_browser() -> None:
    form = drawn(forms.plain_form(action=routes.CHANGE_PASSWORD))
    assert 'method:"post"' in form
    assert "onSubmit" not in form


def test_sign_out_form_is_one_and_says_where_it_leads() -> None:
    shown = drawn(
        shell.staff_shell(
            rx.el.h1("Page"),
            clinic=CLINIC,
            places=(shell.Place("Reception", "/", "house"),),
            who=Who(may_register=True),
        )
    )
    assert shown.count('id:"sign-out"') == 1
    assert f'"data-sign-in":"{routes.STAFF_SIGN_IN}"' in shown
    assert shown.count(f'action:"{routes.SIGN_OUT}"') == 1
    assert shell.DEMO in shown
    assert "Skip to content" in shown


def test_who_may_not_register_is_not_asked_to() -> None:
    shown = drawn(shell.staff_shell(clinic=CLINIC, places=(), who=Who(may_register=False)))
    assert '"data-shortcut":"n"' not in shown


def test_suggestions_are_links_to_the_patients() -> None:
    popup = drawn(suggestions.suggestions([ROW], shown=True, count="1 patient", answers="ami"))
    assert 'role:"listbox"' in popup
    assert 'role:"option"' in popup
    assert 'to:"/patients/LMC000007"' in popup
    assert suggestions.OPENED_LAST not in popup


def test_the_records_opened_last_have_a_heading_and_are_named_by_it() -> None:
    popup = drawn(suggestions.suggestions([ROW], shown=True, count="1 patient you opened last", answers=""))
    assert popup.count('"Opened last"') == 2
    assert '"aria-label":"Opened last"' in popup


def test_values_are_decided_here_and_vars_in_the_browser() -> None:
    assert when(True, "a", "b") == "a"
    assert pick("x", {"x": 1}, 2) == 1
    assert isinstance(when(rx.Var.create(True), "a", "b"), rx.Var)
    assert isinstance(pick(rx.Var.create("x"), {"x": "a"}, "b"), rx.Var)
