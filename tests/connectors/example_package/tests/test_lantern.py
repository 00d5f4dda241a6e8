"""The tests that every connector passes, for this one."""

from pathlib import Path

import harmline_lantern
from harmline_lantern.connector import Lantern

from connectors.testing import ConnectorSuite


class TestLantern(ConnectorSuite):
    """Nothing is left to write here."""

    connector = Lantern()
    folder = Path(harmline_lantern.__file__).parent
