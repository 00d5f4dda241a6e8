"""API shapes of connections."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, SecretStr, StringConstraints, WithJsonSchema

from connectors.contract import Sender
from connectors.registry import registry

Word = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]


Connector = Annotated[Word, WithJsonSchema({"type": "string", "enum": sorted(registry())})]


class NewConnection(BaseModel):
    """A connection to set up. `sender` says who stands behind the deliveries; that decides how well they are proven."""

    model_config = ConfigDict(extra="forbid")

    connector: Connector
    title: Word
    sender: Sender
    secret: SecretStr | None = None


class ConnectionView(BaseModel):
    """One connection, without its secrets."""

    id: UUID
    connector: str
    title: str
    sender: Sender
    created_at: datetime
    closed_at: datetime | None


class CreatedConnection(ConnectionView):
    """A connection just set up. The address and the secret are shown this once; empty where the provider needs none."""

    webhook_url: str
    secret: str
