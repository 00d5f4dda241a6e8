"""The command line, run in this process. The fixture `home` gives it a database and a key of its own."""

from __future__ import annotations

import json
from typing import Any

from click.testing import Result
from typer.testing import CliRunner

from app import cli

RUNNER = CliRunner()


def run(*arguments: str, **more: Any) -> Result:
    return RUNNER.invoke(cli.cli, list(arguments), **more)


def done(*arguments: str, **more: Any) -> Any:
    result = run(*arguments, **more)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout) if result.stdout.startswith("{") else result.stdout
