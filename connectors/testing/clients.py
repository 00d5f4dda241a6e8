"""The client that a connector is handed, for whoever asks its fake provider."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from connectors.asking import Speaks
from connectors.contract import Connector
from connectors.http import ProviderClient
from connectors.mailbox import MailboxClient

UNPACED = 600_000.0


def client_for(
    connector: Connector, base_url: str, config: Any, now: Callable[[], datetime], *, attempts: int = 3, **options: Any
) -> ProviderClient | MailboxClient:
    """One that waits for no turn, to be closed by its owner. `base_url`: where the fake provider is served over HTTP.

    `attempts`: over HTTP; `options`: whatever both clients take.
    """
    if connector.poll is not None and connector.poll.speaks is Speaks.IMAP:
        return MailboxClient(config.base_url, requests_per_minute=UNPACED, **options)
    return ProviderClient(base_url, requests_per_minute=UNPACED, now=now, attempts=attempts, **options)
