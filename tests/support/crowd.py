"""Many other members with a history, written by the database itself: so that a plan that looks through everything shows."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

_OTHERS = "FROM member AS m, generate_series(1, {each}) AS g WHERE m.sealed IS NULL"
_STATEMENTS = (
    "INSERT INTO member (id, organization_id, created_at, updated_at)"
    " SELECT gen_random_uuid(), '{organization}', now(), now() FROM generate_series(1, {members})",
    "INSERT INTO receipt (connection_id, id, organization_id, body_hash, sealed, channel, verification, headers_sealed, grade,"
    " received_at, last_received_at, repeats, state) SELECT '{connection}', gen_random_uuid(), '{organization}', uuid_send("
    "gen_random_uuid()), '', 'webhook', '{{}}', '', 'shared_secret', now(), now(), 0, 'handled' " + _OTHERS,
    "INSERT INTO member_event (member_id, event_id, alert_id, connection_id, receipt_id, outcome, grade, kind, received_at,"
    " sealed) SELECT m.id, gen_random_uuid(), gen_random_uuid(), '{connection}', gen_random_uuid(), 'new', 'shared_secret',"
    " 'new_account.credit_card', now(), '' " + _OTHERS,
    "INSERT INTO member_alert (member_id, alert_id, organization_id, connection_id, enrollment_id, grade, first_received_at,"
    " matched_at) SELECT member_id, alert_id, '{organization}', connection_id, gen_random_uuid(), grade, received_at, received_at"
    " FROM member_event WHERE sealed = ''",
    "INSERT INTO incident (member_id, id, organization_id, kind, family, first_received_at, answer, needs_review, ask_again,"
    " updated_at) SELECT member_id, alert_id, '{organization}', kind, 'new_account', received_at, 'unanswered', false, false,"
    " now() FROM member_event WHERE sealed = ''",
    "INSERT INTO incident_alert (member_id, alert_id, incident_id) SELECT member_id, alert_id, alert_id FROM member_event"
    " WHERE sealed = ''",
    "INSERT INTO link (member_id, id, organization_id, incident_id, breach_id, time_order, excluded_by_time, own,"
    " shared_sha256, rules_version, found_at) SELECT i.member_id, gen_random_uuid(), i.organization_id, i.id, b.id, 'after',"
    " false, '{{}}', '', 'x', now() FROM incident AS i JOIN breach AS b ON b.organization_id = i.organization_id AND b.focal"
    " JOIN member AS m ON m.id = i.member_id WHERE m.sealed IS NULL",
    "INSERT INTO exposure (member_id, breach_id, wave, element, basis, status, mark) SELECT m.id, b.id, 'one', 'SSN', 'x',"
    " 'exposed', 'x' FROM member AS m JOIN breach AS b ON b.organization_id = m.organization_id WHERE m.sealed IS NULL",
    "INSERT INTO enrollment (member_id, id, organization_id, connection_id, reference_index, created_at) SELECT m.id,"
    " gen_random_uuid(), m.organization_id, '{connection}', uuid_send(m.id), now() FROM member AS m WHERE m.sealed IS NULL",
    "INSERT INTO ledger_entry (id, organization_id, kind, member_id, subjects, commitment, at) SELECT gen_random_uuid(),"
    " m.organization_id, 'view', m.id, '{{}}', '', now() " + _OTHERS,
)


async def crowd(owner_url: str, organization_id: UUID, connection_id: UUID, members: int, each: int) -> None:
    """So many members more, each with so many incidents, links, receipts and looks. PostgreSQL only; as the owner of all."""
    engine = create_async_engine(owner_url)
    values = {"organization": organization_id, "connection": connection_id, "members": members, "each": each}
    async with engine.begin() as owner:
        for statement in _STATEMENTS:
            await owner.execute(text(statement.format(**values).replace(":", r"\:")))
    async with engine.connect() as owner:
        await (await owner.execution_options(isolation_level="AUTOCOMMIT")).execute(text("ANALYZE"))
    await engine.dispose()
