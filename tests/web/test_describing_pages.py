"""The description of the API, and whom to tell of a weakness."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from app.access.roles import Role
from app.kit.config import Settings
from app.web.assets import assets
from app.web.describing_pages import security_txt
from tests.support.world import World


async def test_the_api_is_described_to_whoever_has_signed_in(world: World) -> None:
    assert (await world.client.get("/docs")).status_code == 303
    async with await world.sign_in(Role.AUDITOR) as browser:
        answer = await browser.get("/docs")
        assert answer.status_code == 200
        sources = re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text)
        assert {source.partition("?")[0] for source in sources} >= {"/static/swagger-ui-bundle.js", "/static/docs.js"}
        for source in sources:
            found = await browser.get(source)
            assert found.status_code == 200
            assert "immutable" in found.headers["cache-control"]
        script = await browser.get("/static/docs.js")
        assert script.headers["content-type"] == "text/javascript; charset=utf-8"


def test_our_own_script_asks_nobody_else_and_only_reads() -> None:
    script = assets()["docs.js"].content.decode()
    assert "http" not in script
    assert 'supportedSubmitMethods: ["get"]' in script
    assert "validatorUrl: null" in script


async def test_whom_to_tell_is_told_to_everybody(world: World) -> None:
    answer = await world.client.get("/.well-known/security.txt")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    fields = dict(line.split(": ", 1) for line in answer.text.splitlines())
    assert fields["Contact"] == "mailto:harmline@localhost"
    assert fields["Canonical"] == "http://localhost:8000/.well-known/security.txt"


@pytest.mark.parametrize("now", [datetime(2026, 11, 26, 23, 59, 59, tzinfo=UTC), datetime(2028, 2, 29, tzinfo=UTC)])
def test_it_ends_within_the_year_and_never_has_ended(now: datetime) -> None:
    """RFC 9116: Contact and Expires are needed, Expires once, in the form of RFC 3339, and less than a year ahead."""
    text = security_txt(Settings(_env_file=None, security_contact="https://example.org/security"), now)
    assert text.startswith("Contact: https://example.org/security\n")
    (expires,) = re.findall(r"^Expires: (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$", text, re.MULTILINE)
    left = datetime.fromisoformat(expires) - now
    assert timedelta(days=30) < left < timedelta(days=365)


@pytest.mark.parametrize("contact", ["security@example.org", "http://example.org", "mailto:a@example.org\nContact: x", ""])
def test_a_contact_that_is_none_stops_the_start(contact: str) -> None:
    with pytest.raises(ValidationError, match="HARMLINE_SECURITY_CONTACT"):
        Settings(_env_file=None, security_contact=contact)
