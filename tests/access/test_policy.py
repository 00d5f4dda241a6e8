"""Every route has a rule and every rule a route; the rules are listed once more, to be read by people: no change goes unseen."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import fields, replace
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import iter_route_contexts

from app.access.policy import POLICY, Reach, Rule, rule_for, scopes_of
from app.access.roles import Role, Standing
from app.main import create_app
from tests.support.world import ORIGIN, World

PUBLIC = {
    ("GET", "/livez"): "says that the process lives",
    ("GET", "/readyz"): "says whether the database answers",
    ("GET", "/openapi.json"): "the description of the API, the same for everybody",
    ("GET", "/v1/connectors/standard/schema.json"): "the documented alert schema, for providers",
    ("GET", "/static/{path}"): "style sheets, and the one script",
    ("GET", "/.well-known/security.txt"): "whom to tell of a weakness",
    ("GET", "/sign-in"): "the form that asks for a link",
    ("POST", "/sign-in"): "asks for a link, by mail to its owner only",
    ("GET", "/sign-in/{token}"): "shows a button, spends nothing",
    ("POST", "/sign-in/{token}"): "the one-time token proves who it is",
    ("POST", "/sign-in/passkey/options"): "a challenge, the same for everybody; limited by address",
    ("POST", "/sign-in/passkey"): "the signature over the challenge proves who it is",
    ("GET", "/sign-in/with/{provider_id}"): "says where an organization's own sign-in leads",
    ("GET", "/sign-in/with/{provider_id}/go"): "sends a browser there; limited by address",
    ("GET", "/sign-in/provider/callback"): "the provider's signed token proves who it is, to whom pressed the button before",
    ("POST", "/sign-in/password"): "password and code prove who it is; limited by address, account and browser",
    ("POST", "/webhooks/{connection_id}/{token}"): "the signature over the body proves who it is",
}


REVIEWED = Path(__file__).with_name("policy.txt")
"""Every rule in words. HARMLINE_SHOWN=1 writes it anew; what has changed in it is for a person to read."""


def in_words(route: tuple[str, str], rule: Rule) -> str:
    """One rule as a line: who, how far, with which scope, signed in how, and whether shown anew."""
    who = " ".join(sorted(rule.roles)) or "everybody"
    standings = "" if rule.standings == {Standing.FULL} else " · signed in " + " or ".join(sorted(rule.standings))
    some = "" if rule.fresh >= rule.roles else f" by {' '.join(sorted(rule.fresh))}"
    fresh = f" · shown anew{some}" if rule.fresh else ""
    return f"{route[1]} {route[0]}: {who} · {rule.reach} · {rule.scope or 'no program'}{standings}{fresh}"


def served(app: object) -> set[tuple[str, str]]:
    """Every method and path template that an application answers, in the policy's spelling."""
    found = set()
    for route in iter_route_contexts(app.routes):  # type: ignore[attr-defined]
        methods = route.methods
        assert methods is not None, f"{route.path} is a mount or a websocket: the gate does not see it"
        found |= {(method, str(route.path_format)) for method in methods}
    return found


def test_every_route_has_a_rule_and_every_rule_a_route() -> None:
    routes = served(create_app(work=False))
    assert {route for route in routes if rule_for(*route) is None} == set()
    assert {rule for rule in POLICY if rule not in routes} == set()
    assert {method for method, _ in routes} <= {"GET", "HEAD", "POST", "PATCH", "DELETE"}


def test_what_needs_no_sign_in_is_reviewed() -> None:
    assert {route for route, rule in POLICY.items() if rule.public} == set(PUBLIC)


def test_no_rule_changes_unseen() -> None:
    """The table is made anew for this: of code that runs at import, mutmut notices nothing otherwise."""
    spec = importlib.util.find_spec(Rule.__module__)
    assert spec is not None
    assert spec.loader is not None
    anew = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(anew)
    told = "".join(f"{line}\n" for line in sorted(in_words(route, rule) for route, rule in anew.POLICY.items()))
    if os.environ.get("HARMLINE_SHOWN"):
        REVIEWED.write_text(told)
    assert told == REVIEWED.read_text(), "a rule has changed: is that meant? HARMLINE_SHOWN=1 writes the list anew"


def test_a_rule_in_words_says_all_of_it() -> None:
    rule = Rule(frozenset({Role.ADMIN}), Reach.ORGANIZATION, "roles:read")
    others = [
        replace(rule, roles=frozenset({Role.ADMIN, Role.STAFF})),
        replace(rule, reach=Reach.SELF),
        replace(rule, scope=""),
        replace(rule, standings=frozenset({Standing.SETUP})),
        replace(rule, fresh=frozenset({Role.ADMIN})),
    ]
    assert len(others) == len(fields(Rule))
    assert len({in_words(("GET", "/x"), one) for one in (rule, *others)}) == len(others) + 1


PEOPLES_OWN = ("break-glass", "/queues/reviews/", "/packets")
"""What no program is let do: to read what is a member's, as somebody whom they agreed to; to take everything along."""

UNATTENDED = {("POST", "/v1/connections/{connection_id}/files")}
"""What a person shows anew that it is them for, and a program does without: it hands in files night by night."""


@pytest.mark.parametrize(("method", "path"), [route for route, rule in POLICY.items() if not rule.public])
def test_a_rule_names_a_scope_a_reach_and_roles_that_fit(method: str, path: str) -> None:
    rule = POLICY[method, path]
    for_people = not path.startswith("/v1") or any(part in path for part in PEOPLES_OWN) or bool(rule.fresh)
    assert rule.scope or for_people, "what a program may ask for has a scope"
    if rule.reach is Reach.ORGANIZATION:
        assert Role.MEMBER not in rule.roles
    if path.startswith("/v1/me/"):
        assert rule.roles == {Role.MEMBER}
    if Role.STAFF in rule.roles and rule.roles != frozenset(Role):
        assert path in ("/v1/statistics/incidents", "/statistics"), "staff see released aggregates and nothing else"


def test_no_program_does_what_a_person_shows_anew_that_it_is_them_for() -> None:
    assert {route for route, rule in POLICY.items() if rule.fresh and rule.scope} == UNATTENDED


def test_each_role_has_only_the_scopes_of_its_lane() -> None:
    assert {role: sorted(scopes_of(role)) for role in Role} == {
        Role.MEMBER: ["account", "timeline:read", "timeline:write"],
        Role.STAFF: ["account", "statistics:read"],
        Role.CASEWORKER: ["account", "queues:read", "queues:write"],
        Role.COUNSEL: ["account", "holds:write", "matters:read", "roles:read", "statistics:read", "timeline:read"],
        Role.ADMIN: ["account", "connections:write", "roles:read", "roster:write"],
        Role.AUDITOR: ["account", "ledger:read"],
    }


async def test_a_route_without_a_rule_is_refused_to_everybody(world: World) -> None:
    router = APIRouter()

    @router.get("/v1/made-up/{member_id}")
    async def made_up(member_id: UUID) -> str:
        return "reached"

    world.app.include_router(router)
    for role in Role:
        async with await world.sign_in(role) as browser:
            for path in (f"/v1/made-up/{UUID(int=1)}", "/v1/made-up/%2e%2e"):
                assert (await browser.get(path)).status_code == 403
    assert (await world.client.get(f"/v1/made-up/{UUID(int=1)}")).status_code == 403


@pytest.mark.parametrize("path", ["/redoc", "/metrics", "/debug", "/v1", "/v1/me/", "//v1/me", "/V1/me", "/.env", "/admin/"])
async def test_nothing_else_answers(path: str) -> None:
    app = create_app(work=False)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        answer = await client.get(path)
    assert answer.status_code == 404
    assert "location" not in answer.headers
