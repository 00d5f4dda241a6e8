"""The clock that the crash rig sets wrong is everybody's, and it jumps while the process runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.intake.models import Channel
from app.intake.receive import Arrival
from app.kit import clock
from tests.crash.dial import Dial, go_by


def test_every_reader_of_the_clock_goes_by_the_dial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("datetime", "time"):
        monkeypatch.setattr(clock, name, getattr(clock, name))
    go_by(Dial(tmp_path / "dial"))
    for off in (0.0, 200.0, -8.0):
        Dial(tmp_path / "dial").turn(off)
        right = datetime.now(UTC)
        read = [clock.now(), clock.machine(), Arrival(b"", {}, Channel.POLL).at]
        read.append(datetime.fromtimestamp(clock.milliseconds() / 1000, UTC))
        for one in read:
            assert (one - right).total_seconds() == pytest.approx(off, abs=5)
