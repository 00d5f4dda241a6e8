"""Connections in plain words: how each is doing, what to do about it, and the forms for their settings. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.connections.settings import Setting
from app.intake.health import HealthState
from app.kit.errors import FieldError
from app.web.forms import Draft, Posted
from connectors.verifiers import Basic, NotSigned, StaticHeader, Verifier

PREFIX = "setting."
YES_NO = ("true", "false")
CHOICES = {"true": "Yes", "false": "No"}


@dataclass(frozen=True, slots=True)
class State:
    """A state for people: a short word, what it means and what to do; `tone` is good, wait or bad and never says it alone."""

    word: str
    advice: str
    tone: str


STATES: Mapping[HealthState, State] = {
    HealthState.OK: State("Works", "Nothing to do.", "good"),
    HealthState.NEVER: State("Nothing came yet", "If this stays, see whether the sender has the address and the secret.", "wait"),
    HealthState.PAUSED: State("Paused", "Nobody is asked. What is sent is still taken in.", "wait"),
    HealthState.CLOSED: State("Removed", "Nothing comes in any more. What came is kept.", "wait"),
    HealthState.SILENT: State("Silent", "Nothing came for longer than it may take. Ask the provider whether all is well.", "bad"),
    HealthState.PARTLY: State(
        "In part", "It works, but some of what it was asked had no answer. That is asked again by itself.", "wait"
    ),
    HealthState.CREDENTIALS: State(
        "Not let in",
        "The provider refuses our key. That does not mean that there are no alerts. Enter the key anew.",
        "bad",
    ),
    HealthState.UNREACHABLE: State("No answer", "The provider does not answer. It is asked again by itself.", "bad"),
    HealthState.UNEXPECTED: State(
        "Strange answer", "The provider answers in a way that it does not document. Whoever runs this service should look.", "bad"
    ),
    HealthState.NOT_ALLOWED: State("Address refused", "The address in the settings may not be asked. Correct it.", "bad"),
    HealthState.FAILED: State("Stopped", "Asking stopped by a mistake of ours, or the settings do not fit. Look at them.", "bad"),
}

SAID = {
    "pause": "Paused. Nobody is asked until you let it go on.",
    "resume": "It goes on, from where it was left.",
    "ask": "The provider is being asked. Open this page again in a minute.",
    "sweep": "The provider is being asked for everything it has. That can take a while.",
    "retire": "From now on only the newest secret and the newest address are taken.",
    "change": "Saved.",
    "dispute": "Marked. Whatever we received then, or receive yet, is doubtful from now on. Nothing was removed.",
    "withdraw": "Withdrawn. What we received then counts again from now on, unless another mark is over it.",
    "remove": "This connection is removed.",
}
"""What a page says after an act, by the act."""


@dataclass(frozen=True, slots=True)
class SettingField:
    """One setting as a field of a form. `value` is empty for a secret; `held`: a secret is set."""

    name: str
    label: str
    secret: bool
    required: bool
    choices: tuple[tuple[str, str], ...]
    several: bool
    value: str
    held: bool


def setting_fields(
    settings: Sequence[Setting], values: Mapping[str, Any], held: Sequence[str], draft: Draft
) -> list[SettingField]:
    """The fields of a connector's settings: with what was typed, else with what is set, else with its default."""
    fields = []
    for one in settings:
        present = "" if one.secret else _written(values.get(one.name, one.default))
        fields.append(
            SettingField(
                name=PREFIX + one.name,
                label=one.description.rstrip("."),
                secret=one.secret,
                required=one.required and one.name not in held,
                choices=tuple((choice, CHOICES.get(choice, choice)) for choice in one.choices or ()),
                several=one.several,
                value="" if one.secret else draft.values.get(PREFIX + one.name, present),
                held=one.name in held,
            )
        )
    return fields


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return YES_NO[0] if value else YES_NO[1]
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


def posted_settings(posted: Posted, settings: Sequence[Setting], *, new: bool) -> dict[str, Any]:
    """The settings as they were typed. A secret that was left empty stays as it is; another setting goes back to its default."""
    values: dict[str, Any] = {}
    for one in settings:
        raw = posted.text(PREFIX + one.name).strip()
        if raw:
            values[one.name] = raw.split() if one.several else raw
        elif not one.secret and not one.required and not new:
            values[one.name] = one.default
    return values


def with_errors(draft: Draft, errors: Sequence[FieldError]) -> Draft:
    """The draft with what the service said of its fields."""
    return Draft(draft.values, {_place(error.field): _plain(error.message) for error in errors})


def _place(path: str) -> str:
    parts = path.removeprefix("body.").split(".")
    return PREFIX + parts[1] if parts[0] == "settings" and len(parts) > 1 else parts[0]


def _plain(message: str) -> str:
    return "Fill this in." if message == "Field required" else message


def shown_once(url: str, secret: str, verifier: Verifier | NotSigned | None) -> list[tuple[str, str]]:
    """What is shown this once, each with its name; HTTP Basic as the two fields that providers ask for."""
    address = [("Address", url)] if url else []
    if secret and isinstance(verifier, Basic):
        user, _, password = secret.partition(":")
        return [*address, ("User name", user), ("Password", password)]
    if secret and isinstance(verifier, StaticHeader):
        return [*address, ("Name of the header", verifier.header), ("What it holds", secret)]
    return [*address, ("Secret", secret)] if secret else address
