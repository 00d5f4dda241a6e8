"""An upgrade in four steps, each of which says what to do when it fails."""

from collections.abc import Mapping
from enum import StrEnum

KEPT = ("organization", "member", "account", "connection", "receipt", "event", "alert", "ledger_entry", "consent", "loss")
"""Tables that a migration must not take a row from, and that nobody deletes rows of meanwhile."""


class Step(StrEnum):
    """What an upgrade does, in this order."""

    CHECK = "check"
    BACKUP = "backup"
    MIGRATE = "migrate"
    VERIFY = "verify"


WHEN_IT_FAILS = {
    Step.CHECK: "Nothing was changed. Mend this and run `harmline upgrade` again.",
    Step.BACKUP: "Nothing was changed. An upgrade without a backup that can be restored is not begun.",
    Step.MIGRATE: (
        "A migration is one transaction: the database is as it was. Run it again; if it fails again, start the code you "
        "came from, and tell us what it said."
    ),
    Step.VERIFY: (
        "Do not start this code. Restore the backup into an empty database with the code you came from, and keep this database "
        "for looking into."
    ),
}


def lost(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """Which tables have fewer rows than before, in plain words. A table that was not there before has nothing to lose."""
    return [
        f"{name}: {after.get(name, 0)} rows, not {before[name]}"
        for name in KEPT
        if name in before and after.get(name, 0) < before[name]
    ]
