"""A real Dovecot on this machine, over TLS, with one mailbox. Importable; holds no tests."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.connectors.http_stage import Authority, authority

PROGRAM = shutil.which("dovecot") or "/usr/sbin/dovecot"
NAME = "imap.example.org"
USER, PASSWORD = "alerts@union.example", 'invented "password" é'
SECONDS = 20

_CONFIGURATION = """
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{home}/server.pem
ssl_key = <{home}/server.pem
disable_plaintext_auth = yes
auth_failure_delay = 0
auth_verbose = yes
login_greeting = Invented, ready
mail_location = maildir:{home}/mail
first_valid_uid = 1
default_internal_user = {internal}
default_internal_group = {group}
default_login_user = {login}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {home}/passwords
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}/mail
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {starttls}
  }}
  inet_listener imaps {{
    port = {tls}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""


@dataclass
class Dovecot:
    """One server and its mailbox. `tls` and `starttls` are its ports."""

    home: Path
    trusted: Authority
    tls: int
    starttls: int
    running: subprocess.Popen[bytes] | None = None
    delivered: int = 0
    _owner: tuple[int, int] = field(default=(0, 0))

    def __post_init__(self) -> None:
        as_root = os.geteuid() == 0
        me = pwd.getpwuid(os.geteuid()).pw_name
        other = pwd.getpwnam("mail") if as_root else pwd.getpwuid(os.geteuid())
        self._owner = (other.pw_uid, other.pw_gid)
        for folder in ("new", "cur", "tmp"):
            (self.home / "mail" / folder).mkdir(parents=True)
            self._own(self.home / "mail" / folder)
        self._own(self.home / "mail")
        text = _CONFIGURATION.format(
            home=self.home,
            internal="dovecot" if as_root else me,
            group="dovecot" if as_root else other.pw_gid,
            login="dovenull" if as_root else me,
            uid=self._owner[0],
            gid=self._owner[1],
            tls=self.tls,
            starttls=self.starttls,
        )
        (self.home / "dovecot.conf").write_text(text)
        self.lets_in(PASSWORD)

    def lets_in(self, password: str) -> None:
        """From now on it is this one."""
        was_running = self.running is not None
        self.kill()
        (self.home / "passwords").write_text(f"{USER}:{{PLAIN}}{password}::::::\n")
        if was_running:
            self.start()

    def start(self) -> None:
        """Come back when it answers."""
        command = [PROGRAM, "-F", "-c", str(self.home / "dovecot.conf")]
        self.running = subprocess.Popen(command, start_new_session=True)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until and self.running.poll() is None:
            if self._answers():
                return
            time.sleep(0.02)
        raise AssertionError(self.log())

    def _answers(self) -> bool:
        """Whether it lets people sign in: until then it says only that it waits."""
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self.tls), 2) as plain,
            self.trusted.trusting.wrap_socket(plain, server_hostname=NAME) as there,
        ):
            said = b""
            while b"Invented, ready" not in said:
                piece = there.recv(4096)
                if not piece:
                    return False
                said += piece
            return True
        return False

    def kill(self) -> None:
        """SIGKILL to all of its processes, and wait until they are no more."""
        if self.running is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.running.pid, signal.SIGKILL)
            self.running.wait()
            self.running = None

    def deliver(self, mail: bytes) -> str:
        """One mail comes in, as a delivery agent brings it: the file's name."""
        self.delivered += 1
        name = f"{1_000_000_000 + self.delivered}.M{self.delivered}.example"
        file = self.home / "mail" / "tmp" / name
        file.write_bytes(mail)
        self._own(file)
        file.rename(self.home / "mail" / "new" / name)
        return name

    def renumber(self) -> None:
        """All ids are others from now on: what it knew of them is gone."""
        self.kill()
        for file in (self.home / "mail").glob("dovecot*"):
            file.unlink()
        time.sleep(1.1)  # the new UIDVALIDITY is the second in which it is made
        self.start()

    def log(self) -> str:
        file = self.home / "log"
        return file.read_text() if file.exists() else ""

    def _own(self, file: Path) -> None:
        os.chown(file, *self._owner)


@contextmanager
def dovecot() -> Iterator[Dovecot]:
    """A server that runs; it is killed at the end. Without Dovecot `./run test` leaves out what needs it, and says so."""
    assert Path(PROGRAM).exists(), "needs Dovecot: apt-get install dovecot-imapd"
    # Not in pytest's own folder: that one is closed to Dovecot's users again and again.
    home = Path(tempfile.mkdtemp(prefix="harmline-dovecot-"))
    home.chmod(0o755)
    made = Dovecot(home, authority(home, NAME), *_free_ports(2))
    try:
        made.start()
        yield made
    finally:
        made.kill()
        shutil.rmtree(home, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    found = [socket.socket() for _ in range(count)]
    try:
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]
    finally:
        for one in found:
            one.close()
