"""Passwords and the codes of a code app: what is good enough, and whether it is right. No database in here.

Argon2id (RFC 9106, its second choice: 64 MiB, three passes) in two threads of its own, so that nobody else waits for it. Codes
are those of RFC 6238: 6 digits, 30 seconds.
"""

import asyncio
import hmac
import threading
import unicodedata
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from app.kit.errors import Problem

SHORTEST, LONGEST = 15, 128
STEP_SECONDS = 30
_LOOKED_AT = 72
"""Characters of a password that are looked at for being easy to guess: the time it takes grows with the square."""
_GOOD_ENOUGH = 3
_AT_ONCE = 2
_MOST_WAITING = 64
_HASHER = PasswordHasher()

Result = TypeVar("Result")


class _Waiting:
    """How many wait for a thread; more than some would be a queue that nobody reaches the end of."""

    def __init__(self) -> None:
        self._lock, self._count = threading.Lock(), 0

    def enter(self) -> bool:
        with self._lock:
            if self._count >= _MOST_WAITING:
                return False
            self._count += 1
            return True

    def leave(self) -> None:
        with self._lock:
            self._count -= 1


_waiting = _Waiting()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="password")


@cache
def _nobodys_hash() -> str:
    """What is compared with when nobody has the address: it takes as long."""
    return _HASHER.hash(pyotp.random_base32())


async def _apart(work: Callable[[], Result]) -> Result:
    """Do it in a thread. Raises a 503 Problem when too many wait already."""
    if not _waiting.enter():
        raise Problem(
            503, "Too many people are signing in at this moment. Try again in a few seconds.", headers={"Retry-After": "5"}
        )
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads(), work)
    finally:
        _waiting.leave()


def as_compared(password: str) -> str:
    """The one form of a text that different keyboards may write differently (NFKC)."""
    return unicodedata.normalize("NFKC", password)


def why_not(password: str, about: Collection[str] = ()) -> str | None:
    """What is wrong with a password that somebody wants to have, for them to read; None when it is good enough.

    `about`: words about the person that would be guessed first (their address).
    """
    text = as_compared(password)
    if len(text) < SHORTEST:
        return f"Use {SHORTEST} characters or more: three or four words that you would not find beside one another."
    if len(text) > LONGEST:
        return f"Use {LONGEST} characters or fewer."
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        return "Leave out characters that cannot be seen."
    if zxcvbn(text[:_LOOKED_AT], user_inputs=[*about, "harmline"])["score"] < _GOOD_ENOUGH:
        return "This one is easy to guess. Use three or four words that you would not find beside one another."
    return None


async def hashed(password: str) -> str:
    """The password as it is stored: Argon2id with its own salt and costs, as text."""
    text = as_compared(password)
    return await _apart(lambda: _HASHER.hash(text))


async def why_not_apart(password: str, about: Collection[str] = ()) -> str | None:
    """`why_not` in a thread: it can take some tenths of a second."""
    return await _apart(lambda: why_not(password, about))


async def is_right(stored: str | None, password: str) -> bool:
    """Whether this is the password. Takes the same time when there is none (`stored` is None), and is then False."""
    text = as_compared(password[:LONGEST])

    def compare() -> bool:
        try:
            return _HASHER.verify(stored or _nobodys_hash(), text)
        except (VerificationError, InvalidHashError):
            return False

    return await _apart(compare) and stored is not None and len(password) <= LONGEST


def new_code_secret() -> str:
    """A secret for a code app: 160 random bits in base32."""
    return pyotp.random_base32()


def code_address(secret: str, name: str) -> str:
    """The otpauth:// address that a code app reads from a picture."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name="Harmline")


def step_of(secret: str, code: str, now: float) -> int | None:
    """Which 30 seconds a code belongs to: the present ones, those before or after; None when it is none of theirs.

    `now`: seconds since 1970. All three are compared whichever is right.
    """
    typed, app, present = "".join(code.split()), pyotp.TOTP(secret), int(now) // STEP_SECONDS
    found = None
    for step in (present - 1, present, present + 1):
        if hmac.compare_digest(app.generate_otp(step).encode(), typed.encode()):
            found = step
    return found
