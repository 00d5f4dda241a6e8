"""What a body becomes in the end: through its own connector, and through those that it is handed on to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from connectors.asking import NOTHING_ASKED, Asked
from connectors.contract import BrokenEvent, Connector, HandOn, Malformed, Normalised, RawEvent
from connectors.registry import registry

DEEPEST = 10
"""So often is a message that is inside another handed on again; deeper, the test that asks is wrong."""


def handed_on(connector: Connector, body: bytes, asked: Asked = NOTHING_ASKED) -> Iterator[HandOn]:
    """What of a body is handed on, whatever else it is; nothing of one that cannot be read."""
    with suppress(Malformed):
        for event in connector.split(body, asked):
            with suppress(Malformed):
                if isinstance(event, RawEvent) and isinstance(said := connector.normalise(event), HandOn):
                    yield said


def followed(
    connector: Connector, body: bytes, asked: Asked = NOTHING_ASKED, deep: int = 0
) -> Iterator[tuple[Connector, Normalised]]:
    """Every event as it is understood, and by whom; in the place of what is handed on stands what becomes of it.

    Raises Malformed; a broken event fails the assertion.
    """
    assert deep < DEEPEST, "it is handed on for ever"
    for event in connector.split(body, asked):
        assert not isinstance(event, BrokenEvent), event.path
        said = connector.normalise(event)
        if isinstance(said, HandOn):
            yield from followed(registry()[said.to], said.body, said.asked, deep + 1)
        else:
            yield connector, said
