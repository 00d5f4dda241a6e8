"""Pages signed with a key of counsel's: what reads PDF elsewhere takes them, and no byte of them can change."""

from __future__ import annotations

import io
import random
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from pyhanko.keys import load_certs_from_pemder_data
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from app.evidence import pdf
from app.evidence.building import build
from app.evidence.exhibits import Variant
from app.evidence.ordering import Order
from app.evidence.signing import load
from app.kit import clock
from app.kit.errors import Problem
from tests.evidence.matters import exhibits, files, in_the_log, matter_of
from tests.evidence.test_packets import proven
from tests.evidence.test_pure import page
from tests.support.commands import done, run
from tests.support.world import World, alert

AT = datetime(2026, 1, 1, tzinfo=UTC)
PLAIN = pdf.render("sheet", page("Avery"), AT)
SECRET = b"a passphrase"
FLIPS = 40


class Counsel:
    """A key and its certificate."""

    def __init__(self, key: Any, until: int = 2090) -> None:
        self.key = key
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Counsel Invented")])
        usage = dict.fromkeys(
            ("key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign", "encipher_only"), False
        )
        built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        built = built.not_valid_before(datetime(2020, 1, 1, tzinfo=UTC)).not_valid_after(datetime(until, 1, 1, tzinfo=UTC))
        built = built.add_extension(
            x509.KeyUsage(digital_signature=True, content_commitment=True, decipher_only=False, **usage), critical=True
        )
        self.certificate = built.sign(key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self, secret: bytes | None = None) -> bytes:
        locked = serialization.NoEncryption() if secret is None else serialization.BestAvailableEncryption(secret)
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)

    def bundle(self, secret: bytes) -> bytes:
        locked = serialization.BestAvailableEncryption(secret)
        return pkcs12.serialize_key_and_certificates(b"counsel", self.key, self.certificate, None, locked)


@pytest.fixture(scope="module")
def counsel() -> Counsel:
    return Counsel(ec.generate_private_key(ec.SECP256R1()))


def kept(folder: Path, content: bytes, name: str = "key") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


async def judged(signed: bytes, counsel: Counsel) -> Any:
    """What pyHanko says of the one signature."""
    context = ValidationContext(trust_roots=list(load_certs_from_pemder_data(counsel.pem)), moment=clock.now())
    (signature,) = PdfFileReader(io.BytesIO(signed)).embedded_signatures
    return await async_validate_pdf_signature(signature, context)


@pytest.mark.parametrize("form", ["pkcs12", "pem", "pem with passphrase", "rsa"])
async def test_signed_pages_are_taken_by_others_and_are_still_the_same_pages(counsel: Counsel, tmp_path: Path, form: str) -> None:
    whose = Counsel(rsa.generate_private_key(65537, 2048)) if form == "rsa" else counsel
    secret = kept(tmp_path, SECRET + b"\n", "secret")
    pen = {
        "pkcs12": lambda: load(kept(tmp_path, whose.bundle(SECRET)), secret),
        "rsa": lambda: load(kept(tmp_path, whose.bundle(SECRET)), secret),
        "pem": lambda: load(kept(tmp_path, whose.pem + whose.key_pem())),
        "pem with passphrase": lambda: load(kept(tmp_path, whose.key_pem(SECRET) + whose.pem), secret),
    }[form]()
    assert pen.who == "CN=Counsel Invented"
    assert pen.certificate == whose.certificate.fingerprint(hashes.SHA256()).hex()
    assert SECRET.decode() not in repr(pen)
    with clock.stopped(AT):
        signed = await pen.sign(PLAIN)
    assert signed.startswith(PLAIN), "the pages' own bytes, and with them what makes them PDF/A-3, are as they were"
    found = await judged(signed, whose)
    assert found.bottom_line, found.pretty_print_details()
    assert found.signer_reported_dt == AT, "by the clock of the house"
    behind = signed[len(PLAIN) :]
    assert b"/SubFilter /ETSI.CAdES.detached" in behind
    assert b"/F 132" in behind, "to be printed and never hidden, as PDF/A asks of a field"
    assert not re.search(rb"/Type /Metadata|/Producer|/ModDate", behind), "what it says of itself is as it was"


async def test_one_flipped_byte_is_refused(counsel: Counsel, tmp_path: Path) -> None:
    signed = await load(kept(tmp_path, counsel.pem + counsel.key_pem())).sign(PLAIN)
    start, end = signed.index(b"/Contents <") + len(b"/Contents <"), signed.rindex(b">\n/ByteRange")
    value = len(signed[:end].rstrip(b"0")) - 9
    chance = random.Random(20261127)
    outside = [*range(start - 1), *range(end + 1, len(signed))]
    for place in [value, value - 2, len(PLAIN) - 1, len(signed) - 1, *chance.sample(outside, FLIPS)]:
        changed = bytearray(signed)
        changed[place] ^= 1 << chance.randrange(5)
        try:
            accepted = (await judged(bytes(changed), counsel)).bottom_line
        except Exception:  # whatever cannot be read is refused, by whichever error
            accepted = False
        assert not accepted, place


async def test_a_packet_whose_pages_are_signed_proves_itself_too(world: World, counsel: Counsel, tmp_path: Path) -> None:
    await world.deliver(alert(id="a-1"))
    await in_the_log(world)
    pen = load(kept(tmp_path, counsel.pem + counsel.key_pem()))
    order = Order(await matter_of(world), Variant.SEALED, "OPOA")
    plain = await build(world.context, order, tmp_path / "plain")
    order = Order(order.matter_id, order.variant, order.prefix, plain.size)
    await build(world.context, order, tmp_path / "signed", pen=pen)
    assert proven(tmp_path / "signed")["proven"]
    (one,), (other,) = (exhibits(tmp_path / name, "illustrative_107") for name in ("plain", "signed"))
    assert (one["signed_by"], other["signed_by"]) == (None, {"who": pen.who, "certificate": pen.certificate})
    assert one["bates"] == other["bates"], "the same pages, with a signature behind them"
    path = one["file"]["path"]
    before, after = ((tmp_path / name / path).read_bytes() for name in ("plain", "signed"))
    assert after.startswith(before)
    assert (await judged(after, counsel)).bottom_line
    changed = {name for name, raw in files(tmp_path / "signed").items() if files(tmp_path / "plain")[name] != raw}
    assert not [one for one in changed if "certificates" in one], "what persons are to sign is signed by nobody"
    named = ("data/load/PRODUCTION.DAT", "data/packet.json", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt")
    assert changed == {path, f"data/exhibits/{one['bates']}/exhibit.json", *named}
    again = await build(world.context, order, tmp_path / "again")
    assert again.number == plain.number, "unsigned, it is the same bytes as ever"


def test_what_is_no_key_to_sign_with_is_refused(counsel: Counsel, tmp_path: Path) -> None:
    other = Counsel(ec.generate_private_key(ec.SECP256R1()))
    expired = Counsel(counsel.key, until=2021)
    wrong = kept(tmp_path, b"wrong", "wrong")
    for content, secret, said in (
        (b"", None, "no key to sign with"),
        (b"nonsense", None, "no key to sign with"),
        (counsel.pem, None, "no key to sign with"),
        (counsel.key_pem(), None, "no key to sign with"),
        (counsel.key_pem() + other.pem, None, "no key to sign with"),
        (counsel.key_pem(SECRET) + counsel.pem, None, "no key to sign with"),
        (counsel.key_pem(SECRET) + counsel.pem, wrong, "no key to sign with"),
        (counsel.bundle(SECRET), wrong, "no key to sign with"),
        (counsel.bundle(SECRET), None, "no key to sign with"),
        (counsel.bundle(SECRET), tmp_path / "missing", "cannot be read"),
        (counsel.key_pem() + expired.pem, None, "not valid today"),
    ):
        with pytest.raises(Problem, match=said) as refused:
            load(kept(tmp_path, content), secret)
        assert refused.value.status == 422
    with pytest.raises(Problem, match="cannot be read"):
        load(tmp_path / "nowhere")


def test_without_pyhanko_it_is_said_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "app.evidence.signing")
    monkeypatch.setitem(sys.modules, "pyhanko", None)
    monkeypatch.delitem(sys.modules, "pyhanko.sign", raising=False)
    done("keys", "create")
    matter = "019a0000-0000-7000-8000-000000000001"
    result = run("packet", "build", "--matter", matter, "--to", str(home / "packet"), "--sign-with", "key.p12")
    assert result.exit_code == 1, result.output
    assert "pip install 'harmline[signing]'" in result.output
