"""Whether an installation is set up so that it may hold what it is made for. Pure: facts in, refusals and advice out.

A refusal stops the start and names the setting and how to mend it. In development, which is a service that only its own machine
reaches by http://localhost, most of them are silent. `harmline doctor` says the same of a running installation, and the advice.
"""

from collections.abc import Sequence

from app.kit.disks import nearly_full
from app.upkeep import unsafe
from app.upkeep.facts import Facts
from app.upkeep.refusals import REFUSED
from app.upkeep.unsafe import Check

__all__ = ["ADVICE", "REFUSED", "judged", "told"]

ADVICE: tuple[Check, ...] = (
    Check(
        "a key for the door",
        "HARMLINE_DOOR_KEY_FILE",
        lambda f: f.door_key is None,
        "names no file: while the top key is away, deliveries are told to come again",
        "`harmline keys door`, then start the service anew",
    ),
    Check(
        "mail",
        "HARMLINE_SMTP_URL",
        lambda f: f.settings.smtp_url is None,
        "is missing: nobody gets a sign-in link by mail",
        "Set it",
    ),
    Check(
        "verified TLS",
        "HARMLINE_DATABASE_URL",
        lambda f: unsafe.is_elsewhere(f) and unsafe.tls(f) != "verify-full",
        "does not check who PostgreSQL is",
        "?ssl=verify-full",
    ),
    Check(
        "old passwords",
        "PostgreSQL",
        lambda f: f.store is not None and f.store.old_passwords,
        "keeps passwords as MD5",
        "password_encryption=scram-sha-256, then set the password again",
    ),
    Check(
        "security contact",
        "HARMLINE_SECURITY_CONTACT",
        lambda f: f.settings.security_contact is None,
        "is missing: /.well-known/security.txt names the address that mail comes from",
        "mailto:security@example.org",
    ),
    Check(
        "canary",
        "HARMLINE_CANARY",
        lambda f: not f.settings.canary,
        "is off: nothing tries the whole path every hour",
        "Take it out",
    ),
    Check(
        "nearly full",
        "the disk",
        lambda f: f.disk is not None and nearly_full(*f.disk),
        "of the database is nearly full",
        "Make room",
        always=True,
    ),
    Check(
        "a relative path",
        "HARMLINE_DATABASE_URL",
        lambda f: (path := unsafe.store_path(f)) is not None and not path.is_absolute(),
        "depends on the folder that the service is started in",
        "Name the whole path: sqlite:////var/lib/harmline/harmline.db",
    ),
    Check(
        "a slow worker",
        "HARMLINE_WORKER_INTERVAL",
        lambda f: f.settings.worker_interval > 10,
        "is long: on SQLite alerts wait for it when nothing wakes the worker",
        "Take it out",
    ),
)
"""What does not stop the start, and is told by `harmline doctor`."""


def judged(facts: Facts, checks: Sequence[Check]) -> list[Check]:
    """Those of the checks that find something unsafe."""
    production = unsafe.is_production(facts.settings)
    return [check for check in checks if (check.always or production) and check.finds(facts)]


def told(check: Check, facts: Facts) -> str:
    """One finding in a sentence: the setting, what is wrong, how to mend it."""
    named = f" ({', '.join(facts.unknown)})" if check.name == "a misspelt setting" else ""
    return f"{check.setting} {check.says}{named}. {check.mend}."
