"""The gate: finds out who asks, looks the route up in the policy table, and lets through or refuses."""

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request

from app.access import repository
from app.access.policy import Rule, rule_for
from app.access.roles import Principal, Role, Standing
from app.access.sessions import is_fresh
from app.access.walls import acting_for
from app.kit import clock
from app.kit.acting import ANYONE
from app.kit.config import Settings
from app.kit.context import Context, Ctx
from app.kit.errors import Problem

IDLE = {Role.MEMBER: timedelta(minutes=30)}
IDLE_OTHERS = timedelta(minutes=15)
LONGEST = timedelta(hours=12)
_SEEN_EVERY = timedelta(minutes=1)
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_WHERE_TO = {Standing.SETUP: "/welcome", Standing.MAILBOX: "/recovery", Standing.FULL: "/"}
"""The page on which somebody goes on who has come so far and no further."""

_OWN_FETCH = frozenset({"same-origin", "none"})


class ConfirmFirst(Problem):
    """Somebody is signed in, and must show once more that it is them before they do this."""

    def __init__(self) -> None:
        super().__init__(403, "Show once more that it is you: sign in again in this browser, then retry within five minutes.")


def cookie_name(settings: Settings) -> str:
    """`__Host-` wherever people come over TLS: no other host or path can then set it."""
    return "__Host-harmline" if settings.https else "harmline"


async def authorize(request: Request, context: Ctx) -> None:
    """Run before every route; leaves in `request.state` who asks, and as whom the database is asked for them.

    Raises a 401, 403 or 303 Problem.
    """
    route_path: str = getattr(request.scope.get("route"), "path", "")
    rule = rule_for(request.method, route_path)
    if rule is None:
        raise Problem(403, "Nobody may do this.")
    request.state.principal = None
    request.state.acting = acting_for(rule, None)
    if rule.public and not route_path.startswith("/sign"):
        return
    principal = await _who(request, context)
    if principal is not None and principal.scopes is None:
        refuse_foreign_origin(request, context.settings)
    request.state.principal = principal
    request.state.acting = acting_for(rule, principal)
    if not rule.public:
        try:
            _refuse_unless(rule, principal, page=not route_path.startswith("/v1"))
        except ConfirmFirst:
            request.state.asked_anew = True
            raise
    elif request.method not in _SAFE_METHODS:
        refuse_foreign_origin(request, context.settings)


def _refuse_unless(rule: Rule, principal: Principal | None, *, page: bool) -> None:
    if principal is None:
        if page:
            raise Problem(303, headers={"Location": "/sign-in"})
        raise Problem(401, "Sign in first, or send a valid token.", headers={"WWW-Authenticate": "Bearer"})
    if principal.standing not in rule.standings:
        if page:
            raise Problem(303, headers={"Location": _WHERE_TO[principal.standing]})
        raise Problem(403, "Finish setting up how you sign in first.")
    allowed = principal.role in rule.roles and (principal.scopes is None or rule.scope in principal.scopes)
    if not allowed:
        raise Problem(403, "Your role does not allow this.")
    if principal.role in rule.fresh and principal.standing is Standing.FULL and not is_fresh(principal):
        raise ConfirmFirst


def refuse_foreign_origin(request: Request, settings: Settings) -> None:
    """Refuse a change that another site asks a signed-in browser to make (CSRF). Raises a 403 Problem."""
    if request.method in _SAFE_METHODS:
        return
    fetch_site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if fetch_site is not None:
        allowed = fetch_site in _OWN_FETCH
    else:
        own = {settings.origin, f"{request.url.scheme}://{request.headers.get('host', '')}"}
        allowed = origin in own
    if not allowed:
        raise Problem(403, "This came from another site. Open the page again and retry.")


async def _who(request: Request, context: Context) -> Principal | None:
    bearer = request.headers.get("authorization", "")
    scheme, _, credential = bearer.partition(" ")
    if scheme.lower() == "bearer" and credential:
        return await _by_token(context, credential.strip())
    cookie = request.cookies.get(cookie_name(context.settings))
    return await _by_session(context, cookie) if cookie else None


async def _by_token(context: Context, token: str) -> Principal | None:
    now = clock.now()
    async with context.database.begin(read_only=True, acting=ANYONE) as tx:
        found = await repository.find_token(tx, token, now)
    if found is None:
        return None
    row, principal = found
    if row.last_used_at is None or now - row.last_used_at >= _SEEN_EVERY:
        async with context.database.begin(acting=ANYONE) as tx:
            await repository.token_used(tx, row.id, now)
    return principal


async def _by_session(context: Context, token: str) -> Principal | None:
    now = clock.now()
    async with context.database.begin(read_only=True, acting=ANYONE) as tx:
        found = await repository.find_session(tx, token)
    if found is None:
        return None
    row, principal = found
    idle = IDLE.get(principal.role, IDLE_OTHERS)
    if now - row.last_seen_at >= idle or now - row.created_at >= LONGEST:
        return None
    if now - row.last_seen_at >= _SEEN_EVERY:
        async with context.database.begin(acting=ANYONE) as tx:
            await repository.session_seen(tx, row.id, now)
    return principal


def require_principal(request: Request) -> Principal:
    """Who asks, on a route that is not public."""
    principal: Principal | None = request.state.principal
    if principal is None:
        raise Problem(401, "Sign in first, or send a valid token.")
    return principal


def maybe_principal(request: Request) -> Principal | None:
    """Who asks, where signing in is not needed."""
    principal: Principal | None = request.state.principal
    return principal


def require_member(request: Request) -> Principal:
    """The member who asks; refuses an account without one."""
    principal = require_principal(request)
    if principal.member_id is None:
        raise Problem(403, "Your role does not allow this.")
    return principal


Caller = Annotated[Principal, Depends(require_principal)]
MaybeCaller = Annotated[Principal | None, Depends(maybe_principal)]
MemberCaller = Annotated[Principal, Depends(require_member)]
