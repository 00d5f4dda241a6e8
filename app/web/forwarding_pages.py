"""The member's page of forwarding: an address of their own, what their mailbox asks of it, and how to set it up there."""

from functools import cache

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.access.gate import MemberCaller
from app.intake import forwarding
from app.kit.context import Ctx, Tx
from app.kit.errors import Problem
from app.web.forms import Form
from app.web.templating import page
from connectors.mail.rule_file import Carries
from connectors.mail.rules import read_rules

router = APIRouter()

SAID = {
    "make": "Here is your new address. Set it up in your mailbox, as below.",
    "give-up": "The address has ended. Take it out of the rules of your mailbox, too.",
}
"""What the page says after an act."""
_NOT_TO_BE_FORWARDED = ("google.com",)
_INVENTED = ".example"


@cache
def senders() -> tuple[str, ...]:
    """The domains that services are known to send alerts from, by the rules that come with the house."""
    domains = {
        entry.domain for one in read_rules({}).senders.values() for entry in one.file.domains if entry.carries is Carries.ALERTS
    }
    return tuple(sorted(one for one in domains if one not in _NOT_TO_BE_FORWARDED and not one.endswith(_INVENTED)))


@router.get("/forwarding")
async def show(request: Request, caller: MemberCaller, context: Ctx, tx: Tx, said: str = "") -> Response:
    """The address, what mailboxes ask of it, and how to set it up in Gmail, Outlook and iCloud."""
    found = await forwarding.address_of(tx, context, caller)
    return page(request, "forwarding.html", found=found, senders=senders(), said=SAID.get(said))


@router.post("/forwarding")
async def act(form: Form, caller: MemberCaller, context: Ctx, tx: Tx) -> Response:
    """Make an address, put another in its place, or give it up."""
    todo = form.text("todo")
    if todo == "make":
        await forwarding.make(tx, context, caller)
    elif todo == "give-up":
        await forwarding.give_up(tx, context, caller)
    else:
        raise Problem(422, "This form cannot be read. Open the page again and retry.")
    return RedirectResponse(f"/forwarding?said={todo}", 303)
