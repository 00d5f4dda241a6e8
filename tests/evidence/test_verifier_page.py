"""The page in the packet says what the program says: in a real browser, from the disk, without a network."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from app.evidence.verifier import verify
from tests.evidence import packets
from tests.evidence.forgeries import PACKET, forgeries
from tests.evidence.packets import Files, Stamper
from tests.web.browsing import DESK, FLAGS, PHONE, picture

pytestmark = pytest.mark.browser
VECTORS = json.loads((Path(__file__).parent / "rfc8032.json").read_text())["vectors"]
WAIT = """() => new Promise((done) => {
    const look = () => (window.lastReport ? done({...window.lastReport, proven: window.lastReport.proven}) : setTimeout(look, 5));
    look();
})"""
NO_LIBRARY = "Object.defineProperty(Crypto.prototype, 'subtle', {value: undefined});"


@asynccontextmanager
async def page_of(chromium: str, html: Path, before: str = "", **options: Any) -> AsyncIterator[Page]:
    """The page as a stranger opens it: from the disk, offline. Whatever it logs, asks for or stumbles over fails the test."""
    trouble: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=[*FLAGS])
        context = await browser.new_context(offline=True, **({"viewport": DESK} | options))
        page = await context.new_page()
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda request: trouble.append(request.url) if not request.url.startswith("file:") else None)
        if before:
            await page.add_init_script(before)
        try:
            await page.goto(html.as_uri())
            yield page
        finally:
            await browser.close()
    assert trouble == []


async def checked(page: Page, folder: Path) -> Any:
    """What the page finds in a folder that a person picks."""
    await page.evaluate("window.lastReport = null")
    await page.set_input_files("#folder", str(folder))
    return await page.evaluate(WAIT)


def as_the_program(folder: Path, **known: Any) -> dict[str, Any]:
    """The same by the program, without what only one of the two can say."""
    found = verify.verify(str(folder), verify.Asked(**known)).as_json()
    found |= {
        "failures": {tuple(one.values()) for one in found["failures"]},
        "checks": {tuple(c.values()) for c in found["checks"]},
    }
    return {name: found[name] for name in ("proven", "number", "failures", "checks", "remarks", "proves")}


def as_the_page(found: Any) -> dict[str, Any]:
    failures = {(one["check"], one["path"], one["reason"]) for one in found["failures"]}
    checks = {(one["check"], one["count"], one["said"]) for one in found["checks"]}
    said = {name: found[name] for name in ("proven", "number", "remarks", "proves")}
    return said | {"failures": failures, "checks": checks}


async def test_a_good_packet_and_a_flipped_one(chromium: str, folder: Path, good: Files) -> None:
    async with page_of(chromium, folder / "verify.html") as page:
        assert as_the_page(await checked(page, folder)) == as_the_program(folder)
        await expect(page.locator("#verdict")).to_have_text("All proven, as far as a packet can vouch for itself.")
        await expect(page.get_by_text("What it does not prove")).to_be_visible()
        await picture(page, "packet-proven", full_page=True)
        path = "data/exhibits/EX-0000001/original.json"
        (folder / path).write_bytes(good[path].replace(b"Invented", b"Invested"))
        found = await checked(page, folder)
        assert as_the_page(found) == as_the_program(folder)
        await expect(page.locator("#verdict")).to_contain_text("Not proven.")
        await expect(page.get_by_text(f"files: {path}: the file was changed")).to_be_visible()
        await picture(page, "packet-flipped", full_page=True)


async def test_the_page_and_the_program_find_the_same(chromium: str, folder: Path, good: Files, tmp_path: Path) -> None:
    chance = random.Random(26)
    async with page_of(chromium, folder / "verify.html") as page:
        for number, (_, change, _, _) in enumerate(forgeries()):
            files = dict(good)
            change(files)
            changed = packets.write(packets.bagged(files), tmp_path / f"forged{number}")
            assert as_the_page(await checked(page, changed)) == as_the_program(changed), number
        for path in chance.sample(sorted(good), len(good)):
            raw = bytearray(good[path])
            raw[chance.randrange(len(raw))] ^= chance.randrange(1, 256)
            (folder / path).write_bytes(raw)
            found = await checked(page, folder)
            assert not found["proven"]
            assert as_the_page(found) == as_the_program(folder), path
            (folder / path).write_bytes(good[path])


async def test_the_page_and_the_program_tell_of_the_same_times(
    chromium: str, folder: Path, stamper: Stamper, tmp_path: Path
) -> None:
    async with page_of(chromium, folder / "verify.html") as page:
        for number, (place, back) in enumerate(((7, 9), (200, 9), (298, 9), (298, 0.5), (100, 9))):
            files = packets.make(stamper, log=packets.made_log(back, [place]))
            if number == 2:  # two exhibits say that they are out of the same delivery
                told = verify.load(files[PACKET])
                told["exhibits"][1] |= {"entry": told["exhibits"][3]["entry"]}
                files = packets.bagged({**files, PACKET: verify.canonical(told)})
            changed = packets.write(files, tmp_path / f"dated{number}")
            found = await checked(page, changed)
            assert as_the_page(found) == as_the_program(changed)
            assert found["dated"] == verify.verify(str(changed), verify.Asked()).dated
            assert ("EX-0000002 and 1 more of the same delivery" in str(found["dated"])) == (number == 2)
        files = packets.make(stamper, log=packets.made_log(9, [298]))
        await checked(page, packets.write(files, tmp_path / "dated"))
        verdict = "All proven, as far as a packet can vouch for itself; but not the time that 1 of the entries shown give."
        await expect(page.locator("#verdict")).to_have_text(verdict)
        await expect(page.get_by_text("It was put in later and dated back, or a clock was wrong.")).to_be_visible()


async def test_folders_that_differ_in_capital_letters_are_refused_by_both(chromium: str, good: Files, tmp_path: Path) -> None:
    changed = packets.write(packets.bagged({**good, "data/more/a": b"x", "data/More/b": b"x"}), tmp_path / "changed")
    async with page_of(chromium, changed / "verify.html") as page:
        found = await checked(page, changed)
    for failures in (str(found["failures"]), str(verify.verify(str(changed), verify.Asked()).failures)):
        assert "in capital letters only" in failures


async def test_what_is_known_from_elsewhere_is_compared(chromium: str, folder: Path, good: Files, tmp_path: Path) -> None:
    log = packets.made_log()
    other, growth = log.checkpoint(200), log.growth(200, 300, good["data/log/checkpoint"])
    (tmp_path / "other").write_bytes(other)
    (tmp_path / "growth").write_bytes(growth)
    async with page_of(chromium, folder / "verify.html") as page:
        await page.get_by_text("What you know from elsewhere").click()
        for key in (str(packets.LOG.key), str(packets.STRANGER.key), "nonsense"):
            await page.get_by_label("The log's key", exact=True).fill(key)
            assert as_the_page(await checked(page, folder)) == as_the_program(folder, key=key)
        await page.get_by_label("The log's key", exact=True).fill("")
        await page.get_by_label("A witness's key").fill(str(packets.WITNESS.key))
        await page.get_by_label("The packet's number").fill("0" * 64)
        assert as_the_page(await checked(page, folder)) == as_the_program(
            folder, witness=str(packets.WITNESS.key), number="0" * 64
        )
        await page.get_by_label("A witness's key").fill("")
        await page.get_by_label("The packet's number").fill(str(verify.verify(str(folder), verify.Asked()).number))
        await page.get_by_label("A checkpoint of this log").set_input_files(tmp_path / "other")
        assert "give the growth between the two" in str(await checked(page, folder))
        await page.get_by_label("The proof of growth").set_input_files(tmp_path / "growth")
        found = await checked(page, folder)
        assert found["proven"]
        assert len(found["pinned"]) == 2
        await expect(page.locator("#verdict")).to_contain_text("All proven, but 3 of the entries shown only as far as")
        await expect(page.get_by_text("Whose log it is after its first 200 entries")).to_be_visible()
        await page.get_by_label("The log's key", exact=True).fill(str(packets.LOG.key))
        assert as_the_page(await checked(page, folder))["proven"]
        await expect(page.locator("#verdict")).to_have_text("All proven.")


async def test_signatures_and_hashes_without_the_browsers_own(chromium: str, folder: Path) -> None:
    async with page_of(chromium, folder / "verify.html", NO_LIBRARY) as page:
        for vector in VECTORS:
            said = "([key, message, signature]) => isSigned(unhex(key), unhex(message), unhex(signature))"
            given = [vector["public"], vector["message"], vector["signature"]]
            assert await page.evaluate(said, given) is True
            assert await page.evaluate(said, [given[0], given[1] + "00", given[2]]) is False
        for length in (0, 1, 55, 56, 63, 64, 111, 112, 127, 128, 1000):
            raw = bytes(one % 251 for one in range(length))
            for kind in (256, 512):
                found = await page.evaluate("async ([kind, raw]) => hex(await hash(kind, unhex(raw)))", [kind, raw.hex()])
                assert found == hashlib.new(f"sha{kind}", raw).hexdigest()
        assert as_the_page(await checked(page, folder)) == as_the_program(folder)


async def test_a_folder_that_is_dropped_is_read(chromium: str, folder: Path, good: Files) -> None:
    """What drops is made in the page: a browser gives a real folder to a real hand only."""
    entry = """(files) => {
        const tree = {isDirectory: true, fullPath: "/packet", children: {}};
        for (const [path, raw] of Object.entries(files)) {
            const file = new File([Uint8Array.from(raw.match(/../g) ?? [], (one) => parseInt(one, 16))], path);
            tree.children[path] = {isFile: true, fullPath: `/packet/${path}`, file: (done) => done(file)};
        }
        tree.createReader = () => {
            const rest = Object.values(tree.children);
            return {readEntries: (done) => done(rest.splice(0, 10))};
        };
        const event = new Event("drop", {cancelable: true});
        Object.defineProperty(event, "dataTransfer", {value: {items: [{webkitGetAsEntry: () => tree}]}});
        document.getElementById("drop").dispatchEvent(event);
    }"""
    files = {path: raw.hex() for path, raw in good.items()}
    async with page_of(chromium, folder / "verify.html", viewport=PHONE) as page:
        await page.evaluate(entry, files)
        await expect(page.locator("#verdict")).to_contain_text("All proven")
        await picture(page, "packet-phone", full_page=True)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_whatever_is_picked_it_ends_with_a_sentence(chromium: str, folder: Path, good: Files, tmp_path: Path) -> None:
    async with page_of(chromium, folder / "verify.html") as page:
        (tmp_path / "else").mkdir()
        (tmp_path / "else" / "a.txt").write_bytes(b"x")
        assert "this is no packet" in (await checked(page, tmp_path / "else"))["unreadable"]
        for path in ("data/packet.json", "data/exhibits/EX-0000001/exhibit.json", "data/exhibits/EX-0000001/opening.json"):
            for raw in (
                b"[" * 500_000,
                b'{"__proto__":{"a":1}}',
                b"null",
                b'"<img src=x onerror=alert(1)>"',
                b"\xff",
                b"{}{}",
                b"",
            ):
                (folder / path).write_bytes(raw)
                found = await checked(page, folder)
                assert "unreadable" not in found, (path, raw[:20], found)
                assert any(one["path"] == path for one in found["failures"])
            (folder / path).write_bytes(good[path])
        value = json.loads(good["data/packet.json"])
        value["withheld"][0]["what"] = "<script>document.title = 'run'</script>\u202e"
        (folder / "data/packet.json").write_bytes(verify.canonical(value))
        await checked(page, folder)
        assert await page.title() == "Check an evidence packet"
        await expect(page.get_by_text(re.compile("<script>document.title"))).to_be_visible()
