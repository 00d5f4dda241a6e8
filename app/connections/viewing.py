"""What may be seen of a connection and of a connector: everything but secrets."""

from typing import Any

from app.connections import managing, repository
from app.connections.models import Connection
from app.connections.schemas import ConnectionDetail, ConnectionView, ConnectorView, SecretView, SettingView
from app.connections.settings import open_settings, settings_of, shown
from app.kit import clock
from app.kit.database import Transaction
from app.kit.errors import Problem
from app.kit.keyring import Keyring
from connectors.contract import Connector
from connectors.registry import registry
from connectors.verifiers import NotSigned, asked_for


def is_signed(connector: Connector) -> bool:
    """Whether its provider's deliveries prove themselves by a secret."""
    return connector.webhook is not None and not isinstance(connector.webhook.verifier, NotSigned)


def _secret_of_the_sender(connector: Connector) -> str | None:
    verifier = connector.webhook.verifier if connector.webhook else None
    return None if verifier is None or isinstance(verifier, NotSigned) else asked_for(verifier)


def connector_view(connector: Connector) -> ConnectorView:
    """One connector, from its declaration."""
    settings = [
        SettingView(
            name=one.name,
            description=one.description,
            secret=one.secret,
            required=one.required,
            default=one.default,
            choices=list(one.choices) if one.choices else None,
        )
        for one in settings_of(connector)
    ]
    return ConnectorView(
        name=connector.name,
        title=connector.title,
        webhook=connector.webhook is not None,
        signed=is_signed(connector),
        secret_is=_secret_of_the_sender(connector),
        polls_every_minutes=int(connector.poll.every.total_seconds() // 60) if connector.poll else None,
        looks_up=connector.looks_up,
        raw_days=connector.retention.raw.days if connector.retention else None,
        settings=settings,
    )


def connection_view(row: Connection) -> ConnectionView:
    """One connection, as lists show it."""
    return ConnectionView.model_validate(row, from_attributes=True)


async def connection_detail(tx: Transaction, keyring: Keyring, row: Connection) -> ConnectionDetail:
    """One connection with its settings and the validity of its secrets."""
    now, connector = clock.now(), registry().get(row.connector)
    settings: dict[str, Any] = {}
    secrets_set: list[str] = []
    fits = row.closed_at is not None
    if connector is not None and not fits:
        try:
            settings, secrets_set = shown(connector, await open_settings(tx, keyring, row, connector))
            fits = True
        except Problem:
            fits = False
    valid = await repository.secrets_of(tx, row.id, now)
    until = row.previous_token_until
    return ConnectionDetail(
        **connection_view(row).model_dump(),
        version=managing.version_of(row),
        webhook=connector is not None and connector.webhook is not None,
        secrets=[SecretView(created_at=one.created_at, valid_until=one.retired_at) for one in valid],
        previous_address_until=until if until and until > now and row.closed_at is None else None,
        settings=settings,
        secrets_set=secrets_set,
        fits=fits,
    )
