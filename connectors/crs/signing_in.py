"""The provider's sign-in: an API key and a secret for a token that is good for an hour."""

from __future__ import annotations

from pydantic import SecretStr

from connectors import strict_json
from connectors.asking import Http, UnexpectedAnswer
from connectors.contract import Malformed

AN_HOUR = 3600.0


async def token(http: Http, api_key: SecretStr, secret: SecretStr) -> tuple[str, float]:
    """A fresh token and the seconds that it is good for: what the provider says, and an hour at most.

    In which unit `expires` is, is not documented: a number that is no lifetime of an hour or less counts as the documented hour.
    A token that ends earlier is refused, and then the client signs in anew.
    """
    pair = {"apikey": api_key.get_secret_value(), "secret": secret.get_secret_value()}
    answer = await http.post("/direct/login", json=pair)
    try:
        told = strict_json.parse(answer.body)
    except Malformed:
        told = None
    found = told.get("token") if isinstance(told, dict) else None
    if not isinstance(found, str) or not found:
        raise UnexpectedAnswer("the provider signed us in without a token")
    expires = told.get("expires")
    stated = isinstance(expires, int) and not isinstance(expires, bool) and 0 < expires <= AN_HOUR
    return found, float(expires) if stated else AN_HOUR
