"""A wrong setting stops the start with one sentence that names it."""

from __future__ import annotations

import errno
import os

import pytest

from clinic_app.core import database_url
from clinic_app.core.settings import Settings, SettingsError, load_settings

PRODUCTION = {"mode": "production", "public_url": "https://desk.example.org", "bcrypt_cost": 12}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"port": "eighty"}, "CLINIC_PORT"),
        ({"port": 70000}, "CLINIC_PORT"),
        ({"mode": "staging"}, "CLINIC_MODE"),
        ({"region": "Kenya"}, "CLINIC_REGION"),
        ({"languages": ""}, "CLINIC_LANGUAGES"),
        ({"languages": "en;sw"}, "CLINIC_LANGUAGES"),
        ({"languages": "English"}, "CLINIC_LANGUAGES"),
        ({"languages": "en,,fr"}, "CLINIC_LANGUAGES"),
        ({"languages": "en_GB"}, "CLINIC_LANGUAGES"),
        ({"timezone": "Nairobi"}, "CLINIC_TIMEZONE"),
        ({"timezone": "../etc/passwd"}, "CLINIC_TIMEZONE"),
        ({"patient_id_prefix": "lmc"}, "CLINIC_PATIENT_ID_PREFIX"),
        ({"name": ""}, "CLINIC_NAME"),
        ({"database_url": "mysql://x"}, "CLINIC_DATABASE_URL"),
        ({"database_url": "postgresql://x"}, "CLINIC_DATABASE_URL"),
        ({"database_url": "postgresql+psycopg://clinic:word@a:x,b/clinic"}, "CLINIC_DATABASE_URL"),
        ({"database_url": "postgresql+psycopg://clinic:word@host:port/clinic"}, "CLINIC_DATABASE_URL"),
        ({"read_database_url": "postgresql+psycopg://clinic@db/clinic"}, "CLINIC_READ_DATABASE_URL"),
        ({"read_database_url": "mysql://x"}, "CLINIC_READ_DATABASE_URL"),
        ({"database_url": "sqlite:///"}, "CLINIC_DATABASE_URL"),
        ({"database_url": "sqlite:///:memory:"}, "CLINIC_DATABASE_URL"),
        ({"database_url": "sqlite:////tmp"}, "CLINIC_DATABASE_URL"),
        ({"database_url": "sqlite:////srv/50%25/clinic.sqlite3"}, "CLINIC_DATABASE_URL"),
        ({"data_dir": "/srv/50%25"}, "CLINIC_DATA_DIR"),
        ({"copy_to": "backup/copy"}, "CLINIC_COPY_TO"),
        ({"copy_to": "ftp://host/folder"}, "CLINIC_COPY_TO"),
        ({"copy_to": "s3://key:secret@bucket/folder"}, "CLINIC_COPY_TO"),
        ({"copy_to": "s3://"}, "CLINIC_COPY_TO"),
        ({"data_dir": "/srv/data", "copy_to": "/srv/data/copy"}, "CLINIC_COPY_TO"),
        ({"data_dir": "/backup/copy/data", "copy_to": "/backup/copy"}, "CLINIC_COPY_TO"),
        ({"database_url": "sqlite:////backup/copy/x.sqlite3", "copy_to": "/backup/copy"}, "CLINIC_COPY_TO"),
        (
            {"copy_to": "/backup/copy", "database_url": "postgresql+psycopg://clinic@db/clinic"},
            "CLINIC_COPY_TO",
        ),
        ({"copy_every_ms": 99}, "CLINIC_COPY_EVERY_MS"),
        ({"public_url": "desk.example.org"}, "CLINIC_PUBLIC_URL"),
        ({"public_url": "https://desk.example.org/app"}, "CLINIC_PUBLIC_URL"),
        ({"trusted_proxy_hops": -1}, "CLINIC_TRUSTED_PROXY_HOPS"),
        ({"temporary_password_hours": 0}, "CLINIC_TEMPORARY_PASSWORD_HOURS"),
        ({"temporary_password_hours": 169}, "CLINIC_TEMPORARY_PASSWORD_HOURS"),
        ({"workers": 2}, "CLINIC_WORKERS"),
        ({"workers": 2, "redis_url": "redis://localhost"}, "CLINIC_WORKERS"),
        (PRODUCTION | {"bcrypt_cost": 9}, "CLINIC_BCRYPT_COST"),
        (PRODUCTION | {"public_url": ""}, "CLINIC_PUBLIC_URL"),
        (PRODUCTION | {"public_url": "http://desk.example.org"}, "CLINIC_PUBLIC_URL"),
    ],
)
def test_a_wrong_setting_is_named_in_one_sentence(change, named):
    with pytest.raises(SettingsError) as refused:
        load_settings(**change)
    sentence = str(refused.value)
    assert sentence.startswith(f"{named}:")
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.asvs("16.2.5")
def test_a_wrong_secret_is_never_repeated(monkeypatch):
    monkeypatch.setenv("CLINIC_DATABASE_URL", "mysql://root:hunter2@db/clinic")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert "hunter2" not in str(refused.value)


def test_keys_are_not_shown_with_the_settings():
    settings = load_settings(pepper="do-not-show", audit_key="do-not-show", token_key="do-not-show")
    assert "do-not-show" not in repr(settings)
    assert "do-not-show" not in settings.model_dump_json()


def test_several_workers_need_redis_and_postgresql():
    settings = load_settings(
        workers=3, redis_url="redis://localhost:6379/0", database_url="postgresql+psycopg://clinic@db/clinic"
    )
    assert settings.workers == 3


@pytest.mark.asvs("4.4.1", "12.2.1")
def test_production_is_https_or_this_machine():
    assert load_settings(**PRODUCTION).secure_cookies
    assert not load_settings(**PRODUCTION | {"public_url": "http://localhost:3000"}).secure_cookies


def test_languages_keep_their_order_and_stand_once():
    assert load_settings().language_tags == ("en", "sw", "fr")
    assert load_settings(languages="sw, en-GB,sw,zh-Hant,es-419").language_tags == ("sw", "en-GB", "zh-Hant", "es-419")


def test_every_setting_says_what_it_is_for():
    silent = [name for name, field in Settings.model_fields.items() if not field.description]
    assert silent == []


def test_a_folder_that_may_not_be_looked_at_is_no_wrong_setting(monkeypatch):
    def closed(path, **_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "stat", closed)
    address = "sqlite:////srv/another/clinic.sqlite3"
    assert database_url.checked(address) == address


def test_the_default_database_is_in_the_data_directory(tmp_path):
    settings = load_settings(data_dir=tmp_path)
    assert settings.database == f"sqlite:///{tmp_path / 'clinic.sqlite3'}"
