"""How long a provider is left alone, and when it is asked next. Pure."""

from datetime import datetime, timedelta

from connectors.asking import CredentialsRefused, ProviderError, TryLater

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
IN_A_ROW = 3
"""So many questions in a row without an answer mean that it is not the question, and the provider is left alone."""


def back_off(failures: int, chance: float) -> timedelta:
    """How long to leave a provider alone after its nth failure in a row; `chance` in [0, 1) spreads it over half to whole."""
    doubled: timedelta = FIRST_WAIT * 2 ** min(failures - 1, 20)
    return min(LONGEST_WAIT, doubled) * (0.5 + chance / 2)


def next_on_the_grid(due: datetime, every: timedelta, now: datetime) -> datetime:
    """The next time that is due after `now`, in steps of `every` from `due`: what was missed runs once, and late, never twice."""
    steps = max(1, (now - due) // every + 1)
    return due + steps * every


def waits_until(error: ProviderError, failures: int, now: datetime, chance: float) -> datetime:
    """Before when nobody asks again. What the provider asked for is never cut short; refused credentials rest the longest."""
    wait = LONGEST_WAIT if isinstance(error, CredentialsRefused) else back_off(failures, chance)
    if isinstance(error, TryLater) and error.seconds is not None:
        wait = max(wait, timedelta(seconds=error.seconds))
    return now + wait
