"""What the tests of packets share: a timestamp authority, and a good packet."""

from pathlib import Path

import pytest

from tests.evidence import packets
from tests.evidence.packets import Files, Stamper


@pytest.fixture(scope="session")
def stamper(tmp_path_factory: pytest.TempPathFactory) -> Stamper:
    return Stamper(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def good(stamper: Stamper) -> Files:
    return packets.make(stamper)


@pytest.fixture
def folder(good: Files, tmp_path: Path) -> Path:
    """A good packet on the disk, for this test alone."""
    return packets.write(good, tmp_path / "packet")
