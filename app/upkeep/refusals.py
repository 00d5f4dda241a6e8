"""What stops the start: one table, a line for each thing that must not be."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.upkeep import unsafe
from app.upkeep.facts import TELLING, Facts, FileFacts
from app.upkeep.unsafe import Check

OTHERS = 0o077
OTHERS_WRITE = 0o022
LEAST_LETTERS = 16
"""Of 32 random bytes fewer than this many different ones come up once in more than 10^14 keys."""
LEAST_FREE = 64 * 1024**2
OLDEST_POSTGRES = 15
EARLIEST, LATEST = datetime(2026, 11, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""This code was written after the one; a machine that believes the other has lost its clock."""


@dataclass(frozen=True)
class KeyFacts:
    """Of one of the two key files; see `Facts`. `looked_for`: its place matters, though nothing may lie there yet."""

    file: FileFacts | None
    letters: int | None
    folder: FileFacts | None
    path: Path
    looked_for: bool


def _of_a_key_file(what: str, setting: str, of: Callable[[Facts], KeyFacts], instead: str) -> tuple[Check, ...]:
    """What must not be of a key file. `instead`: how to come to one that was made at random."""
    return (
        Check(
            f"a {what} that others read",
            setting,
            lambda f: unsafe.lies_open(of(f).file, OTHERS),
            "can be read or written by others",
            "chmod 600 the file",
            always=True,
        ),
        Check(
            f"somebody else's {what}",
            setting,
            lambda f: unsafe.somebody_elses(f, of(f).file),
            "belongs to another user, who could replace it",
            "chown it to the user of the service",
        ),
        Check(
            f"a {what} that can be replaced",
            setting,
            lambda f: of(f).looked_for and unsafe.lies_open(of(f).folder, OTHERS_WRITE),
            "is in a folder where others may write",
            "chmod 700 the folder",
        ),
        Check(
            f"a weak {what}",
            setting,
            lambda f: (letters := of(f).letters) is not None and letters < LEAST_LETTERS,
            "was not made at random",
            instead,
            always=True,
        ),
        Check(
            f"a {what} that goes with the next start",
            setting,
            lambda f: of(f).looked_for and unsafe.fleeting(of(f).path),
            "is in a folder that is emptied",
            "Move it, for instance to /etc/harmline",
        ),
    )


REFUSED: tuple[Check, ...] = (
    Check(
        "plain http",
        "HARMLINE_BASE_URL",
        lambda f: not f.settings.https,
        "is http://, so passwords and alerts cross the net in plain",
        "Put TLS in front (docs/deploy) and set https://",
    ),
    Check(
        "an address with a path",
        "HARMLINE_BASE_URL",
        lambda f: (f.settings.base_url.path or "/") != "/" or bool(f.settings.base_url.query or f.settings.base_url.username),
        "must be an origin and nothing else",
        "Leave scheme, host and port: https://alerts.example.org",
        always=True,
    ),
    Check(
        "open to the net without TLS",
        "HARMLINE_HOST",
        lambda f: not unsafe.is_production(f.settings) and not unsafe.is_local(f.settings.host) and not f.container,
        "lets other machines in, and HARMLINE_BASE_URL is of this machine only",
        "Set HARMLINE_HOST=127.0.0.1, or HARMLINE_BASE_URL to the https:// address that people use",
        always=True,
    ),
    Check(
        "no proxy named",
        "HARMLINE_TRUSTED_PROXIES",
        lambda f: not unsafe.is_local(f.settings.host) and unsafe.only_ourselves(f),
        "names no proxy on another machine, and HARMLINE_HOST lets other machines in: all people would be one address",
        "Name the addresses of the proxies in front, or set HARMLINE_HOST=127.0.0.1",
    ),
    Check(
        "everybody a proxy",
        "HARMLINE_TRUSTED_PROXIES",
        unsafe.too_wide,
        "believes X-Forwarded-For from nearly everybody",
        "Name the proxies' own addresses, or a network no wider than /8",
        always=True,
    ),
    Check(
        "no key",
        "HARMLINE_KEY_FILE",
        lambda f: f.key is None and f.role != unsafe.DOOR_ALONE,
        "names no file",
        "Make one with `harmline keys create`, or restore your copy",
    ),
    *_of_a_key_file(
        "key",
        "HARMLINE_KEY_FILE",
        lambda f: KeyFacts(f.key, f.key_letters, f.key_folder, f.settings.key_file, looked_for=True),
        "Make one with `harmline keys create`; what the old one sealed must be sealed anew",
    ),
    *_of_a_key_file(
        "door's key",
        "HARMLINE_DOOR_KEY_FILE",
        lambda f: KeyFacts(f.door_key, f.door_key_letters, f.door_key_folder, f.settings.door_key, f.door_key is not None),
        "Remove it and run `harmline keys door`",
    ),
    Check(
        "keys among the backups",
        "HARMLINE_BACKUP_FOLDER",
        unsafe.keys_among_backups,
        "holds a key file or the list of erasures: whoever copies the backups copies them, too",
        "Name another folder",
        always=True,
    ),
    Check(
        "a store that goes with the next start",
        "HARMLINE_DATABASE_URL",
        lambda f: (path := unsafe.store_path(f)) is not None and unsafe.fleeting(path),
        "is in a folder that is emptied",
        "Move it, for instance to /var/lib/harmline",
    ),
    Check(
        "a store in memory",
        "HARMLINE_DATABASE_URL",
        lambda f: unsafe.is_sqlite(f) and unsafe.store_path(f) is None,
        "is in memory only",
        "Name a file: sqlite:////var/lib/harmline/harmline.db",
        always=True,
    ),
    Check(
        "a store that others read",
        "HARMLINE_DATABASE_URL",
        lambda f: unsafe.lies_open(f.store_file, OTHERS),
        "names a file that others can read",
        "chmod 600 it, and the files beside it",
    ),
    Check(
        "SQLite for several processes",
        "HARMLINE_DATABASE_URL",
        lambda f: unsafe.is_sqlite(f) and f.role in {"web", "work"},
        "is SQLite, which is for one process",
        "Start `harmline serve` alone, or use PostgreSQL",
    ),
    Check(
        "a password that can be guessed",
        "HARMLINE_DATABASE_URL",
        unsafe.weak_password,
        "has no password, or one that can be guessed",
        "ALTER ROLE … PASSWORD with 12 random letters or more",
    ),
    Check(
        "PostgreSQL in plain",
        "HARMLINE_DATABASE_URL",
        lambda f: unsafe.is_elsewhere(f) and unsafe.tls(f) not in unsafe.TLS_MODES,
        "reaches PostgreSQL on another machine without TLS",
        "Append ?ssl=verify-full",
    ),
    Check(
        "PostgreSQL does not flush",
        "HARMLINE_UNSAFE_STORE",
        lambda f: f.settings.unsafe_store,
        "is for tests and demonstrations only",
        "Take it out",
    ),
    Check(
        "PostgreSQL too old",
        "HARMLINE_DATABASE_URL",
        lambda f: f.store is not None and (f.store.version or 99) < OLDEST_POSTGRES,
        "names a PostgreSQL older than 15",
        "Upgrade the server",
        always=True,
    ),
    Check(
        "PostgreSQL's letters",
        "HARMLINE_DATABASE_URL",
        lambda f: f.store is not None and f.store.encoding not in {None, "UTF8"},
        "names a database that is not in UTF8",
        "createdb --encoding=UTF8 --template=template0",
        always=True,
    ),
    Check(
        "PostgreSQL logs values",
        "HARMLINE_DATABASE_URL",
        lambda f: f.store is not None and f.store.logs_values,
        "names a PostgreSQL that writes values into its log",
        "log_parameter_max_length=0 and log_parameter_max_length_on_error=0 in postgresql.conf",
    ),
    Check(
        "an unfinished restore",
        "HARMLINE_DATABASE_URL",
        lambda f: f.store is not None and f.store.restoring,
        "names a database whose restore did not come to its end: who was erased may be in it",
        "`harmline backup restore` again",
        always=True,
    ),
    Check(
        "a database of newer code",
        "HARMLINE_DATABASE_URL",
        unsafe.newer,
        "names a database that newer code has migrated",
        "Run that code, or restore the backup that `harmline upgrade` made",
        always=True,
    ),
    Check(
        "nobody is told",
        "HARMLINE_SMTP_URL",
        unsafe.mute,
        "and HARMLINE_ALARM_WEBHOOK_URL are missing: nobody would learn of an alarm",
        "Set one of them; without mail nobody can sign in by mail either",
    ),
    Check(
        "no such mail server",
        "HARMLINE_SMTP_URL",
        lambda f: unsafe.smtp(f)[0] not in {"smtp", "smtps"} or not unsafe.smtp(f)[1],
        "is no address of a mail server",
        "smtp://user:password@host:port, or smtps://",
        always=True,
    ),
    Check(
        "a sender nobody can answer",
        "HARMLINE_MAIL_FROM",
        lambda f: f.settings.smtp_url is not None and f.settings.mail_from.endswith("@localhost"),
        "is the example",
        "Set the address that your mail comes from",
    ),
    Check(
        "an alarm secret that can be guessed",
        "HARMLINE_ALARM_WEBHOOK_SECRET",
        unsafe.weak_alarm_secret,
        "was not made at random",
        "whsec_ and 32 random bytes in base64",
    ),
    Check("a talkative log", "HARMLINE_LOG_LEVEL", lambda f: f.settings.log_level == "DEBUG", "is DEBUG", "Set INFO"),
    Check(
        "metrics for everybody",
        "HARMLINE_METRICS_HOST",
        lambda f: f.settings.metrics_port is not None and unsafe.everywhere(f.settings.metrics_host) and not f.container,
        "serves metrics, which know no password, on every network",
        "Set the address of an inner network, or 127.0.0.1",
    ),
    Check(
        "one port for two",
        "HARMLINE_METRICS_PORT",
        lambda f: f.settings.metrics_port == f.settings.port,
        "is HARMLINE_PORT",
        "Set another port",
        always=True,
    ),
    Check(
        "guesses without a limit",
        "HARMLINE_FORGED_RATE",
        lambda f: f.settings.forged_rate == 0,
        "is 0: nobody is stopped from guessing",
        "Take it out: the default is 20 a second",
    ),
    Check(
        "sign-in mail without a limit",
        "HARMLINE_SIGN_IN_RATE",
        lambda f: f.settings.sign_in_rate == 0,
        "is 0: anybody may send your members mail without end",
        "Take it out: the default is one in 5 seconds",
    ),
    Check(
        "deliveries without a limit",
        "HARMLINE_ADDRESS_RATE",
        lambda f: f.settings.address_rate == 0,
        "is 0: one address may take all there is",
        "Take it out: the default is 1,000 a second",
    ),
    Check(
        "heads that take their time",
        "HARMLINE_HEAD_SECONDS",
        lambda f: f.settings.head_seconds > 60,
        "lets a sender hold a connection for more than a minute without a request",
        "60 or less",
    ),
    Check(
        "bodies that take their time",
        "HARMLINE_BODY_SECONDS",
        lambda f: f.settings.body_seconds > 900,
        "lets a sender hold a connection for more than 15 minutes",
        "900 or less",
    ),
    Check(
        "a misspelt setting",
        "the environment",
        lambda f: bool(f.unknown),
        "sets something that Harmline does not know",
        "See docs/running.md for the names",
    ),
    Check(
        "a key log",
        "the environment",
        lambda f: bool(f.telling) or f.dev_mode,
        f"sets one of {', '.join(TELLING)}",
        "Take it out: it writes secrets to files, or lets them be looked at",
    ),
    Check("images of memory", "ulimit -c", lambda f: f.core_limit != 0, "lets a crash write keys to the disk", "ulimit -c 0"),
    Check(
        "root", "the user", lambda f: f.euid == 0, "is root, who may do everything", "Run it as a user of its own (docs/deploy)"
    ),
    Check(
        "a clock out of its mind",
        "the clock",
        lambda f: not EARLIEST <= f.now < LATEST,
        "of this machine is wrong by years: signatures and terms would be judged by it",
        "Set it, and let NTP keep it",
        always=True,
    ),
    Check(
        "no room",
        "the disk",
        lambda f: f.disk is not None and f.disk[0] < LEAST_FREE,
        "of the database has less than 64 MiB left: what is delivered could not be kept",
        "Make room",
        always=True,
    ),
)
"""What stops the start. The fsync settings of PostgreSQL are in `kit/durability`: they have a way out of their own."""
