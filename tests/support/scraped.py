"""Reads metrics as a monitor does: over HTTP, on their own port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from app.kit import metrics
from tests.support.postgres import free_port


@dataclass(frozen=True)
class Monitor:
    """Scrapes one port."""

    port: int

    def text(self) -> str:
        answer = httpx.get(f"http://127.0.0.1:{self.port}/metrics")
        assert answer.status_code == 200
        return answer.text

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        families = text_string_to_metric_families(self.text())
        return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}

    def value(self, name: str, **labels: str) -> float:
        """One sample; 0 for one that is not told."""
        return self.samples().get((name, frozenset(labels.items())), 0.0)


@contextmanager
def monitor() -> Iterator[Monitor]:
    """Serve the metrics of this process while the block lasts."""
    port = free_port()
    with metrics.served("127.0.0.1", port):
        yield Monitor(port)
