"""One suite tests every connector, the pure half: no connector brings test code of its own, and this file names none."""

from __future__ import annotations

import pytest

from connectors.registry import folders, registry
from connectors.testing import ConnectorSuite
from tests.connectors.suite import ROOT

pytest.mark.long(ConnectorSuite.test_drifted_payloads_are_accounted_for)

for name in folders():
    globals()[f"Test{name.title()}"] = type(
        f"Test{name.title()}", (ConnectorSuite,), {"connector": registry()[name], "folder": ROOT / name}
    )


def test_every_folder_has_its_class() -> None:
    """The loop above is the whole of this file: it must not come to nothing unseen."""
    made = {suite.connector.name for suite in ConnectorSuite.__subclasses__() if suite.__module__ == __name__}
    assert made == set(folders()) >= {"standard"}
