"""Likely slips in the domain of an email: asked about where one is likely, and nowhere else."""

from __future__ import annotations

import time

import pytest

from clinic_app.services.patients.email_slips import COMMON, meant_domain


@pytest.mark.parametrize(
    ("domain", "meant"),
    [
        ("gmial.com", "gmail.com"),
        ("GMIAL.com", "gmail.com"),
        ("gamil.com", "gmail.com"),
        ("gmai.com", "gmail.com"),
        ("gmaill.com", "gmail.com"),
        ("gnail.com", "gmail.com"),
        ("gmail.con", "gmail.com"),
        ("gmail.co", "gmail.com"),
        ("gmail.co.ke", "gmail.com"),
        ("gmaul.con", "gmail.com"),
        ("hotmial.com", "hotmail.com"),
        ("hotmail.co.u", "hotmail.co.uk"),
        ("yaho.com", "yahoo.com"),
        ("yahoo.co.k", "yahoo.co.uk"),
        ("outlok.com", "outlook.com"),
        ("iclod.com", "icloud.com"),
        ("clinic.con", "clinic.com"),
    ],
)
def test_a_likely_slip_is_asked_about(domain, meant):
    assert meant_domain(f"somebody@{domain}") == meant


@pytest.mark.parametrize(
    "domain",
    [
        *COMMON,
        *("mail.com", "email.com", "gmx.de", "gmx.com", "me.com", "live.com", "aol.com", "proton.me", "yahoo.fr"),
        *("hotmail.fr", "hotmail.de", "yahoo.co.in", "yahoo.co.ke", "safaricom.co.ke", "uonbi.ac.ke", "fastmail.com"),
        *("gmlaw.com", "example.org", "clinic.co.ke", "mail.ru", "zoho.com", "cloud.com", "com", ""),
    ],
)
def test_nobody_is_asked_about_a_real_one(domain):
    assert meant_domain(f"somebody@{domain}") == ""


@pytest.mark.parametrize(
    "junk", ["", "@", "gmial", "@gmial", "a@b@", "x" * 100_000, "a@" + "g" * 100_000 + ".com", "@.", "@.com"]
)
def test_junk_is_no_slip_and_takes_no_time(junk):
    began = time.thread_time()
    assert meant_domain(junk) == ""
    assert time.thread_time() - began < 0.1
