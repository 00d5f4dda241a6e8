"""A connection's settings: typed by its connector, sealed as one, their secrets bound to the provider's address."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr, ValidationError

from app.connections.models import Connection
from app.kit.database import Transaction
from app.kit.errors import FieldError, Problem
from app.kit.keyring import Keyring, Lane
from connectors.contract import Connector, ConnectorConfig

ADDRESS = "base_url"


def checked(connector: Connector, given: Mapping[str, Any]) -> ConnectorConfig:
    """The settings as the connector types them. Raises a 422 Problem that names each field that is wrong, never a value."""
    try:
        return connector.config.model_validate(dict(given))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
    errors = [FieldError(field=".".join(map(str, ("body", "settings", *e["loc"]))), message=e["msg"]) for e in found]
    raise Problem(422, "Some settings of this connection are missing or wrong.", errors=errors)


def secret_names(connector: Connector) -> frozenset[str]:
    """The names of the settings that are secrets."""
    return frozenset(name for name, field in connector.config.model_fields.items() if _is_secret(field.annotation))


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or SecretStr in getattr(annotation, "__args__", ())


def changed(connector: Connector, before: ConnectorConfig, given: Mapping[str, Any]) -> ConnectorConfig:
    """Settings with some replaced; secrets left out stay, unless the address is another: they are bound to it.

    Raises a 422 Problem.
    """
    known, secrets = plain(before), secret_names(connector)
    moved = ADDRESS in given and given[ADDRESS] != known.get(ADDRESS)
    kept = {name: value for name, value in known.items() if not (moved and name in secrets)}
    return checked(connector, {**kept, **given})


def plain(config: ConnectorConfig) -> dict[str, Any]:
    """The settings as JSON values, secrets in plain: to be sealed, never to be shown."""
    values = config.model_dump(mode="json")
    for name in values:
        value = getattr(config, name)
        if isinstance(value, SecretStr):
            values[name] = value.get_secret_value()
    return values


def _where(connection: Connection) -> tuple[object, ...]:
    return ("connection", "config_sealed", connection.id)


async def seal(tx: Transaction, keyring: Keyring, connection: Connection, config: ConnectorConfig) -> None:
    """Keep settings on a connection."""
    text = json.dumps(plain(config))
    connection.config_sealed = await keyring.seal(tx, connection.organization_id, Lane.FACTUAL, text, *_where(connection))


async def open_settings(tx: Transaction, keyring: Keyring, connection: Connection, connector: Connector) -> ConnectorConfig:
    """A connection's settings; the connector's defaults where none were given. Raises a 422 Problem when they no longer fit."""
    if connection.config_sealed is None:
        return checked(connector, {})
    text = await keyring.unseal(tx, connection.organization_id, Lane.FACTUAL, connection.config_sealed, *_where(connection))
    return checked(connector, json.loads(text))
