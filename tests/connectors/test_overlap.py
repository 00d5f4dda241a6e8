"""A provider's list is read on past the newest alert that is known, as far as the overlap goes: late ones stand behind it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from connectors.array.sandbox import MOST_A_PAGE, ArraySandbox
from connectors.asking import Subject
from connectors.http import ProviderClient
from connectors.registry import registry
from connectors.sandboxing import Happening, serving
from connectors.vocabulary import AlertKind

NOW = datetime(2023, 6, 1, 12, tzinfo=UTC)


async def test_what_a_provider_learns_late_is_found_within_the_overlap() -> None:
    """Several pages lie between the newest alert and the late one; the cursor stands at the newest."""
    sandbox = ArraySandbox(lambda: NOW)
    sandbox.enrol("key-1")
    connector = registry()["array"]
    plan = connector.poll
    assert plan is not None
    for number in range(9 * MOST_A_PAGE):
        sandbox.tell(Happening("key-1", AlertKind.INQUIRY_HARD, NOW - timedelta(minutes=20 * number)))
    late = sandbox.tell(Happening("key-1", AlertKind.INQUIRY_HARD, NOW - plan.overlap + timedelta(hours=1)))
    assert late is not None
    async with serving(sandbox) as base_url:
        config = connector.config.model_validate({**sandbox.settings(base_url), "bureaus": ["efx", "exp", "tui"]})
        http = ProviderClient(base_url, requests_per_minute=60_000, now=lambda: NOW)
        known = [Subject("key-1", NOW.isoformat())]
        bodies = [page.body async for page in connector.pages(http, config, None, known) if page.body]
        await http.aclose()
    assert any(late.encode() in body for body in bodies)
