"""Settings: one class, read from the environment (``CLINIC_…``), checked before anything starts."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from clinic_app.core import database_url

#: A language, perhaps with a script and a region, in the usual case: en, en-GB, zh-Hant, es-419.
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|\d{3}))?")

#: One address and nothing else: what goes into a header of every email.
_MAILBOX = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


#: What may stand in a header as a bearer token (RFC 6750), and cannot be guessed.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{32,200}")


#: What the program itself leaves in the environment of its server, and what one command takes from there.
_OTHERS = {"CLINIC_ANNOUNCE", "CLINIC_METRICS_FOLDER", "CLINIC_MOVE_TO"}


class SettingsError(Exception):
    """A setting is wrong. The text is one sentence that names it."""


class Settings(BaseSettings):
    """Everything that differs between two clinics or two machines.

    Durations are whole hours or minutes, as the names say. Paths are absolute or relative to the
    working directory.
    """

    model_config = SettingsConfigDict(env_prefix="CLINIC_", extra="ignore", validate_default=True)

    mode: Literal["demo", "test", "production"] = Field(
        "production", description="`demo` has invented patients and known passwords; `production` refuses both."
    )
    name: str = Field("Lakeside Medical Centre", min_length=1, max_length=80, description="The clinic's name.")
    telephone: str = Field("020 712 3456", max_length=40, description="The number patients call for help.")
    address: str = Field("", max_length=120, description="The clinic's address, in messages to patients.")
    opening_hours: str = Field("Monday to Saturday, 07:00 to 18:00", max_length=80, description="Shown to patients.")
    region: str = Field("KE", description="Region for phone numbers: two letters (ISO 3166-1).")
    languages: str = Field("en,sw,fr", description="Languages a patient may prefer (BCP 47), in the order offered.")
    self_registration: bool = Field(
        False,
        description="Whether people can register themselves at `/register`; the reception verifies each of them.",
    )
    timezone: str = Field("Africa/Nairobi", description="Time zone for the times people see (IANA name).")
    patient_id_prefix: str = Field("LMC", pattern=r"^[A-Z]{1,8}$", description="Letters in front of a patient ID.")

    data_dir: Path = Field(
        Path("data"), description="Directory of the SQLite file and the generated keys; created with mode 0700."
    )
    disk_free_mb: int = Field(
        500,
        ge=0,
        le=1_000_000,
        description="With less than so many megabytes left where files are written, `doctor` and `/readyz` warn.",
    )
    database_url: str = Field(
        "",
        description="Empty: SQLite in the data directory. Otherwise `postgresql+psycopg://…`, with one host or several "
        "(`…@a,b,c/clinic`).",
    )
    read_database_url: str = Field(
        "",
        description="A copy that another PostgreSQL keeps (streaming replication), for the list and the search of "
        "patients. Empty: none.",
    )
    read_lag_kb: int = Field(
        1024,
        ge=0,
        le=1_048_576,
        description="That copy is used while it is at most so many kilobytes of the write-ahead log behind, and has "
        "every change that lists show.",
    )
    copy_to: str = Field(
        "",
        description="Where a continuous copy of an SQLite database is kept: a folder on another disk, as a whole path, "
        "or `s3://bucket/folder`. Empty: there is none.",
    )
    copy_every_ms: int = Field(
        500,
        ge=100,
        le=600_000,
        description="At most so many milliseconds pass until a change is in the continuous copy, if it can be reached.",
    )
    redis_url: str = Field("", description="Needed only for several workers: it holds page state.")
    public_url: str = Field("", description="Address people type, such as `https://desk.example.org`.")
    host: str = Field("127.0.0.1", description="Address the server listens on.")
    port: int = Field(3000, ge=1, le=65535, description="Port the server listens on.")
    workers: int = Field(1, ge=1, le=32, description="Server processes; more than one needs Redis and PostgreSQL.")
    trusted_proxy_hops: int = Field(
        0, ge=0, le=5, description="Number of reverse proxies in front whose X-Forwarded-For can be trusted."
    )

    body_seconds: int = Field(
        30, ge=1, le=600, description="A request has to arrive whole within this many seconds, else it is answered 408."
    )
    requests_per_address: int = Field(
        200, ge=4, le=10_000, description="Requests of one address in work at once. An address may be a whole clinic."
    )
    requests_at_once: int = Field(1000, ge=10, le=10_000, description="Requests in work at once in one worker.")
    connections_per_address: int = Field(
        1000,
        ge=20,
        le=50_000,
        description="Open connections of one address to one worker. Behind a proxy of yours the proxy counts instead.",
    )
    tabs_per_session: int = Field(30, ge=2, le=1000, description="Open pages of one person who is signed in.")
    tabs_per_address: int = Field(500, ge=10, le=10_000, description="Open pages at one address.")

    pepper: SecretStr | None = Field(
        None, description="Key of the password pre-hash. Empty: generated and kept in the data directory."
    )
    audit_key: SecretStr | None = Field(
        None, description="Key of the audit chain. Empty: generated and kept in the data directory."
    )
    token_key: SecretStr | None = Field(
        None, description="Key of API tokens and search digests. Empty: generated and kept in the data directory."
    )
    audit_anchor_file: Path | None = Field(
        None,
        description="Where the end of the audit trail is noted. Empty: `audit-anchors.jsonl` in the data directory. "
        "Another disk or machine is better.",
    )

    smtp_host: str = Field("", max_length=253, description="The mail server. Empty: no emails are sent.")
    smtp_port: int = Field(587, ge=1, le=65535, description="Its port: usually 587 with `starttls`, 465 with `tls`.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection to it is encrypted; `none` in production on this machine only."
    )
    smtp_username: str = Field("", max_length=254, description="Empty: it asks for no sign-in.")
    smtp_password: SecretStr | None = Field(None, description="For the mail server.")
    mail_from: str = Field(
        "",
        max_length=254,
        description="The address emails come from. Empty: `no-reply@` and the host of the public URL.",
    )
    sms_url: SecretStr = Field(
        SecretStr(""),
        description="The SMS gateway as an address of the Apprise library, with `{phone}` (E.164) or `{digits}` where "
        "the number belongs, such as `twilio://SID:TOKEN@FROM/{phone}`. Empty: no text messages are sent.",
    )

    bcrypt_cost: int = Field(12, ge=4, le=16, description="Work factor of password hashes; below 10 in tests only.")
    temporary_password_hours: int = Field(48, ge=1, le=168, description="How long a temporary password is valid.")
    staff_idle_minutes: int = Field(
        15, ge=1, le=240, description="A staff session ends after this long without activity."
    )
    staff_session_hours: int = Field(12, ge=1, le=24, description="A staff session ends after this long in any case.")
    patient_idle_minutes: int = Field(15, ge=1, le=240, description="The same for patients.")
    patient_session_hours: int = Field(1, ge=1, le=24, description="The same for patients.")
    require_two_factor: Literal["nobody", "admins", "staff"] = Field(
        "nobody", description="Who must set up two-factor sign-in before anything else; any member of staff may."
    )
    api_rate_factor: int | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="Rate limits of accounts are multiplied by this; 0 turns them off. Empty: 1 in production, "
        "otherwise 1000.",
    )
    list_pages_per_hour: int = Field(
        300,
        ge=1,
        le=1_000_000,
        description="How many pages of the list of patients one person may open in an hour, on pages and through the "
        "API; multiplied by `CLINIC_API_RATE_FACTOR`.",
    )
    search_count_at_most: int = Field(
        1000,
        ge=100,
        le=100_000,
        description="How many matches of a search are counted and ranked. Of more, the best are shown, and that there "
        "are more.",
    )
    events_per_second: int = Field(
        40,
        ge=5,
        le=100_000,
        description="Events one page may send in a second, five times that at once; all pages of a session together "
        "twice as many.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="How much is logged.")
    metrics_token: SecretStr | None = Field(
        None,
        description="What Prometheus has to send to be answered at `/metrics`, of 32 signs or more. Empty: there is no "
        "such address.",
    )

    @field_validator("data_dir")
    @classmethod
    def _folder_of_its_own(cls, value: Path) -> Path:
        whole = value.resolve()
        if whole == Path(whole.anchor) or (whole == Path.cwd() and not value.is_absolute()):  # an empty value, too
            raise ValueError("must be a folder of its own, such as /srv/clinic/data")
        if "?" in str(whole) or "%" in str(whole):  # in the address of a database both mean something else
            raise ValueError("must have no question mark and no percent sign in its path")
        return value

    @field_validator("region")
    @classmethod
    def _known_region(cls, value: str) -> str:
        if value not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError("must be a two-letter region, such as KE")
        return value

    @field_validator("languages")
    @classmethod
    def _language_tags(cls, value: str) -> str:
        tags = [tag.strip() for tag in value.split(",")]
        if not all(_LANGUAGE.fullmatch(tag) for tag in tags):
            raise ValueError("must be language tags (BCP 47) with commas between them, such as en,sw,fr")
        return ",".join(dict.fromkeys(tags))

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of zones, too
            raise ValueError("must be an IANA time zone, such as Africa/Nairobi") from None
        return value

    @field_validator("database_url", "read_database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        return database_url.checked(value) if value else value

    @field_validator("copy_to")
    @classmethod
    def _folder_or_bucket(cls, value: str) -> str:
        if "://" in value:
            try:
                parts = urlsplit(value)
                good = parts.scheme == "s3" and bool(parts.netloc) and "@" not in parts.netloc
            except ValueError:  # whose words may hold what was given
                good = False
            if not good or value.split() != [value]:
                raise ValueError(
                    "must be s3://bucket/folder or a folder; the keys of the storage are not part of it, but belong "
                    "into LITESTREAM_ACCESS_KEY_ID and LITESTREAM_SECRET_ACCESS_KEY"
                )
        elif value and not Path(value).is_absolute():
            raise ValueError("must be a whole path, such as /backup/clinic-copy, or s3://bucket/folder")
        return value

    @field_validator("public_url")
    @classmethod
    def _plain_origin(cls, value: str) -> str:
        value = value.rstrip("/")
        parts = urlsplit(value)
        if value and (parts.scheme not in {"http", "https"} or not parts.netloc or parts.path):
            raise ValueError("must be scheme and host only, such as https://desk.example.org")
        return value

    @field_validator("sms_url")
    @classmethod
    def _names_the_number(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if url and ("://" not in url or ("{phone}" not in url and "{digits}" not in url)):
            raise ValueError(
                "must be an address with {phone} or {digits} in it, such as twilio://SID:TOKEN@FROM/{phone}"
            )
        return value

    @field_validator("metrics_token")
    @classmethod
    def _not_guessable(cls, value: SecretStr | None) -> SecretStr | None:
        token = value.get_secret_value() if value else ""
        if token and not _TOKEN.fullmatch(token):
            raise ValueError(
                "must be 32 to 200 letters, digits or any of - . _ ~ + / =, such as `openssl rand -hex 32` makes"
            )
        return value if token else None

    @field_validator("mail_from")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        if value and not _MAILBOX.fullmatch(value):
            raise ValueError("must be an email address alone, such as no-reply@example.org")
        return value

    @model_validator(mode="after")
    def _safe_in_production(self) -> Settings:
        if self.workers > 1 and not (self.redis_url and self.database_url.startswith("postgresql")):
            raise ValueError(
                "CLINIC_WORKERS: more than one worker needs CLINIC_REDIS_URL and a PostgreSQL CLINIC_DATABASE_URL"
            )
        if self.read_database_url and not (
            self.read_database_url.startswith("postgresql") and self.database_url.startswith("postgresql")
        ):
            raise ValueError("CLINIC_READ_DATABASE_URL: only a PostgreSQL has a copy, and the copy is one")
        if self.copy_to and not self.database.startswith("sqlite"):
            raise ValueError(
                "CLINIC_COPY_TO: a continuous copy is one of SQLite; PostgreSQL has its own ways (docs/cluster.md)"
            )
        if self.anchors.resolve() in self._files():
            raise ValueError(
                "CLINIC_AUDIT_ANCHOR_FILE: must be a file of its own: the clinic keeps something else there"
            )
        if folder := self.copy_folder and self.copy_folder.resolve():
            if folder.is_relative_to(self.data_dir.resolve()):
                raise ValueError(
                    "CLINIC_COPY_TO: must be outside of the data directory: what takes one takes the other"
                )
            if any(file.is_relative_to(folder) for file in self._files()):
                raise ValueError("CLINIC_COPY_TO: must be a folder of its own: the clinic's data lies in it")
        on_this_machine = self.smtp_host in {"localhost", "127.0.0.1", "::1"}
        if self.mode == "production":
            if self.smtp_host and self.smtp_security == "none" and not on_this_machine:
                raise ValueError("CLINIC_SMTP_SECURITY: must be starttls or tls in production, or links could be read")
            redis = urlsplit(self.redis_url)
            near = redis.scheme == "unix" or redis.hostname in {"localhost", "127.0.0.1", "::1"}
            if self.redis_url and not near and not (redis.scheme == "rediss" and redis.password):
                raise ValueError(
                    "CLINIC_REDIS_URL: must be rediss:// with a password in production, unless Redis is on this "
                    "machine: who can write to it can run code in the server"
                )
            if self.bcrypt_cost < 10:
                raise ValueError("CLINIC_BCRYPT_COST: at least 10 in production")
            if not self.public_url:
                raise ValueError(
                    "CLINIC_PUBLIC_URL: the address people type is needed in production, such as https://desk.example.org"
                )
            local = urlsplit(self.public_url).hostname in {"localhost", "127.0.0.1", "::1"}
            if not local and not self.public_url.startswith("https://"):
                raise ValueError(
                    "CLINIC_PUBLIC_URL: must be https in production, or health records would travel unencrypted"
                )
        return self

    def _files(self) -> set[Path]:
        """What has its place already, and would be destroyed by what is added to it."""
        mine = ("keys.json", "clinic.sqlite3", "clinic.sqlite3-wal", "in-use.lock", "server.lock")
        own = self.database.removeprefix("sqlite:///").partition("?")[0] if self.database.startswith("sqlite") else ""
        return {(self.data_dir / name).resolve() for name in mine} | ({Path(own).resolve()} if own else set())

    @property
    def origin(self) -> str:
        """The one origin whose pages may talk to the server."""
        return self.public_url or f"http://localhost:{self.port}"

    @property
    def secure_cookies(self) -> bool:
        """True where pages are served over https."""
        return self.origin.startswith("https://")

    @property
    def database(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'clinic.sqlite3').resolve()}"

    @property
    def copy_folder(self) -> Path | None:
        """The folder of the continuous copy; None where there is no copy, or it is kept elsewhere than in a folder."""
        return Path(self.copy_to) if self.copy_to and "://" not in self.copy_to else None

    @property
    def anchors(self) -> Path:
        """The file of the audit trail's anchors."""
        return self.audit_anchor_file or self.data_dir / "audit-anchors.jsonl"

    @property
    def mail_sender(self) -> str:
        """The address emails come from."""
        return self.mail_from or f"no-reply@{urlsplit(self.origin).hostname}"

    @property
    def zone(self) -> ZoneInfo:
        """The clinic's time zone."""
        return ZoneInfo(self.timezone)

    @property
    def rate_factor(self) -> int:
        """What rate limits of accounts are multiplied by."""
        if self.api_rate_factor is not None:
            return self.api_rate_factor
        return 1 if self.mode == "production" else 1000

    @property
    def language_tags(self) -> tuple[str, ...]:
        """The languages a patient may prefer."""
        return tuple(self.languages.split(","))

    @property
    def telephone_uri(self) -> str:
        """The clinic's number for a ``tel:`` link, E.164 where it can be read."""
        try:
            number = phonenumbers.parse(self.telephone, self.region)
        except phonenumbers.NumberParseException:
            return "tel:" + "".join(c for c in self.telephone if c.isdigit() or c == "+")
        return "tel:" + phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _refuse_unknown(environment: Iterable[str]) -> None:
    """A setting whose name is mistyped would be left at its default, and nobody would know."""
    known = {f"CLINIC_{name.upper()}" for name in Settings.model_fields}
    for name in sorted(environment):
        upper = name.upper()
        if not upper.startswith("CLINIC_") or upper in known | _OTHERS or upper.startswith("CLINIC_TEST_"):
            continue
        near = difflib.get_close_matches(upper, known, n=1, cutoff=0.7)
        words = f"did you mean {near[0]}?" if near else "the README lists those there are."
        raise SettingsError(f"{name}: there is no such setting; {words}")


def load_settings(**overrides: Any) -> Settings:
    """Read and check the settings. Raises ``SettingsError`` with one sentence naming the setting."""
    _refuse_unknown(os.environ)
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        words = str(first.get("ctx", {}).get("error", first["msg"]))
        if not first["loc"]:
            raise SettingsError(f"{words}.") from None
        raise SettingsError(f"CLINIC_{str(first['loc'][0]).upper()}: {words}.") from None


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process. Tests clear the cache."""
    return load_settings()
