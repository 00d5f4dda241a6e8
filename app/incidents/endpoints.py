"""Routes of incidents: the member's answer, consents, and the caseworker's queue."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from app.access.gate import Caller, MemberCaller
from app.access.roles import Principal
from app.connections import repository as connections
from app.incidents import giving, reporting, repository, service
from app.incidents.identity import Answer
from app.incidents.schemas import REPORT_FORM, ConsentView, NewVerdict, ReportTaken, UnmatchedView, VerdictView, Whose
from app.intake.readers import leaves_to_people
from app.kit.context import Context, Ctx, Tx
from app.kit.database import Transaction
from app.kit.errors import Problem, described, not_found
from app.kit.pagination import Cursor, Limit, Page, decode_id_cursor, encode_cursor
from app.kit.uploads import Upload, read_upload
from app.members import repository as members
from app.members import service as member_service
from app.members.models import Consent
from app.members.schemas import ConsentAnswer
from connectors.own.documents import LARGEST

router = APIRouter(prefix="/v1", tags=["incidents"])


async def answer_incident(tx: Transaction, context: Context, caller: Principal, incident_id: UUID, body: NewVerdict) -> UUID:
    """Take a member's own answer; returns the id of the incident it now is about. Raises a 404, 409 or 422 Problem."""
    if body.answer is Answer.UNANSWERED:
        raise Problem(422, "Answer not_me, was_me or unsure.")
    incident = await repository.find_incident(tx, caller.organization_id, incident_id, caller.member_id)
    if incident is None:
        raise not_found()
    await service.give_verdict(tx, context.keyring, incident, body.answer, body.shown, caller.actor)
    return incident.id


@router.post("/incidents/{incident_id}/verdict")
async def give_verdict(incident_id: UUID, body: NewVerdict, caller: MemberCaller, context: Ctx, tx: Tx) -> VerdictView:
    """Say whether it was you. You can change your answer; every answer is kept."""
    final_id = await answer_incident(tx, context, caller, incident_id, body)
    incident = await repository.find_incident(tx, caller.organization_id, final_id, caller.member_id)
    if incident is None:
        raise not_found()
    return VerdictView(
        incident_id=incident.id,
        answer=Answer(incident.answer),
        needs_review=incident.needs_review,
        ask_again=incident.ask_again,
    )


async def consents_of(tx: Transaction, caller: Principal) -> list[ConsentView]:
    """What a member was asked and answered, one entry for each connection that knows them."""
    if caller.member_id is None:
        return []
    waiting = set(await repository.waiting_for_consent(tx, caller.member_id))
    known = {row.connection_id for row in await members.enrollments_of_member(tx, caller.member_id)}
    views = []
    for connection_id in sorted(waiting | known):
        connection = await connections.connection_of(tx, caller.organization_id, connection_id)
        last = await members.last_consent(tx, caller.member_id, connection_id)
        if connection is not None:
            views.append(
                ConsentView(
                    connection_id=connection_id,
                    title=connection.title,
                    waiting=connection_id in waiting,
                    given=last.given if last else None,
                    reviewed=_reviewed(connection.connector, last),
                    decided_at=last.decided_at if last else None,
                )
            )
    return views


def _reviewed(connector: str, last: Consent | None) -> bool | None:
    if not leaves_to_people(connector):
        return None
    return last is not None and last.given and last.scope == member_service.REVIEWED


async def answer_consent(tx: Transaction, context: Context, caller: Principal, body: ConsentAnswer) -> None:
    """Take a member's own consent or refusal. Raises a 404 Problem for a connection that does not know them."""
    member = await members.member(tx, caller.organization_id, caller.member_id or UUID(int=0), lock=True)
    known = {view.connection_id: view for view in await consents_of(tx, caller)}
    if member is None or body.connection_id not in known:
        raise not_found()
    is_read = body.given and body.reviewed and known[body.connection_id].reviewed is not None
    await member_service.record_consent(
        tx,
        context.keyring,
        member,
        body.connection_id,
        given=body.given,
        source=member_service.OWN_ANSWER,
        scope=member_service.REVIEWED if is_read else member_service.SCOPE,
        actor=caller.actor,
    )


@router.get("/me/consents")
async def list_consents(caller: MemberCaller, tx: Tx) -> list[ConsentView]:
    """Which monitoring services know you here, and whether you agreed to keeping what they send."""
    return await consents_of(tx, caller)


@router.post("/me/consents", status_code=204)
async def give_consent(body: ConsentAnswer, caller: MemberCaller, context: Ctx, tx: Tx) -> None:
    """Agree or refuse. After a refusal what waited can never be read by anybody."""
    await answer_consent(tx, context, caller, body)


async def take_report(tx: Transaction, context: Context, caller: Principal, sent: Upload) -> ReportTaken:
    """Keep what a member typed in and handed over. Raises a 404, 409 or 422 Problem."""
    typed = reporting.report_of(sent.fields, sent.file)
    kept = await reporting.take(tx, context.keyring, caller, typed, sent.file)
    return ReportTaken(receipt_id=kept.receipt_id, repeat=kept.repeat)


async def read_report(request: Request) -> Upload:
    """The form of a report. Raises a 413, 415 or 422 Problem."""
    return await read_upload(request, reporting.DOCUMENT, LARGEST)


ReportForm = Annotated[Upload, Depends(read_report)]


NO_FORM = described({415: "It is no form with a file (multipart/form-data)."})


@router.post("/reports", status_code=202, openapi_extra={"requestBody": REPORT_FORM}, responses=NO_FORM)
async def report(form: ReportForm, caller: MemberCaller, context: Ctx, tx: Tx) -> ReportTaken:
    """Report something yourself, or tell more of one of your alerts; with a document, if there is one. It is read in a moment.

    An amount without a currency is in US dollars.
    """
    return await take_report(tx, context, caller, form)


@router.get("/queues/unmatched")
async def unmatched(caller: Caller, tx: Tx, cursor: Cursor = None, limit: Limit = 50) -> Page[UnmatchedView]:
    """Alerts and notices that are nobody's, or could be two people's. What they say stays sealed."""
    rows = await giving.nobodys_after(tx, caller.organization_id, decode_id_cursor(cursor), limit + 1)
    items = [UnmatchedView.model_validate(row, from_attributes=True) for row in rows[:limit]]
    return Page(items=items, next=encode_cursor(rows[limit - 1].alert_id.hex) if len(rows) > limit else None)


@router.post("/queues/unmatched/{alert_id}/member", status_code=204)
async def give_to_member(alert_id: UUID, body: Whose, caller: Caller, context: Ctx, tx: Tx) -> None:
    """Say whose an alert is that is nobody's. The member is asked and sees nothing before they agree; neither do you."""
    await giving.give(tx, context.keyring, caller.organization_id, alert_id, body.external_id, caller.actor)
