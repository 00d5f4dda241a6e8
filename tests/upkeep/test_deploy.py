"""The examples of docs/deploy start nothing that would be refused, and their programs take them, where these are found."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from configparser import RawConfigParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.kit.config import Settings
from app.upkeep.facts import Facts, FileFacts, Store, unknown_settings
from app.upkeep.safety import REFUSED, judged
from app.watch import canary
from tests.repo.tree import ROOT

DEPLOY = ROOT / "docs" / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
GIVEN = {
    "ORIGIN": "https://alerts.example.org",
    "POSTGRES_PASSWORD": "iwo84hfwo8hf3",
    "SMTP_URL": "smtps://user:password@mail.example.org:465",
    "MAIL_FROM": "alerts@example.org",
}


def refused(environment: dict[str, str], role: str, *, container: bool) -> list[str]:
    """What of a good machine with this environment would stop the start."""
    assert unknown_settings(environment) == ()
    named = {name.removeprefix("HARMLINE_").lower(): value for name, value in environment.items()}
    private = FileFacts(0o600, 1000)
    good = Facts(
        settings=Settings(_env_file=None, **named),
        role=role,
        now=datetime(2026, 12, 1, tzinfo=UTC),
        euid=1000,
        container=container,
        key=private,
        key_letters=30,
        key_folder=FileFacts(0o700, 1000),
        store=Store(version=17, encoding="UTF8"),
    )
    return [check.name for check in judged(good, REFUSED)]


def compose() -> dict[str, Any]:
    text = (DEPLOY / "compose.yaml").read_text()
    filled = re.sub(r"\$\{(\w+)(?::\?[^}]*)?\}", lambda found: GIVEN[found.group(1)], text)
    found: dict[str, Any] = yaml.safe_load(filled)
    return found


@pytest.mark.parametrize(("service", "role"), [("web", "web"), ("worker", "work")])
def test_what_compose_starts_is_safe(service: str, role: str) -> None:
    made = compose()["services"][service]
    settings = {name: str(value) for name, value in made["environment"].items()}
    assert refused(settings, role, container=True) == []
    assert (made["read_only"], made["cap_drop"], made["ulimits"]["core"]) == (True, ["ALL"], 0)
    assert "ports" not in made, "only the proxy is reached from outside"
    assert "ports" not in compose()["services"]["database"]


def test_the_canary_of_compose_is_sent_to_where_a_web_listens() -> None:
    """The worker has a container of its own: on its own port nobody would ever take the canary in."""
    made = compose()["services"]["worker"]
    settings = {name.removeprefix("HARMLINE_").lower(): str(value) for name, value in made["environment"].items()}
    assert canary.origin(Settings(_env_file=None, **settings)) == GIVEN["ORIGIN"]


def _unit(path: Path) -> dict[str, str]:
    parser = RawConfigParser(strict=False, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text())
    return dict(parser["Service"])


def _environment_file() -> dict[str, str]:
    lines = [line for line in (DEPLOY / "harmline.env").read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_what_systemd_starts_is_safe(path: Path) -> None:
    unit = _unit(path)
    environment = _environment_file()
    if "Environment" in unit:
        environment |= dict([unit["Environment"].split("=", 1)])
    role = "web" if "--no-work" in unit["ExecStart"] else "work"
    assert refused(environment, role, container=False) == []
    assert (unit["User"], unit["NoNewPrivileges"], unit["ProtectSystem"]) == ("harmline", "yes", "strict")
    assert (unit["LimitCORE"], unit["UMask"], unit["CapabilityBoundingSet"]) == ("0", "0077", "")


def test_the_password_of_the_example_is_no_password_to_keep() -> None:
    assert "change-this" in _environment_file()["HARMLINE_DATABASE_URL"]


@pytest.mark.parametrize("path", [*UNITS, DEPLOY / "harmline-backup.timer"], ids=lambda path: path.name)
def test_systemd_takes_the_units_where_it_is_found(path: Path, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        return
    for one in DEPLOY.glob("harmline-*"):
        text = one.read_text()
        (tmp_path / one.name).write_text(text.replace("/srv/harmline/.venv/bin/harmline", "/bin/true"))
    done = subprocess.run([program, "verify", "--man=no", tmp_path / path.name], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "harmline-" in line and "Failed to" not in line]
    assert complaints == []


def nginx() -> str | None:
    return os.environ.get("HARMLINE_TEST_NGINX") or shutil.which("nginx") or shutil.which("/usr/sbin/nginx")


def test_nginx_takes_its_file_where_it_is_found(tmp_path: Path) -> None:
    text = (DEPLOY / "nginx.conf").read_text()
    for said in ("TLSv1.2 TLSv1.3", "X-Forwarded-For $remote_addr", "proxy_next_upstream off", "limit_conn addresses"):
        assert said in text
    program = nginx()
    if program is None:
        return
    ask = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=x"]
    ask += ["-keyout", str(tmp_path / "privkey.pem"), "-out", str(tmp_path / "fullchain.pem")]
    subprocess.run(ask, check=True, capture_output=True)
    for old, new in (("/etc/harmline/tls", str(tmp_path)), ("/var/log/nginx", str(tmp_path)), ("/run/", f"{tmp_path}/")):
        text = text.replace(old, new)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")  # the system's folders for these may be missing
    folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in kinds)
    (tmp_path / "nginx.conf").write_text(text.replace("user www-data;", "").replace("http {", "http {\n" + folders, 1))
    done = subprocess.run(
        [program, "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr, done.stderr


def test_no_token_reaches_the_log_of_nginx() -> None:
    text = (DEPLOY / "nginx.conf").read_text()
    (form,) = re.findall(r"log_format harmline '([^']*)'", text)
    assert not {"$request ", "$request_uri", "$uri", "$args", "$http_referer", "$http_cookie"} & set(
        form.replace("$", " $").split()
    )
    rules = re.findall(r"~(\S+) (\S+);", text.partition("map $uri $shown {")[2].partition("}\n    log_format")[0])
    for path, shown in (("/sign-in/abc", "/sign-in/-"), ("/webhooks/id/tok", "/webhooks/$door/-")):
        (found,) = [new for pattern, new in rules if re.match(pattern.replace("?<", "?P<"), path)]
        assert found == shown


def test_postgresql_keeps_what_it_says_and_logs_no_value() -> None:
    text = (DEPLOY / "postgresql.conf").read_text()
    told = dict(re.findall(r"^(\w+) = '?([^'\n]*)'?$", text, re.MULTILINE))
    assert {told[name] for name in ("fsync", "full_page_writes", "synchronous_commit")} == {"on"}
    assert (told["log_statement"], told["log_parameter_max_length"], told["log_parameter_max_length_on_error"]) == (
        "none",
        "0",
        "0",
    )
    assert told["password_encryption"] == "scram-sha-256"
