"""What this service tells about itself: its API, for whoever has signed in; whom to tell of a weakness, for everybody."""

from datetime import datetime, time, timedelta

from fastapi import APIRouter, Request, Response

from app.kit import clock
from app.kit.config import Settings
from app.kit.context import Ctx
from app.web.headers import WITH_SWAGGER
from app.web.templating import page

router = APIRouter()

GOOD_FOR = timedelta(days=180)
"""RFC 9116 recommends less than a year. Counted anew each day: whoever reads it reads it of a service that is alive."""


@router.get("/docs")
async def api_description(request: Request) -> Response:
    """The description of the API, to read and to try what only reads."""
    answer = page(request, "docs.html")
    answer.headers["Content-Security-Policy"] = WITH_SWAGGER
    return answer


def security_txt(settings: Settings, now: datetime) -> str:
    """The file of RFC 9116. `now`: aware, UTC."""
    expires = datetime.combine(now.date(), time(), now.tzinfo) + GOOD_FOR
    return (
        f"Contact: {settings.security_contact or f'mailto:{settings.mail_from}'}\n"
        f"Expires: {expires.isoformat(timespec='seconds').replace('+00:00', 'Z')}\n"
        "Preferred-Languages: en\n"
        f"Canonical: {settings.origin}/.well-known/security.txt\n"
    )


@router.get("/.well-known/security.txt")
async def security_contact(context: Ctx) -> Response:
    """Whom to tell of a weakness (RFC 9116)."""
    return Response(security_txt(context.settings, clock.now()), media_type="text/plain; charset=utf-8")
