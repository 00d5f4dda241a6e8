"""Pages from templates. Everything is escaped; a name that a template uses and nobody gave is an error."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.access.roles import Principal, Standing
from app.web import labels
from app.web.assets import asset_url
from app.web.dates import plain_day, plain_interval, plain_moment, plain_month
from app.web.headers import WITH_SCRIPT

_INVISIBLE = re.compile("[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def visible(text: object) -> str:
    """Text of others with its invisible characters (controls, changes of direction) written out, so that nothing is hidden."""
    return _INVISIBLE.sub(lambda found: f"\\u{ord(found.group()):04x}", str(text))


def sentence(text: str) -> str:
    """The same words with a capital at the beginning."""
    return text[:1].upper() + text[1:]


def pretty_json(value: object) -> str:
    """A JSON value over several lines, as a person can read it."""
    return visible(json.dumps(value, indent=2, ensure_ascii=False))


def money(amount: Decimal | None, currency: str | None) -> str:
    """An amount with its currency: "$2,500.00", "1,200.00 EUR"; empty for none."""
    if amount is None:
        return ""
    return f"${amount:,.2f}" if currency == "USD" else f"{amount:,.2f} {currency or ''}".strip()


def _environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {
        "day": plain_day,
        "moment": plain_moment,
        "interval": plain_interval,
        "month": plain_month,
        "sentence": sentence,
        "visible": visible,
        "pretty_json": pretty_json,
    }
    made.globals |= {"asset": asset_url, "money": money, "labels": labels}
    return made


_TEMPLATES = _environment()


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """One page as an answer. `me` in the template is who asks, None for somebody who has not signed in all the way."""
    who: Principal | None = getattr(request.state, "principal", None)
    me = who if who is not None and who.standing is Standing.FULL else None
    text = _TEMPLATES.get_template(template).render(
        me=me, halfway=who is not None and me is None, here=request.url.path, **values
    )
    return HTMLResponse(text, status_code=status)


def scripted_page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page that speaks with a passkey: the only ones on which a script of ours may run."""
    answer = page(request, template, status, **values)
    answer.headers["Content-Security-Policy"] = WITH_SCRIPT
    return answer
