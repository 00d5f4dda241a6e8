"""Who attests the ledger from outside: authorities that stamp its checkpoints, witnesses that cosign them. None by default."""

import re
from pathlib import Path
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from app.kit.limits import Limits
from connectors.asking import NotAllowed
from connectors.http import require_base

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}")
_VERIFIER_KEY = re.compile(r"[^\s+]{1,200}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}")


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("a name is up to 40 of a-z, 0-9, dots and dashes, beginning with a letter or digit")
    return name


def reachable(url: str) -> str:
    """The same address; ValueError for one that the outgoing client would never connect to."""
    try:
        require_base(url)
    except NotAllowed as error:
        reason = str(error)
    else:
        return url.rstrip("/")
    raise ValueError(reason)


def _spelled_as_a_key(key: str) -> str:
    if not _VERIFIER_KEY.fullmatch(key):
        raise ValueError("a witness's key is name+8 hex digits+base64 (a verifier key of c2sp.org/tlog-cosignature, Ed25519)")
    return key


Name = Annotated[str, AfterValidator(_named)]
Address = Annotated[str, AfterValidator(reachable)]


class Authority(BaseModel):
    """One RFC 3161 timestamp authority. `roots`: a PEM file of its root certificates, got from the authority itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Address
    roots: Path


class Witness(BaseModel):
    """One witness (c2sp.org/tlog-witness): where it takes checkpoints, below `url`, and the key that it cosigns with.

    `organizations`: whose logs it is sent; empty: all of them. It learns from them how much is done in each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Address
    key: Annotated[str, AfterValidator(_spelled_as_a_key)]
    organizations: frozenset[UUID] = frozenset()

    @property
    def signs_as(self) -> str:
        """The name in its key, by which everybody knows it."""
        return self.key.partition("+")[0]

    def follows(self, organization_id: UUID) -> bool:
        """Whether it is sent an organization's checkpoints."""
        return not self.organizations or organization_id in self.organizations


class Attesters(Limits):
    """The settings about them, each a JSON object from names to what is known of them."""

    timestamp_authorities: dict[Name, Authority] = Field(
        default={}, description='who stamps the ledger\'s checkpoints: {"name": {"url": "https://…", "roots": "roots.pem"}}'
    )
    timestamp_every: Annotated[float, Field(gt=0, le=24 * 31)] = Field(
        default=24, description="hours from one timestamp to the next, by each authority, for each organization's log"
    )
    ledger_witnesses: dict[Name, Witness] = Field(
        default={}, description='who cosigns them: {"name": {"url": "https://…", "key": "name+hash+base64"}}'
    )

    @field_validator("ledger_witnesses")
    @classmethod
    def _sign_by_names_of_their_own(cls, value: dict[str, Witness]) -> dict[str, Witness]:
        if len({one.signs_as for one in value.values()}) != len(value):
            raise ValueError("HARMLINE_LEDGER_WITNESSES: two of them sign by the same name; each needs one of its own")
        return value
