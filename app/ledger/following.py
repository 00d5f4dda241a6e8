"""A witness that goes and looks: it asks a Harmline for its newest checkpoint, and cosigns it if the log has only grown."""

from pathlib import Path
from urllib.parse import urlsplit

from app.ledger.notes import NoteError
from app.ledger.witness import Witness
from app.ledger.witnessing import AGAINST, COSIGNED, LARGEST_OFFER, Verdict, offer_of, proof_from
from connectors.http import Client, HttpError, client

_OK = 200
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})


class NotReached(Exception):
    """The log's answer could not be had or read: this says nothing against it, and the text says what happened."""


def client_of(url: str, token: str) -> Client:
    """What asks one Harmline; to be closed by its owner. `url`: of its ledger, such as https://host/v1/ledger.

    Raises NotReached for what is no address or no token, and for an address that shows the token to everybody on the way.
    """
    try:
        parts = urlsplit(url)
        private = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _HERE)
        known = parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        private = known = False
    if not (private and known):
        raise NotReached("The address must begin with https://: the token would go through the net for all to read")
    if not token or not token.isascii() or not token.isprintable():
        raise NotReached("The token's file does not hold a token on one line")
    return client(base_url=url, headers={"authorization": f"Bearer {token}", "accept": "text/plain"})


async def _asked(http: Client, path: str, **numbers: int) -> bytes:
    whole = b""
    try:
        async with http.stream("GET", path, params=numbers) as response:
            async for chunk in response.aiter_bytes():
                whole += chunk
                if len(whole) > LARGEST_OFFER:
                    raise NotReached(f"The answer to {path} is too large")
    except HttpError as error:
        raise NotReached(f"The log cannot be reached ({type(error).__name__})") from None
    if response.status_code != _OK:
        raise NotReached(f"The answer to {path} has status {response.status_code}")
    return whole


async def look(http: Client, witness: Witness) -> tuple[Verdict, Path | None]:
    """Look at the log once: what became of its newest checkpoint, and the evidence where it was refused.

    Raises NotReached, and WitnessError when the witness's own folder is not as it should be.
    """
    note = await _asked(http, "checkpoint")
    try:
        offer = offer_of(0, (), note)
        known = witness.known(offer.checkpoint.origin)
        size = known.size if known else 0
        hashes: tuple[bytes, ...] = ()
        if 0 < size < offer.checkpoint.size:
            text = (await _asked(http, "consistency", old=size, new=offer.checkpoint.size)).decode("ascii")
            hashes = proof_from(text.removesuffix("\n").split("\n"))
        offer = offer_of(size, hashes, note)
    except (NoteError, UnicodeDecodeError) as error:
        raise NotReached(f"The answer is not a log's: {error}") from None
    verdict, _, evidence = witness.consider(offer, from_the_log=True)
    if verdict.outcome not in COSIGNED | AGAINST:
        raise NotReached(f"Another program of this witness was faster: {verdict.reason}")
    return verdict, evidence
