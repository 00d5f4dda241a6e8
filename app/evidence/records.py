"""What a build remembers of what it has written, on disk and beside the packet: so it can be broken off, and needs no memory."""

import json
from typing import Any

from app.evidence.folder import Folder


class Records:
    """One file for each finished exhibit, with its line in packet.json, its line in the load file, and what it withholds."""

    def __init__(self, folder: Folder) -> None:
        """`folder`: beside the packet."""
        self._folder = folder

    def has(self, bates: str) -> bool:
        """Whether an exhibit is finished."""
        return self._folder.has(f"exhibits/{bates}.json")

    def add(self, bates: str, line: dict[str, Any], load: dict[str, str], withheld: list[dict[str, Any]]) -> None:
        """An exhibit is finished."""
        self._folder.write_json(f"exhibits/{bates}.json", {"line": line, "load": load, "withheld": withheld})

    def add_act(self, position: int, line: dict[str, Any]) -> None:
        """An act is proven by itself. `position`: its place in the log."""
        self._folder.write_json(f"custody/{position:016d}.json", line)

    def has_act(self, position: int) -> bool:
        """Whether an act has been proven by itself."""
        return self._folder.has(f"custody/{position:016d}.json")

    def exhibit(self, bates: str) -> dict[str, Any]:
        """What is known of one finished exhibit: `line`, `load`, `withheld`."""
        found: dict[str, Any] = json.loads(self._folder.read(f"exhibits/{bates}.json"))
        return found

    def _all(self, under: str, name: str) -> list[Any]:
        if not (self._folder.root / under).is_dir():
            return []
        return [json.loads(self._folder.read(path))[name] for path in self._folder.paths(under)]

    def exhibits(self) -> list[dict[str, Any]]:
        """The lines of packet.json, by number."""
        return self._all("exhibits", "line")

    def load(self) -> list[dict[str, str]]:
        """The lines of the load file, by number."""
        return self._all("exhibits", "load")

    def withheld(self) -> list[dict[str, Any]]:
        """What finished exhibits withhold, by number."""
        return [one for some in self._all("exhibits", "withheld") for one in some]

    def acts(self) -> list[dict[str, Any]]:
        """The acts that are proven by themselves, by their place in the log."""
        if not (self._folder.root / "custody").is_dir():
            return []
        return [json.loads(self._folder.read(path)) for path in self._folder.paths("custody")]
