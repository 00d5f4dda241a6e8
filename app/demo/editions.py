"""An older edition of a connector, which does not know one of its provider's words yet."""

from collections.abc import Iterator
from contextlib import contextmanager

from connectors.registry import registry


@contextmanager
def without(name: str, word: str) -> Iterator[None]:
    """Let the connector `name` not know the event type `word` while the block lasts, in this process."""
    connector = registry()[name]
    known = connector.events
    vars(connector)["events"] = {event_type: meaning for event_type, meaning in known.items() if event_type != word}
    try:
        yield
    finally:
        del vars(connector)["events"]
