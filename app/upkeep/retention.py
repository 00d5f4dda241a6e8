"""How long each kind of row is kept, by one table. What does not go by age is in it, too, with what deletes it, or why not.

A legal hold on a person, or on their whole organization, keeps their rows for as long as it stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    SQLColumnExpression,
    and_,
    delete,
    exists,
    func,
    inspect,
    null,
    or_,
    select,
    tuple_,
    update,
)

from app.access.models import Account, ApiToken, Session, SignInLink
from app.connections.models import Connection, ConnectionSecret
from app.evidence.packets import KEPT_FOR
from app.incidents.matching import LONGEST_WAIT
from app.intake.models import Refusal
from app.kit import clock, outbox
from app.kit.database import Database, Transaction
from app.kit.letters import Letter
from app.ledger.deletions import Gone, note_deletion
from app.members.models import LegalHold
from app.notices.models import Alarm, MemberNotice
from connectors.registry import registry

AT_ONCE = 500
_DAY, _YEAR = timedelta(days=1), timedelta(days=365)


@dataclass(frozen=True)
class Term:
    """One kind of row that goes with age. `since`: what its age is counted from, in words for people and in SQL."""

    what: Gone
    model: Any
    after: timedelta
    since: str
    counted_from: SQLColumnExpression[Any]
    organization: SQLColumnExpression[Any]
    account: SQLColumnExpression[Any] | None = None
    """Whose account it is, if anybody's: a hold on that person keeps it."""


TERMS: tuple[Term, ...] = (
    Term(
        Gone.SESSION,
        Session,
        90 * _DAY,
        "it ended, or was last used",
        func.coalesce(Session.ended_at, Session.last_seen_at),
        Account.organization_id,
        Session.account_id,
    ),
    Term(
        Gone.SIGN_IN_LINK,
        SignInLink,
        30 * _DAY,
        "it could last be used",
        SignInLink.expires_at,
        Account.organization_id,
        SignInLink.account_id,
    ),
    Term(
        Gone.API_TOKEN,
        ApiToken,
        _YEAR,
        "it was revoked, or ran out",
        func.coalesce(ApiToken.revoked_at, ApiToken.expires_at),
        Account.organization_id,
        ApiToken.account_id,
    ),
    Term(Gone.LETTER, Letter, _YEAR, "it was sent, or given up", Letter.ended_at, Letter.organization_id, Letter.recipient),
    Term(Gone.ALARM, Alarm, 2 * _YEAR, "it was over", Alarm.closed_at, Alarm.organization_id),
    Term(Gone.REFUSAL, Refusal, 2 * _YEAR, "that day", Refusal.day, Refusal.organization_id),
)
"""What a worker deletes by age, class by class."""

WITH_SOMETHING_ELSE: dict[str, tuple[tuple[str, ...], str]] = {
    "outbox messages": (
        ("outbox", "outbox_failure", "outbox_consumer"),
        f"{outbox.KEPT_FOR.days} days after everybody who asks for one has handled it",
    ),
    "entries that wait for their place in the log": (
        ("ledger_pending", "ledger_head"),
        "until they have it, seconds later; how far each log is stays",
    ),
    "secrets of connections": (
        ("connection_secret",),
        "destroyed when they are replaced and their overlap is over; the bare row stays",
    ),
    "settings of connections": (
        ("connection", "poll", "poll_subject"),
        "destroyed when the connection is closed; the bare row stays",
    ),
    "alerts without a member's consent": (
        ("unmatched", "look_up"),
        f"keys destroyed {LONGEST_WAIT.days} days after the member was asked, or at their no; hash and reason stay",
    ),
    "raw data of deliveries": (
        ("receipt", "event", "alert", "handed_on"),
        "by the term of their connection: the one an admin has set for it, else its connector's, see below; what is left to a "
        "person at its member's no; all with the erasure of a member they hold. Hash and outcome stay",
    ),
    "ways to sign in": (
        ("passkey", "password", "known_browser", "recovery_code", "provider_link"),
        "when the person removes them or begins anew, and at a member's erasure; a removed one's bare row stays",
    ),
    "an organization's own sign-in": (
        ("identity_provider",),
        "its secret and its links destroyed when an admin removes it; the bare row stays",
    ),
    "tries to sign in": (
        ("guesses", "spent_challenge"),
        "30 days after the first try, minutes after a challenge; hashes and counts, noted nowhere else",
    ),
    "finished packets of evidence": (
        ("packet",),
        f"files and their key {KEPT_FOR.days} days after it was built, and before that when anybody in it is erased or no longer "
        "agrees, or a text in it has to go by its term; no hold keeps this copy of what it keeps; its number and who asked for "
        "it stay. One that nobody orders: the whole row, after a day",
    ),
    "a member and all that was derived": (
        (
            *("member", "employment", "enrollment", "consent", "consent_request", "member_notice", "member_evidence", "exposure"),
            *("member_alert", "member_event", "incident", "incident_alert", "verdict", "link", "loss", "reimbursement"),
        ),
        "at the member's erasure; the bare row and the answers about consent stay",
    ),
}
"""What something else deletes, by what people call it: its tables, and when."""

KEPT: dict[str, tuple[tuple[str, ...], str]] = {
    "the ledger, and the list of deletions": (("ledger_entry", "deletion"), "they prove what was received and done; ids only"),
    "the log over the ledger, and who vouched for it": (
        ("ledger_leaf", "ledger_subtree", "ledger_checkpoint", "ledger_cosignature", "ledger_timestamp", "ledger_signer"),
        "they prove that the ledger is as it was; hashes only",
    ),
    "numbers of exhibits": (("bates_number",), "a number that was told of stands for one exhibit for ever; ids only"),
    "whose data is in which packet, and who took it along": (
        ("packet_member", "packet_taken"),
        "whoever is asked where a packet went must be able to say so; ids only",
    ),
    "published statistics": (("statistics_release",), "they were published; no person is in them"),
    "legal holds and matters": (("legal_hold", "matter", "matter_counsel"), "counsel's record of who had to keep what"),
    "accounts and roles": (("account", "role_grant"), "the ledger names them by id; an erased member's has no address"),
    "who let whom in": (
        ("recovery", "break_glass", "key_recovery"),
        "who vouched, who looked in an emergency and why, who tried to recover the keys",
    ),
    "breaches and disputed time": (("breach", "disputed_range"), "facts about organizations, not about people"),
    "the words of findings": (("shared_finding",), "kinds of act, elements of data, which came first; it names nobody"),
    "rules that connections are read by": (("reading_document",), "they say by what any alert was read"),
    "files that were handed in": (("handed_in",), "a keyed hash of each, so that none is handed in twice"),
    "organizations, their keys and held domains": (
        ("organization", "organization_key", "door_key", "held_domain"),
        "everything hangs on them",
    ),
}
"""What nobody deletes, and why."""


def _held(organization: SQLColumnExpression[Any], member: SQLColumnExpression[Any] | None) -> ColumnElement[bool]:
    everybody = LegalHold.member_id.is_(None)
    on = and_(LegalHold.organization_id == organization, LegalHold.released_at.is_(None))
    return exists().where(on, everybody if member is None else or_(everybody, LegalHold.member_id == member))


def _due(term: Term, now: datetime) -> Select[Any]:
    """The rows of a class whose time is over: primary key, then the organization."""
    key = inspect(term.model).primary_key
    query = select(*key, term.organization).select_from(term.model)
    if term.account is not None:
        query = query.outerjoin(Account, Account.id == term.account)
    limit: Any = (now - term.after).date() if term.model is Refusal else now - term.after
    member = Account.member_id if term.account is not None else None
    return query.where(term.counted_from < limit, ~_held(term.organization, member)).order_by(*key).limit(AT_ONCE)


def _spoken(term: Term) -> str:
    return f"{term.after.days} days since {term.since}"


async def _delete_some(tx: Transaction, term: Term) -> int:
    rows = (await tx.execute(_due(term, clock.now()))).all()
    if not rows:
        return 0
    keys = [tuple(row[:-1]) for row in rows]
    if term.model is Letter:
        told_of = update(MemberNotice).where(MemberNotice.letter_id.in_([one for (one,) in keys]))
        await tx.execute(told_of.values(letter_id=null()))
    key = tuple_(*inspect(term.model).primary_key)
    await tx.execute(delete(term.model).where(key.in_(keys)).execution_options(synchronize_session=False))
    counted: dict[UUID, int] = {}
    for row in rows:
        counted[row[-1]] = counted.get(row[-1], 0) + 1
    for organization_id, count in counted.items():
        note_deletion(tx, organization_id, term.what, count, _spoken(term))
    return len(rows)


async def _destroy_replaced_secrets(tx: Transaction) -> int:
    """Secrets of connections whose overlap is over; the rows stay, because receipts name the key that proved them."""
    over = and_(ConnectionSecret.retired_at <= clock.now(), ConnectionSecret.sealed != b"")
    query = select(ConnectionSecret.id, Connection.organization_id, Connection.id)
    rows = (await tx.execute(query.join(Connection, Connection.id == ConnectionSecret.connection_id).where(over))).all()
    for secret_id, organization_id, connection_id in rows:
        gone = update(ConnectionSecret).where(ConnectionSecret.connection_id == connection_id, ConnectionSecret.id == secret_id)
        await tx.execute(gone.values(sealed=b""))
        ids: dict[str, UUID | list[UUID]] = {"connection": connection_id, "secrets": [secret_id]}
        note_deletion(tx, organization_id, Gone.SECRET, 1, "replaced, and no longer taken", ids)
    return len(rows)


async def delete_by_age(database: Database, terms: Sequence[Term] = TERMS) -> dict[Gone, int]:
    """Delete what the table says is over, a few hundred rows a transaction, each with its row in `deletion`; how many."""
    done: dict[Gone, int] = {}
    for term in terms:
        while True:
            async with database.begin() as tx:
                deleted = await _delete_some(tx, term)
            done[term.what] = done.get(term.what, 0) + deleted
            if deleted < AT_ONCE:
                break
    async with database.begin() as tx:
        done[Gone.SECRET] = await _destroy_replaced_secrets(tx)
    return done


async def forget_messages(database: Database, consumers: Sequence[outbox.Consumer]) -> int:
    """Delete what the outbox no longer needs, with its rows in `deletion`; how many."""

    def noted(tx: Transaction, count: int) -> None:
        note_deletion(tx, None, Gone.MESSAGE, count, f"handled, and older than {outbox.KEPT_FOR.days} days")

    return await outbox.forget_handled(database, consumers, noted)


def in_words() -> str:
    """The whole table, as docs/retention.md shows it."""
    lines = ["| what | kept until | by |", "|---|---|---|"]
    lines += [f"| `{one.model.__tablename__}` | {_spoken(one)} | the hourly sweep |" for one in TERMS]
    lines += [
        f"| {name} (`{'`, `'.join(tables)}`) | {when} | its own worker |" for name, (tables, when) in WITH_SOMETHING_ELSE.items()
    ]
    lines += [f"| {name} (`{'`, `'.join(tables)}`) | for good: {why} | nobody |" for name, (tables, why) in KEPT.items()]
    lines += ["", "| connector | raw data of a connection without a term of its own is kept for | why |", "|---|---|---|"]
    for one in registry().values():
        days = f"{one.retention.raw.days} days" if one.retention else "as long as its member is kept"
        lines.append(f"| `{one.name}` | {days} | {one.retention.source if one.retention else 'no term in its contract'} |")
    return "\n".join(lines)
