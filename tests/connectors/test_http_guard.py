"""Only the provider is ever connected to: rebinding names, redirects, certificates, proxies, cookies. Real sockets."""

from __future__ import annotations

import itertools
import socket
import ssl
from pathlib import Path

import pytest

from connectors.asking import NotAllowed, ProviderError, TryLater, UnexpectedAnswer
from connectors.http import HttpError, ProviderClient, client, sandbox_allowed
from tests.connectors.http_stage import answer, asking, authority, internet, saying, told_by

OUTSIDE = "93.184.216.34"
NAME = "api.example.com"
URL = f"https://{NAME}/v1"


async def test_the_trap_catches_a_client_without_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the tests below can fail."""
    async with internet(monkeypatch, lambda _: ["10.0.0.1"]) as net, client() as http:
        with pytest.raises(HttpError):
            await http.get(URL)
        assert net.inside == 1


@pytest.mark.parametrize(
    ("first", "questions"),
    [(0, 400), (1, 400), pytest.param(0, 10_000, marks=pytest.mark.slow)],
    ids=["outside first", "inside first", "many"],
)
async def test_a_name_that_changes_at_every_question_leads_nowhere(
    monkeypatch: pytest.MonkeyPatch, first: int, questions: int
) -> None:
    """Each question is judged and dialled by one and the same answer, so an answer inside is never dialled."""
    inside = ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "::ffff:127.0.0.1", "64:ff9b::a00:1")
    answers = itertools.cycle([x for private in inside for x in ([OUTSIDE], [private])])
    for _ in range(first):
        next(answers)
    async with internet(monkeypatch, lambda _: next(answers)) as net, asking(URL, attempts=1) as http:
        outcomes = {NotAllowed: 0, TryLater: 0}
        for _ in range(questions):
            with pytest.raises(ProviderError) as caught:
                await http.get("/alerts", headers={"authorization": "Bearer secret"})
            outcomes[type(caught.value)] += 1
        assert outcomes == {NotAllowed: questions // 2, TryLater: questions // 2}
        assert net.looked_up == questions
        assert set(net.dialled) == {OUTSIDE}
        assert net.inside == 0


@pytest.mark.parametrize(
    "inside", ["127.0.0.1", "10.9.8.7", "169.254.169.254", "::1", "::ffff:7f00:1", "fe80::1%eth0", "100.64.0.1"]
)
async def test_one_answer_inside_among_good_ones_leads_nowhere(monkeypatch: pytest.MonkeyPatch, inside: str) -> None:
    async with internet(monkeypatch, lambda _: [OUTSIDE, inside]) as net, asking(URL) as http:
        with pytest.raises(NotAllowed) as caught:
            await http.get("/alerts")
        assert net.looked_up == 1
        assert net.dialled == []
        assert inside not in "".join(told_by(caught.value))


async def test_the_name_stays_in_certificate_and_host_while_the_address_is_pinned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tls = authority(tmp_path, NAME)
    named: list[str | None] = []
    tls.server.sni_callback = lambda _, name, __: named.append(name)
    async with (
        saying(answer(b'{"a":1}'), tls=tls.server) as server,
        internet(monkeypatch, lambda _: ["93.184.216.35", "2606:4700::1", OUTSIDE]) as net,
        asking(URL, tls=tls.trusting) as http,
    ):
        net.machines[OUTSIDE] = int(server.url.rpartition(":")[2])
        for _ in range(2):
            assert (await http.get("/a%2Fb", params={"q": "1 2"})).body == b'{"a":1}'
        # All addresses in their order; then first the one that let us in, over the connection that still stands.
        assert net.dialled == ["93.184.216.35", "2606:4700::1", OUTSIDE]
        assert net.looked_up == 2
    assert named == [NAME]
    assert [asked.headers["host"] for asked in server.asked] == [NAME] * 2
    assert server.asked[0].line == "GET /v1/a%2Fb?q=1%202 HTTP/1.1"
    assert server.connections == 1


async def test_a_standing_connection_is_no_way_around_a_name_that_moved_inside(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tls = authority(tmp_path, NAME)
    answers = iter([[OUTSIDE], ["10.0.0.1"]])
    async with (
        saying(answer(), tls=tls.server) as server,
        internet(monkeypatch, lambda _: next(answers)) as net,
        asking(URL, tls=tls.trusting) as http,
    ):
        net.machines[OUTSIDE] = int(server.url.rpartition(":")[2])
        await http.get("/")
        with pytest.raises(NotAllowed):
            await http.get("/")
        assert net.inside == 0
    assert len(server.asked) == 1


@pytest.mark.parametrize("known", [True, False], ids=["another name", "an unknown authority"])
async def test_a_wrong_certificate_is_told_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, known: bool) -> None:
    tls = authority(tmp_path, "other.example.com" if known else NAME)
    trusting = tls.trusting if known else ssl.create_default_context()
    async with (
        saying(answer(), tls=tls.server) as server,
        internet(monkeypatch, lambda _: [OUTSIDE]) as net,
        asking(URL, tls=trusting) as http,
    ):
        net.machines[OUTSIDE] = int(server.url.rpartition(":")[2])
        with pytest.raises(UnexpectedAnswer, match="certificate"):
            await http.get("/", headers={"authorization": "Bearer secret"})
        assert net.dialled == [OUTSIDE]
    assert server.asked == []


async def test_tls_that_never_begins_ends_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with internet(monkeypatch, lambda _: [OUTSIDE]) as net, asking(URL, attempts=1, connect=0.1) as http:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            net.machines[OUTSIDE] = silent.getsockname()[1]
            with pytest.raises(TryLater):
                await http.get("/")


async def test_a_redirect_is_never_followed() -> None:
    async with saying(answer()) as elsewhere:
        for status in ("301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"):
            async with saying(answer(b"", status, location=f"{elsewhere.url}/x")) as server, asking(server.url) as http:
                with pytest.raises(UnexpectedAnswer, match="redirect"):
                    await http.get("/", headers={"authorization": "Bearer secret"})
            assert len(server.asked) == 1
        assert elsewhere.asked == []


async def test_the_environment_decides_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with saying(answer()) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with saying(answer()) as server, asking(server.url) as http:
            await http.get("/")
        async with internet(monkeypatch, lambda _: [OUTSIDE]) as net, asking(URL, attempts=1) as http:
            with pytest.raises(TryLater):
                await http.get("/")
            assert net.dialled == [OUTSIDE]
    assert proxy.asked == []
    assert "authorization" not in server.asked[0].headers


async def test_no_cookie_is_kept() -> None:
    async with saying(answer(set_cookie="a=1; Path=/")) as server, asking(server.url) as http:
        await http.get("/")
        await http.get("/")
    assert all("cookie" not in asked.headers for asked in server.asked)


async def test_a_sandbox_is_reached_only_while_it_is_open() -> None:
    async with saying(answer()) as server, asking(server.url) as http:
        await http.get("/")
        with sandbox_allowed(server.url):
            pass  # an inner one does not close the outer one
        await http.get("/")
        await http.get("/")
    async with asking_closed(server.url) as http:
        with pytest.raises(NotAllowed):
            await http.get("/")
    with pytest.raises(NotAllowed):
        asking(server.url)
    assert len(server.asked) == 3


def asking_closed(url: str) -> ProviderClient:
    with sandbox_allowed(url):
        return asking(url)


@pytest.mark.parametrize(
    "origin", ["http://10.0.0.1:80", "https://127.0.0.1:443", "http://127.0.0.1", "http://127.0.0.1:1/", "http://localhost:1"]
)
def test_a_sandbox_is_on_this_machine(origin: str) -> None:
    with pytest.raises(ValueError, match="sandbox"), sandbox_allowed(origin):
        pass


@pytest.mark.parametrize(
    "name", ["Host", "Content-Length", "Transfer-Encoding", "Cookie", "Accept-Encoding", "Connection", "a b", "", "é"]
)
async def test_a_header_that_is_ours_cannot_be_set(name: str) -> None:
    async with saying(answer()) as server, asking(server.url) as http:
        with pytest.raises(NotAllowed):
            await http.get("/", headers={name: "1"})
    assert server.connections == 0


async def test_a_header_goes_out_as_it_was_given() -> None:
    async with saying(answer()) as server, asking(server.url) as http:
        await http.get("/", headers={"Hibp-Api-Key": "k", "User-Agent": "harmline-of-the-union"})
        await http.post("/", json={"a": ["ü", 1]}, headers={"Accept": "application/vnd.x+json"})
    got, posted = server.asked
    assert (got.headers["hibp-api-key"], got.headers["user-agent"]) == ("k", "harmline-of-the-union")
    assert (got.headers["accept"], got.headers["accept-encoding"]) == ("application/json", "gzip")
    assert (posted.line, posted.body) == ("POST / HTTP/1.1", b'{"a": ["\\u00fc", 1]}')
    assert (posted.headers["content-type"], posted.headers["accept"]) == ("application/json", "application/vnd.x+json")
    assert posted.headers["user-agent"] == "harmline"


@pytest.mark.parametrize("tree", [float("nan"), {1, 2}, object(), {"a": b"x"}], ids=["nan", "set", "object", "bytes"])
async def test_what_is_no_json_is_not_sent(tree: object) -> None:
    async with saying(answer()) as server, asking(server.url) as http:
        with pytest.raises(NotAllowed):
            await http.post("/", json=tree)
    assert server.connections == 0
