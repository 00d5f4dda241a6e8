"""Headers on every answer, static files, errors as pages for people and as problem details for programs."""

from __future__ import annotations

import re

import pytest

from app.access.roles import Role
from app.web.assets import FOLDER, asset_url, assets
from app.web.headers import CONTENT_SECURITY_POLICY, WITH_SCRIPT
from tests.support.world import World

EVERYWHERE = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
PATHS = ("/", "/sign-in", "/sign-in/x", "/timeline", "/nowhere", "/incidents/x", "/v1/me", "/v1/nowhere", "/livez", "/readyz")


async def test_every_answer_carries_the_headers_and_may_not_be_kept(world: World) -> None:
    async with world.browser() as nobody:
        answers = [await nobody.get(path) for path in (*PATHS, "/openapi.json")]
        answers += [await nobody.post("/webhooks/a/b"), await nobody.put("/sign-in")]
    async with await world.sign_in(Role.MEMBER) as member:
        answers += [await member.get("/timeline"), await member.get("/statistics"), await member.get("/v1/me/timeline")]
    for answer in answers:
        speaks_with_passkeys = answer.url.path == "/sign-in" and answer.status_code == 200
        policy = {"content-security-policy": WITH_SCRIPT} if speaks_with_passkeys else {}
        for name, value in (EVERYWHERE | policy).items():
            assert answer.headers.get_list(name) == [value], (answer.url.path, name)
        assert answer.headers["strict-transport-security"].startswith("max-age=63072000")
        assert "camera=()" in answer.headers["permissions-policy"]
        assert answer.headers["cache-control"] == "no-store", answer.url.path
    assert "script" not in CONTENT_SECURITY_POLICY
    assert WITH_SCRIPT == CONTENT_SECURITY_POLICY + "; script-src 'self'; connect-src 'self'"
    for word in ("unsafe", "data:", "*", "http"):
        assert word not in WITH_SCRIPT


async def test_a_failure_of_ours_is_a_page_with_headers_and_without_details(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("app.web.incident_pages.consents_of", broken)
    async with await world.sign_in(Role.MEMBER) as member:
        answer = await member.get("/timeline")
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert "secret detail" not in answer.text
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["cache-control"] == "no-store"


PROBLEMS = (
    ("/nowhere", 404),
    ("/incidents/not-an-id", 404),
    ("/incidents/018876d4-3a00-7646-98eb-0f5e94ced0d4", 404),
    ("/timeline?cursor=" + "x" * 300, 422),
    ("/statistics", 403),
)


async def test_people_read_errors_as_pages(world: World) -> None:
    async with await world.sign_in(Role.MEMBER) as member:
        for path, status in PROBLEMS:
            answer = await member.get(path)
            assert answer.status_code == status, path
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert "<h1>" in answer.text
            assert "not-an-id" not in answer.text


async def test_programs_read_problem_details(world: World) -> None:
    for path in ("/v1/me", "/v1/nowhere", "/static/nowhere"):
        answer = await world.client.get(path)
        assert answer.headers["content-type"] == "application/problem+json", path


async def test_a_method_that_a_page_does_not_take_is_said_with_those_it_takes(world: World) -> None:
    async with await world.sign_in(Role.MEMBER) as member:
        answer = await member.put("/sign-in")
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]
    assert answer.headers["content-type"].startswith("text/html")


async def test_what_a_form_may_send_is_bounded(world: World) -> None:
    async with await world.sign_in(Role.MEMBER) as member:
        long = await member.post("/consents", data={"given": "y" * 200_000})
        many = await member.post("/consents", data={f"f{n}": "1" for n in range(700)})
        other = await member.post("/consents", json={"given": True})
        broken = await member.post(
            "/consents", content=b"\xff=%ff", headers={"content-type": "application/x-www-form-urlencoded"}
        )
    assert [a.status_code for a in (long, many, other, broken)] == [413, 422, 415, 422]


async def test_static_files_are_a_fixed_set_and_may_be_kept(world: World) -> None:
    for name in assets():
        answer = await world.client.get(asset_url(name))
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert (await world.client.get(f"/static/{name}")).headers["cache-control"] == "public, max-age=3600"
    for wrong in ("../templating.py", "..%2Ftemplating.py", "vendor/pico.min.css", "VENDOR.toml", ".", "", "look.css%00"):
        assert (await world.client.get(f"/static/{wrong}")).status_code == 404, wrong


def test_our_own_style_asks_for_nothing_from_elsewhere() -> None:
    style = (FOLDER / "app.css").read_text(encoding="utf-8")
    wanted = re.findall(r"url\(\"([^\"]*)\"\)", style)
    assert {path.removeprefix("/static/") for path in wanted} <= set(assets())
    assert "@import" not in style
    pico = (FOLDER / "vendor" / "pico.min.css").read_text(encoding="utf-8")
    icons = set(re.findall(r"(--pico-icon-[a-z]+):url\(\"data:", pico))
    left = {icon for icon in icons if f"{icon}:" not in style}
    assert icons
    assert left == {"--pico-icon-height", "--pico-icon-width", "--pico-icon-position"} & icons


def test_a_page_never_says_whose_fault_it_is() -> None:
    templates = FOLDER.parent / "templates"
    for path in sorted(templates.iterdir()):
        text = path.read_text(encoding="utf-8").lower()
        text = text.replace("<script src=\"{{ asset('passkeys.js') }}\" defer></script>", "")
        if path.name == "docs.html":  # the one page with scripts, all of them files of ours
            assert "<script>" not in text
            text = text.replace("<script src=\"{{ asset('", "")
        for phrase in ("caused by", "style=", "<script", "onclick", "javascript:", "|safe"):
            assert phrase not in text, (path.name, phrase)
