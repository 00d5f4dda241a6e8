"""The same guard below a client of somebody else's (Authlib): names, addresses, certificates, redirects, sizes. Real sockets."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import httpx
import pytest

from connectors.asking import NotAllowed, ProviderError, TryLater, UnexpectedAnswer
from connectors.guarded import GuardedTransport, base_for
from tests.connectors.http_stage import answer, authority, internet, saying, told_by

OUTSIDE = "93.184.216.34"
NAME = "login.example.com"
URL = f"https://{NAME}/token"


def client(**options: object) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=GuardedTransport(**{"connect": 2.0, "total": 4.0, **options}), trust_env=False)  # type: ignore[arg-type]


async def test_a_name_that_changes_at_every_question_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "::ffff:127.0.0.1")
    answers = itertools.cycle([x for private in inside for x in ([OUTSIDE], [private], [OUTSIDE, private])])
    async with internet(monkeypatch, lambda _: next(answers)) as net, client() as http:
        for number in range(60):
            sent = f"code-{number + 1000}"
            with pytest.raises(ProviderError) as caught:
                await http.post(URL, data={"code": sent})
            assert type(caught.value) is (TryLater if number % 3 == 0 else NotAllowed)
            assert sent not in "".join(told_by(caught.value))
        assert set(net.dialled) == {OUTSIDE}
        assert net.inside == 0


@pytest.mark.parametrize("address", [OUTSIDE, "2606:4700::1"])
async def test_the_name_stays_in_certificate_and_host_while_the_address_is_pinned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str
) -> None:
    tls = authority(tmp_path, NAME)
    named: list[str | None] = []
    tls.server.sni_callback = lambda _, name, __: named.append(name)
    async with (
        saying(answer(b'{"a":1}'), tls=tls.server) as server,
        internet(monkeypatch, lambda _: ["93.184.216.35", address]) as net,
        client(tls=tls.trusting) as http,
    ):
        net.machines[address] = int(server.url.rpartition(":")[2])
        found = await http.post(URL + "?p=1%202", data={"code": "c d"}, headers={"authorization": "Basic x", "cookie": "a=b"})
    assert found.json() == {"a": 1}
    assert named == [NAME]
    (asked,) = server.asked
    assert (asked.line, asked.body) == ("POST /token?p=1%202 HTTP/1.1", b"code=c+d")
    assert (asked.headers["host"], asked.headers["authorization"]) == (NAME, "Basic x")
    assert "cookie" not in asked.headers


@pytest.mark.parametrize("known", [True, False], ids=["another name", "an unknown authority"])
async def test_a_wrong_certificate_is_told_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, known: bool) -> None:
    tls = authority(tmp_path, "other.example.com" if known else NAME)
    async with (
        saying(answer(), tls=tls.server) as server,
        internet(monkeypatch, lambda _: [OUTSIDE]) as net,
        client(tls=tls.trusting if known else None) as http,
    ):
        net.machines[OUTSIDE] = int(server.url.rpartition(":")[2])
        with pytest.raises(UnexpectedAnswer, match="certificate"):
            await http.post(URL, data={"client_secret": "x"})
    assert server.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com/token",
        "https://login.example.com:8443/token",
        "https://10.0.0.1/token",
        "https://[::1]/token",
        "https://login.internal/token",
        "https://user:secret@login.example.com/token",
        "http://127.0.0.1:1/token",
        "https://login.example.com/%2e%2e/token",
    ],
)
async def test_an_address_that_is_none_is_asked_nothing(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    async with internet(monkeypatch, lambda _: [OUTSIDE]) as net, client() as http:
        with pytest.raises(NotAllowed):
            await http.get(url)
        assert (net.looked_up, net.dialled, net.inside) == (0, [], 0)


async def test_a_redirect_is_an_answer_and_nobody_goes_there() -> None:
    async with saying(answer()) as elsewhere, saying(answer(b"", "302 Found", location=f"{elsewhere.url}/x")) as server:
        async with client() as http:
            assert (await http.get(f"{server.url}/a")).status_code == 302
        assert (len(server.asked), elsewhere.asked) == (1, [])


async def test_an_answer_is_bounded_also_when_it_is_unpacked() -> None:
    packed = gzip.compress(b"x" * 3000)
    answers = (answer(b"x" * 2001), answer(packed, content_encoding="gzip"), answer(b"x" * 2000))
    async with saying(*answers) as server, client(most=2000) as http:
        for _ in range(2):
            with pytest.raises(UnexpectedAnswer, match="too large"):
                await http.get(f"{server.url}/a")
        assert len((await http.get(f"{server.url}/a")).content) == 2000


async def test_plain_http_is_for_this_machine_and_only_where_it_was_asked_for() -> None:
    assert base_for("http://127.0.0.1:9/x?y=z", at_home=True).port == 9
    for url, at_home in (("http://127.0.0.1:9/x", False), ("http://10.0.0.1:9/x", True), ("http://localhost:9/x", True)):
        with pytest.raises(NotAllowed):
            base_for(url, at_home=at_home)
