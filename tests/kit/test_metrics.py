"""Metrics are served on a port of their own, or not at all."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from app.kit import metrics
from app.kit.config import Settings
from tests.support.postgres import free_port
from tests.support.scraped import monitor
from tests.support.world import NOW


def test_without_a_port_nothing_is_served_and_the_default_is_none() -> None:
    assert Settings(_env_file=None).metrics_port is None
    assert Settings(_env_file=None).metrics_host == "127.0.0.1"
    port = free_port()
    with metrics.served("127.0.0.1", None), pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics")


def test_a_port_that_is_taken_stops_the_start() -> None:
    with monitor() as one, pytest.raises(OSError, match="in use"), metrics.served("127.0.0.1", one.port):
        pass


def test_a_port_is_free_again_afterwards() -> None:
    with monitor() as one:
        assert one.value("harmline_not_ready", reason="nothing") == 0
    with metrics.served("127.0.0.1", one.port):
        assert httpx.get(f"http://127.0.0.1:{one.port}/metrics").status_code == 200


def test_a_commit_and_a_lag_are_told_with_their_sizes() -> None:
    with monitor() as one:
        before = one.samples()
        metrics.committed(7)
        metrics.lag("a test", [NOW, NOW + timedelta(seconds=6)], NOW + timedelta(seconds=3))
        count = ("harmline_commit_batch_size_count", frozenset())
        assert one.value("harmline_commit_batch_size_count") == before.get(count, 0) + 1
        assert one.value("harmline_stage_lag_seconds_bucket", stage="a test", le="2.5") == 1
        assert one.value("harmline_stage_lag_seconds_bucket", stage="a test", le="5.0") == 2
        assert one.value("harmline_stage_lag_seconds_sum", stage="a test") == 3, "a clock that went back is no lag"


def test_what_is_no_longer_there_is_no_longer_told() -> None:
    with monitor() as one:
        metrics.only(metrics.ALARMS, [("silent", 2), ("mail", 1)])
        metrics.only(metrics.ALARMS, [("mail", 3)])
        assert one.value("harmline_open_alarms", kind="silent") == 0
        assert one.value("harmline_open_alarms", kind="mail") == 3
