"""What each database role is to see of each table, said a second time and in Python: the oracle for the wall's own conditions.

A table that a role is not named with is closed to it. Nothing in here is read by the service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.access.walls import ACCOUNT, ADMIN, AUDITOR, CASEWORKER, COUNSEL, MEMBER, STATISTICS
from app.kit.acting import ANYONE, DOOR, NOBODY, Acting

Row = Mapping[str, Any]
Rows = Mapping[str, list[Row]]


@dataclass(frozen=True)
class Everything:
    """Every row of every table, as their owner sees them."""

    rows: Rows

    def ids(self, table: str, of: str = "id", **where: object) -> set[Any]:
        """One column of the rows in which other columns are as said."""
        return {row[of] for row in self.rows[table] if all(row[name] == value for name, value in where.items())}

    def clients(self, me: Acting) -> set[Any]:
        """The members whom a breach exposed over which this counsel has a matter, or who are named in it."""
        assigned = self.ids("matter_counsel", "matter_id", account_id=me.account_id)
        matters = [row for row in self.rows["matter"] if row["id"] in assigned and row["organization_id"] == me.organization_id]
        breaches = {one["breach_id"] for one in matters}
        return {
            row["member_id"] for row in (*self.rows["exposure"], *self.rows["member_evidence"]) if row["breach_id"] in breaches
        }

    def receipts_of(self, members: set[Any]) -> set[Any]:
        """The receipts out of which these members have an event."""
        return {row["receipt_id"] for row in self.rows["member_event"] if row["member_id"] in members}


Sees = Callable[[Row, Acting, Everything], bool]


def own(row: Row, me: Acting, _: Everything) -> bool:
    return row["member_id"] == me.member_id


def organizations(row: Row, me: Acting, _: Everything) -> bool:
    return row["organization_id"] == me.organization_id


def clients(row: Row, me: Acting, everything: Everything) -> bool:
    return row["member_id"] in everything.clients(me)


def every(_row: Row, _me: Acting, _: Everything) -> bool:
    return True


def own_account(row: Row, me: Acting, _: Everything) -> bool:
    return row["account_id"] == me.account_id


def of_accounts(row: Row, me: Acting, everything: Everything) -> bool:
    return row["account_id"] in everything.ids("account", organization_id=me.organization_id)


def of_connections(row: Row, me: Acting, everything: Everything) -> bool:
    return row["connection_id"] in everything.ids("connection", organization_id=me.organization_id)


def of_members(row: Row, me: Acting, everything: Everything) -> bool:
    return row["member_id"] in everything.ids("member", organization_id=me.organization_id)


def itself(name: str) -> Sees:
    return lambda row, me, _: row["id"] == getattr(me, name)


def factual(row: Row, me: Acting, everything: Everything) -> bool:
    return row["lane"] in ("factual", "system") and (me.organization_id is None or both_lanes(row, me, everything))


def both_lanes(row: Row, me: Acting, _: Everything) -> bool:
    return row["organization_id"] in (me.organization_id, UUID(int=0))


def asked(row: Row, me: Acting, everything: Everything) -> bool:
    return organizations(row, me, everything) and row["asked_by"] == me.account_id


def opened(row: Row, me: Acting, everything: Everything) -> bool:
    for one in everything.rows["break_glass"]:
        open_now = one["approved_at"] is not None and one["ended_at"] is None
        if one["member_id"] == row["member_id"] and open_now and asked(one, me, everything):
            return True
    return False


def said_of_own(row: Row, me: Acting, everything: Everything) -> bool:
    said = {one["shared_sha256"] for one in everything.rows["link"] if own(one, me, everything)}
    return organizations(row, me, everything) and row["sha256"] in said


def behind_enrollments(row: Row, me: Acting, everything: Everything) -> bool:
    places = [(e["connection_id"], e["reference_index"]) for e in everything.rows["enrollment"] if own(e, me, everything)]
    return (row["connection_id"], row["reference_index"]) in places


def assigned(row: Row, me: Acting, everything: Everything) -> bool:
    mine = everything.ids("matter_counsel", "matter_id", account_id=me.account_id)
    return organizations(row, me, everything) and row["id"] in mine


def of_matters(row: Row, me: Acting, everything: Everything) -> bool:
    mine = everything.ids("matter_counsel", "matter_id", account_id=me.account_id)
    return organizations(row, me, everything) and row["matter_id"] in mine


def of_packets(row: Row, me: Acting, everything: Everything) -> bool:
    found = [one for one in everything.rows["packet"] if one["id"] == row["packet_id"]]
    return organizations(row, me, everything) and any(of_matters(one, me, everything) for one in found)


def holds_own(row: Row, me: Acting, everything: Everything) -> bool:
    about = [
        (e["connection_id"], e["reference_index"])
        for e in everything.rows["enrollment"]
        if own(e, me, everything) and e["ended_at"] is None
    ]
    return row["id"] in everything.receipts_of({me.member_id}) or (row["connection_id"], row["about_index"]) in about


def holds_clients(row: Row, me: Acting, everything: Everything) -> bool:
    return row["id"] in everything.receipts_of(everything.clients(me))


_MATCHED = (
    "exposure",
    "member_evidence",
    "member_event",
    "incident",
    "incident_alert",
    "verdict",
    "link",
    "loss",
    "reimbursement",
)
_SIGNED_IN: dict[str, Sees] = {"organization_key": factual, "letter": organizations}
_LOG = ("ledger_leaf", "ledger_subtree", "ledger_checkpoint", "ledger_cosignature", "ledger_timestamp", "ledger_signer")
_WAYS_IN = ("passkey", "password", "known_browser", "recovery_code", "recovery", "provider_link")
_ACCOUNTS: dict[str, Sees] = {
    **dict.fromkeys(("session", "sign_in_link", "api_token", "role_grant", *_WAYS_IN), own_account),
    **dict.fromkeys(("guesses", "spent_challenge"), every),
    "account": itself("account_id"),
    **dict.fromkeys(("held_domain", "identity_provider"), organizations),
}
_MANAGED: dict[str, Sees] = {
    **dict.fromkeys(("session", "sign_in_link", "api_token", "recovery"), of_accounts),
    **dict.fromkeys(("account", "role_grant"), organizations),
}
SEES: dict[str, dict[str, Sees]] = {
    NOBODY.role: {},
    ANYONE.role: {
        **dict.fromkeys(("session", "sign_in_link", "api_token", "role_grant", "account"), every),
        **dict.fromkeys(("passkey", "password", "known_browser", "recovery", "guesses", "spent_challenge"), every),
        **dict.fromkeys(("identity_provider", "provider_link"), every),
        "organization_key": factual,
    },
    DOOR.role: dict.fromkeys(("connection", "connection_secret", "receipt", "organization_key", "door_key"), every),
    ACCOUNT: {**_SIGNED_IN, **_ACCOUNTS},
    MEMBER: {
        **_SIGNED_IN,
        **_ACCOUNTS,
        **dict.fromkeys((*_MATCHED, "enrollment", "consent", "unmatched", "ledger_entry"), own),
        **dict.fromkeys(("breach", "connection", "disputed_range"), organizations),
        "shared_finding": said_of_own,
        "member": itself("member_id"),
        "look_up": behind_enrollments,
        "receipt": holds_own,
    },
    COUNSEL: {
        **_SIGNED_IN,
        "organization_key": both_lanes,
        **dict.fromkeys(_LOG, organizations),
        **_MANAGED,
        **dict.fromkeys((*_MATCHED, "consent"), clients),
        **dict.fromkeys(("breach", "connection", "disputed_range", "legal_hold", "member", "shared_finding"), organizations),
        "matter": assigned,
        "packet": of_matters,
        **dict.fromkeys(("packet_member", "packet_taken"), of_packets),
        "matter_counsel": own_account,
        "receipt": holds_clients,
    },
    CASEWORKER: {
        **_SIGNED_IN,
        "organization": itself("organization_id"),
        **dict.fromkeys(("member", "enrollment", "consent", "connection", "poll"), organizations),
        **dict.fromkeys(("receipt", "event", "alert", "look_up", "unmatched", "disputed_range"), organizations),
        **dict.fromkeys(("handed_on", "reading_document"), organizations),
        **dict.fromkeys(("member_event", "incident", "incident_alert"), opened),
        "break_glass": asked,
    },
    ADMIN: {
        **_SIGNED_IN,
        **_MANAGED,
        **dict.fromkeys(("passkey", "password", "known_browser", "recovery_code", "provider_link"), of_accounts),
        **dict.fromkeys(("held_domain", "identity_provider"), organizations),
        "organization": itself("organization_id"),
        **dict.fromkeys(("member", "enrollment", "consent", "legal_hold", "connection", "disputed_range", "poll"), organizations),
        **dict.fromkeys(("receipt", "event", "refusal", "look_up", "alarm", "break_glass"), organizations),
        **dict.fromkeys(("handed_on", "handed_in", "reading_document"), organizations),
        **dict.fromkeys(("connection_secret", "poll_subject"), of_connections),
        "employment": of_members,
    },
    AUDITOR: {**_SIGNED_IN, **dict.fromkeys(("ledger_entry", *_LOG), organizations)},
    STATISTICS: {**_SIGNED_IN, "statistics_release": organizations},
}
"""By role and table: whether a row is to be seen."""

_TOLD = frozenset({"ledger_entry", "ledger_pending", "outbox", "letter", "deletion"})
_BY_HAND = frozenset({"session", "sign_in_link", "api_token"})
_MADE = frozenset({"passkey", "recovery_code", "recovery", "guesses", "spent_challenge"})
WRITES: dict[str, frozenset[str]] = {
    NOBODY.role: frozenset(),
    ANYONE.role: _BY_HAND
    | {"ledger_entry", "ledger_pending", "outbox", "passkey", "password", "known_browser", "guesses", "spent_challenge"},
    DOOR.role: frozenset({"receipt", "ledger_entry", "ledger_pending"}),
    ACCOUNT: _TOLD | _BY_HAND | _MADE | {"password", "known_browser", "provider_link"},
    MEMBER: _TOLD
    | _BY_HAND
    | _MADE
    | {"connection", "enrollment"}
    | {"password", "known_browser", "provider_link", "consent", "incident", "incident_alert", "verdict", "loss", "reimbursement"},
    COUNSEL: _TOLD | _BY_HAND | {"account", "role_grant", "legal_hold", "recovery", "packet", "packet_taken"},
    CASEWORKER: _TOLD
    | {"enrollment", "poll", "receipt", "event", "alert", "look_up", "break_glass"}
    | {"handed_on", "reading_document"},
    ADMIN: _TOLD
    | _BY_HAND
    | {"account", "role_grant", "member", "employment", "enrollment", "consent", "recovery", "break_glass"}
    | {"connection", "connection_secret", "disputed_range", "poll", "look_up", "reading_document", "handed_in"}
    | {"passkey", "password", "known_browser", "recovery_code", "identity_provider", "provider_link"},
    AUDITOR: _TOLD,
    STATISTICS: _TOLD,
}
"""By role: the tables that it may write at all; whose rows, the tests try out."""


def acting(
    role: str, organization_id: UUID | None = None, account_id: UUID | None = None, member_id: UUID | None = None
) -> Acting:
    """As whom; those who are not known yet have no ids."""
    return Acting(role) if role in (NOBODY.role, ANYONE.role, DOOR.role) else Acting(role, organization_id, account_id, member_id)
