"""The tests that every connector passes, for connectors of this repository and of other packages alike.

A package of its own writes one class and nothing else:

    class TestMine(ConnectorSuite):
        connector = Mine()
        folder = Path(my_package.__file__).parent

Needs pytest, which is no dependency of the service: nothing that runs in production imports this package.
"""

import pytest

pytest.register_assert_rewrite("connectors.testing.suite", "connectors.testing.cases", "connectors.testing.round_trip")

from connectors.testing.suite import ConnectorSuite  # noqa: E402 - asserts are rewritten only in what is imported afterwards

__all__ = ["ConnectorSuite"]
