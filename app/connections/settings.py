"""A connection's settings: typed by its connector, sealed as one, their secrets bound to the provider's address."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, get_args

from pydantic import SecretStr, ValidationError
from pydantic_core import to_jsonable_python

from app.connections.models import Connection
from app.kit.crypto import KeysAway
from app.kit.database import Transaction
from app.kit.door_keys import AtTheDoor
from app.kit.errors import FieldError, Problem, field_errors
from app.kit.keyring import Keyring, Lane
from connectors.asking import NotAllowed, Speaks
from connectors.contract import Connector, ConnectorConfig
from connectors.here import base_here, mail_base_here

ADDRESS = "base_url"
PLACE = ("body", "settings")
_WRONG = "Some settings of this connection are missing or wrong."


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a connector, for forms and descriptions. `default` as JSON; None for a secret and where there is none."""

    name: str
    description: str
    secret: bool
    required: bool
    default: Any
    choices: tuple[str, ...] | None
    several: bool


def checked(connector: Connector, given: Mapping[str, Any]) -> ConnectorConfig:
    """The settings as the connector types them. Raises a 422 Problem that names each field that is wrong, never a value."""
    try:
        return connector.config.model_validate(dict(given))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
    raise Problem(422, _WRONG, errors=field_errors([{**e, "loc": (*PLACE, *e["loc"])} for e in found]))


def require_address(connector: Connector, config: ConnectorConfig) -> None:
    """Refuse an address that would never be asked, while somebody is there to mend it. Raises a 422 Problem."""
    address = getattr(config, ADDRESS, None)
    if address is None:
        return
    by_mail = connector.poll is not None and connector.poll.speaks is Speaks.IMAP
    try:
        (mail_base_here if by_mail else base_here)(str(address))
        return
    except NotAllowed as error:
        message = f"{error}."
    raise Problem(422, _WRONG, errors=[FieldError(field=".".join((*PLACE, ADDRESS)), message=message)])


def secret_names(connector: Connector) -> frozenset[str]:
    """The names of the settings that are secrets, or hold one."""
    return frozenset(name for name, field in connector.config.model_fields.items() if _holds_secret(field.annotation))


def _holds_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_holds_secret(part) for part in get_args(annotation))


def settings_of(connector: Connector) -> list[Setting]:
    """What a connector asks to be told, in the order of its declaration."""
    properties = connector.config.model_json_schema()["properties"] if connector.config.model_fields else {}
    secrets = secret_names(connector)
    found = []
    for name, field in connector.config.model_fields.items():
        default = (
            None if field.is_required() or name in secrets else to_jsonable_python(field.get_default(call_default_factory=True))
        )
        kinds = [properties[name], *properties[name].get("anyOf", ())]
        choices = next((tuple(map(str, kind["enum"])) for kind in kinds if "enum" in kind), None)
        if any(kind.get("type") == "boolean" for kind in kinds):
            choices = ("true", "false")
        several = any(kind.get("type") == "array" for kind in kinds)
        found.append(Setting(name, field.description or name, name in secrets, field.is_required(), default, choices, several))
    return found


def changed(connector: Connector, before: ConnectorConfig, given: Mapping[str, Any]) -> ConnectorConfig:
    """Settings with some replaced; secrets left out stay, unless the address is another: they are bound to it.

    The addresses are compared as the connector understands them, so that no spelling carries a secret to another host.
    Raises a 422 Problem.
    """
    known = plain(before)
    after = checked(connector, {**known, **given})
    if not moved(before, after):
        return after
    bound = secret_names(connector)
    return checked(connector, {**{name: value for name, value in known.items() if name not in bound}, **given})


def moved(before: ConnectorConfig, after: ConnectorConfig) -> bool:
    """Whether the provider is asked at another address than before."""
    return getattr(before, ADDRESS, None) != getattr(after, ADDRESS, None)


def plain(config: ConnectorConfig) -> dict[str, Any]:
    """The settings as JSON values, secrets in plain: to be sealed, never to be shown."""
    values: dict[str, Any] = to_jsonable_python(_bare(config.model_dump()))
    return values


def _bare(value: Any) -> Any:
    """The same with every secret opened, however deep it lies."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {name: _bare(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_bare(item) for item in value]
    return value


def shown(connector: Connector, config: ConnectorConfig) -> tuple[dict[str, Any], list[str]]:
    """The settings that may be shown, as JSON values, and the names of the secrets that are set."""
    values, secrets = plain(config), secret_names(connector)
    open_to_all = {name: value for name, value in values.items() if name not in secrets}
    return open_to_all, sorted(name for name in secrets if values.get(name))


def _where(connection: Connection) -> tuple[object, ...]:
    return ("connection", "config_sealed", connection.id)


async def seal(tx: Transaction, keyring: Keyring, connection: Connection, connector: Connector, config: ConnectorConfig) -> None:
    """Keep settings on a connection."""
    text = json.dumps(plain(config))
    connection.config_sealed = await keyring.seal(tx, connection.organization_id, Lane.FACTUAL, text, *_where(connection))
    await seal_sources(tx, keyring, connection, connector, config)


async def seal_sources(
    tx: Transaction, keyring: Keyring, connection: Connection, connector: Connector, config: ConnectorConfig
) -> None:
    """Keep for the door the networks that deliveries may come from, where there is such a setting."""
    name = sources_setting(connector)
    if name is not None:
        keys = await keyring.for_writing(tx, connection.organization_id)
        text = json.dumps(plain(config)[name])
        connection.sources_sealed = keys.seal_for_door(text.encode(), *_sources_at(connection))


def sources_setting(connector: Connector) -> str | None:
    """The name of the setting that says which networks deliveries may come from; None: it has none."""
    return connector.webhook.sources if connector.webhook else None


def open_sources(keys: AtTheDoor, connection: Connection) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks that deliveries may come from; none: any. Raises Unreadable, and KeysAway while the door was handed none."""
    if connection.sources_sealed is None:
        raise KeysAway("these networks were not handed over to the door yet")
    found = json.loads(keys.open_for_door(connection.sources_sealed, *_sources_at(connection)))
    return tuple(ip_network(one) for one in found)


def _sources_at(connection: Connection) -> tuple[object, ...]:
    return ("connection", "sources_sealed", connection.id)


async def open_settings(tx: Transaction, keyring: Keyring, connection: Connection, connector: Connector) -> ConnectorConfig:
    """A connection's settings; the connector's defaults where none were given. Raises a 422 Problem when they no longer fit."""
    if connection.config_sealed is None:
        return checked(connector, {})
    text = await keyring.unseal(tx, connection.organization_id, Lane.FACTUAL, connection.config_sealed, *_where(connection))
    return checked(connector, json.loads(text))
