"""The page on which a member reports something themselves, or tells more of what a service only hinted at."""

from collections.abc import Mapping
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.access.gate import MemberCaller
from app.incidents.endpoints import ReportForm, take_report
from app.kit import clock
from app.kit.context import Ctx, Tx
from app.kit.errors import Problem
from app.kit.uploads import Upload
from app.web.forms import Draft, plain_amount
from app.web.templating import page

router = APIRouter()


def _show(request: Request, draft: Draft, status: int = 200, problem: str | None = None) -> Response:
    return page(request, "report.html", status, draft=draft, today=clock.now().date(), problem=problem)


@router.get("/report")
async def report_form(request: Request, caller: MemberCaller, completes: UUID | None = None) -> Response:
    """The form. `completes`: the alert that it is to tell more of."""
    return _show(request, Draft({"completes": str(completes)} if completes else {}))


@router.post("/report")
async def report(request: Request, form: ReportForm, caller: MemberCaller, context: Ctx, tx: Tx) -> Response:
    """Keep a report; what is not right is said beside its field, and nothing typed is lost."""
    amount = {"amount": plain_amount(form.fields["amount"])} if "amount" in form.fields else {}
    try:
        await take_report(tx, context, caller, Upload({**form.fields, **amount}, form.file))
    except Problem as problem:
        if problem.status not in (409, 422):
            raise
        wrong = {error.field.removeprefix("body."): error.message for error in problem.errors}
        return _show(request, Draft(_typed(form.fields), wrong), problem.status, problem.detail)
    return RedirectResponse("/timeline?reported=true", 303)


def _typed(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in fields.items() if len(name) < 30}
