"""What a connector may add for people: for whoever says what an event is, and for whoever writes the documents it is read by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from connectors.contract import RawEvent
from connectors.vocabulary import AlertKind


class Drafting(ABC):
    """A connector with documents of its own, that suggests more of them. Beside `Connector`; pure like it."""

    @abstractmethod
    def shipped_documents(self) -> Mapping[str, str]:
        """The documents that it is read by wherever nobody has written others of the same name: name -> text."""

    @abstractmethod
    def supposed(self, event: RawEvent) -> AlertKind | None:
        """What to suggest to the person to whom an event is left; never a decision. Raises Malformed."""

    @abstractmethod
    def drafted(self, event: RawEvent, kind: AlertKind) -> tuple[str, str] | None:
        """A document by which the like of this event would be of this kind: its name and its text, for a person to edit.

        None where none can be made of one event. It holds nothing that is its member's. Raises Malformed.
        """
