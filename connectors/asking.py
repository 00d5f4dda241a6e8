"""What a connector needs to ask its provider: the plan, the subjects, the pages, and the ways in which asking fails.

The client itself is `connectors/http.py`; a connector is handed one that reaches its own provider and nobody else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol

Asked = Mapping[str, str]
"""What a page was asked with (whose, which alert): kept sealed beside the answer, which often does not say it again."""

NOTHING_ASKED: Asked = MappingProxyType({})
NOT_FOUND = 404


class ProviderError(Exception):
    """Asking the provider failed. The message holds no address, no secret and nothing of the answer.

    `state` is the word that the connection's health shows.
    """

    state = "failed"


class CredentialsRefused(ProviderError):
    """401, 403 or a sign-in page: the provider does not know us. This is never "no alerts"."""

    state = "credentials"


class TryLater(ProviderError):
    """The provider asks for patience, or does not answer. `seconds`: how long it wants to be left alone, None if unsaid."""

    state = "unreachable"

    def __init__(self, message: str, seconds: float | None = None) -> None:
        """`message` for the operator; `seconds` from now."""
        super().__init__(message)
        self.seconds = seconds


class UnexpectedAnswer(ProviderError):
    """An answer that the provider does not document: a redirect, HTML with status 200, too large, not JSON, a loop."""

    state = "unexpected"


class NotAllowed(ProviderError):
    """An address that we never connect to: not https, a private network, not the connection's own host."""

    state = "not_allowed"


class UnknownReference(UnexpectedAnswer):
    """The provider answers, and does not know whom we ask about: the reference may be wrong, or they are not monitored."""


class NotAPath(NotAllowed):
    """This one question cannot be asked: a reference or an id in it would lead out of the provider's address. Others can be."""


def may_be_one_questions(error: ProviderError) -> bool:
    """Whether an error may be about one question alone, so that others are worth asking.

    It is not where the provider wants to be left alone, or where its address may not be asked at all.
    """
    if isinstance(error, TryLater):
        return error.seconds is None
    return isinstance(error, NotAPath) or not isinstance(error, NotAllowed)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: 2xx, or 404 where the caller said that it means something. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def found(self) -> bool:
        """Whether it is not a 404."""
        return self.status != NOT_FOUND


Login = Callable[[], Awaitable[tuple[str, float]]]
"""Gets a fresh token: `(token, seconds that it is good for)`."""


class Http(Protocol):
    """The outgoing client as a connector sees it: paths below the connection's own base address, never a whole address.

    Deadlines, retries, Retry-After, pace, size limits and redaction happen inside. Every method raises ProviderError.
    """

    async def get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        login: Login | None = None,
        may_miss: bool = False,
    ) -> Answer:
        """GET. `login`: send `Authorization: Bearer`; a token refused once is fetched anew once. `may_miss`: 404 is an answer."""

    async def post(self, path: str, *, json: Any, headers: Mapping[str, str] | None = None, login: Login | None = None) -> Answer:
        """POST of JSON."""

    async def download(
        self,
        path: str,
        *,
        media_type: str,
        most: int,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """GET of a file of this media type (`a/b`), not empty, at most `most` bytes of it."""

    def pace(self, requests_per_minute: float) -> None:
        """Go no faster than this from now on; evenly spaced, no bursts."""


class Speaks(StrEnum):
    """Over what a provider is asked, and so what `pages` is handed: HTTP an `Http`, IMAP a `Mailbox`."""

    HTTP = "http"
    IMAP = "imap"


MOST_OF_A_MAIL = 30 * 1024 * 1024
"""Bytes. A larger one is left where it is, and told to a person."""


@dataclass(frozen=True, slots=True)
class Left:
    """A mail that is left in its mailbox. `why`: a word or two; `size` in bytes, if known; `head`: its header, as far as had."""

    why: str
    size: int | None
    head: bytes = field(repr=False)


class Mailbox(Protocol):
    """A mailbox as a connector sees it: it is read, and nothing in it is changed. All but `leave` raise ProviderError."""

    async def open(self, user: str, password: str, folder: str) -> int:
        """Sign in and look into a folder: its UIDVALIDITY, which tells whether ids are still those of before."""

    async def uids(self, after: int) -> Sequence[int]:
        """The ids of the mails behind this one, upwards; 0: of all."""

    async def mail(self, uid: int) -> bytes | Left | None:
        """One mail, byte for byte; None: it is not there any more."""

    def leave(self) -> None:
        """End the session, if there is one."""


@dataclass(frozen=True, slots=True)
class PollPlan:
    """When a provider is asked. A poll starts `overlap` before its cursor, a sweep without any cursor.

    `fresh_within`: without a success for this long the connection is silent, and that is an alarm; twice `every` by default.
    """

    every: timedelta
    requests_per_minute: float = 60
    speaks: Speaks = Speaks.HTTP
    overlap: timedelta = timedelta(days=1)
    sweep_every: timedelta = timedelta(days=7)
    fresh_within: timedelta | None = None

    @property
    def freshness(self) -> timedelta:
        """How long may pass without a success before it is an alarm."""
        return self.fresh_within or 2 * self.every


@dataclass(frozen=True, slots=True)
class Subject:
    """One enrolled member who agreed: the provider's own reference, and the cursor of what was asked about them."""

    reference: str = field(repr=False)
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to be kept, byte for byte, and where to go on; both are committed together, or neither is.

    `body` None: nothing to keep, only the cursor moves (a 404 that means "nobody here"). `subject`: whose cursor it is,
    the connection's own when None. `cursor` None leaves the cursor where it is. A subject's pages come one after another, and
    the last of them is known by another subject's, or by having no body. `error`: the question about `subject` failed, and the
    others are asked all the same; whether it is about more than this subject, the core decides.
    """

    body: bytes | None = field(repr=False)
    cursor: str | None = None
    asked: Asked = field(default_factory=dict)
    subject: str | None = field(default=None, repr=False)
    error: ProviderError | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """How long the provider's contract, or a promise of our own, lets its raw data be kept; `source` says which.

    After `raw`, bodies are erased and their hash, verification and the normalised alert stay.
    """

    raw: timedelta
    source: str
