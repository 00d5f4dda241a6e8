"""Every connector, found once: the folders beside this file, and the entry-point group "harmline.connectors"."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType

from connectors.contract import Connector, Notice
from connectors.verifiers import NotSigned

GROUP = "harmline.connectors"
HERE = Path(__file__).parent
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
TOOLS = frozenset({"testing"})
"""Folders beside this file that are no connectors. No connector may have such a name either."""


class RegistryError(Exception):
    """A connector that cannot be used; the message names it and says why."""


@cache
def registry() -> Mapping[str, Connector]:
    """Name -> connector, sorted by name. Raises RegistryError at the first that is broken, doubled or misnamed."""
    return discover(_loaders(HERE, "connectors"), entry_points(group=GROUP))


def discover(folders: Mapping[str, Callable[[], object]], others: Iterable[EntryPoint]) -> Mapping[str, Connector]:
    """Load each once. `folders` maps a name to what loads it; an entry point may not bear a name that is taken."""
    loaders = dict(folders)
    for other in others:
        if other.name in loaders or other.name in TOOLS:
            raise RegistryError(f"connector {other.name!r}: {other.value} has a name that is already taken")
        loaders[other.name] = other.load
    return MappingProxyType({name: _loaded(name, loaders[name]) for name in sorted(loaders)})


def folders() -> tuple[str, ...]:
    """Names of the connectors that live beside this file, sorted."""
    return tuple(sorted(_loaders(HERE, "connectors")))


def _loaders(path: Path, package: str) -> dict[str, Callable[[], object]]:
    names = [module.name for module in pkgutil.iter_modules([str(path)]) if module.ispkg and module.name not in TOOLS]
    return {name: partial(_from_folder, f"{package}.{name}") for name in names}


def _from_folder(module: str) -> object:
    return importlib.import_module(module).connector


def _loaded(name: str, load: Callable[[], object]) -> Connector:
    try:
        found = load()
        instance = found() if isinstance(found, type) else found
    except Exception as error:  # foreign code may fail in any way; each failure is told with its connector's name
        raise RegistryError(f"connector {name!r} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(instance, Connector):
        raise RegistryError(f"connector {name!r}: `connector` is not a class made from Connector")
    complaint = _complaint(name, instance)
    if complaint:
        raise RegistryError(f"connector {name!r}: {complaint}")
    return instance


def _complaint(name: str, connector: Connector) -> str | None:
    """What is wrong with the declaration, or None."""
    missing = [word for word in ("name", "title", "events") if not getattr(connector, word, None)]
    if missing:
        return f"it declares no {missing[0]}"
    if connector.name != name or NAME.fullmatch(name) is None:
        return f"it is named {connector.name!r}; a name is its folder's, in a-z, 0-9 and _"
    return _asking_complaint(connector) or _webhook_complaint(connector)


def _asking_complaint(connector: Connector) -> str | None:
    kind, asks = type(connector), connector.poll is not None or connector.looks_up
    if connector.poll is not None and kind.pages is Connector.pages:
        return "it has a poll plan and no `pages`"
    if connector.looks_up and kind.follow_up is Connector.follow_up:
        return "it looks things up and has no `follow_up`"
    if Notice.GO_AND_LOOK in connector.events.values() and not connector.looks_up:
        return "it knows notices to be looked up, and does not look them up"
    if asks and "base_url" not in connector.config.model_fields:
        return "it asks its provider, and has no setting `base_url` that says where"
    if Notice.HAND_ON in connector.events.values() and connector.hands_on_to is None:
        return "it hands something on, and does not say to which connector"
    undescribed = [name for name, field in connector.config.model_fields.items() if not field.description]
    return f"its setting {undescribed[0]!r} has no description" if undescribed else None


def _webhook_complaint(connector: Connector) -> str | None:
    plan = connector.webhook
    if plan is None:
        return None if connector.poll or connector.by_hand else "nothing can come in: it declares no webhook and no poll plan"
    if plan.sources is not None and plan.sources not in connector.config.model_fields:
        return f"its webhook reads the setting {plan.sources!r}, which it has not"
    if isinstance(plan.verifier, NotSigned) and not plan.verifier.stand_in.strip():
        return "its provider signs nothing, and it does not say what stands in for that"
    if not plan.media_types or plan.largest_body < 1:
        return "its webhook takes no media type or no body"
    return None
