"""An authority's answer is kept only when it is a proof: over this text, to this question, by a key below the trusted roots."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509 import Certificate
from hypothesis import given, settings
from hypothesis import strategies as st
from rfc3161_client import HashAlgorithm, TimeStampRequest, TimestampRequestBuilder

from app.kit import clock
from app.ledger.der import sorted_certificates
from app.ledger.timestamping import MOST_BYTES, NotStamped, decoded, query, roots_in, stamped_at, verified
from tests.ledger.authority import make_authority, openssl, stamped

TEXT = "localhost/ledger/0195\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"


class Asked:
    """An authority that was asked once, and what it answered."""

    def __init__(self, folder: Path, **options: timedelta) -> None:
        self.folder = folder
        self.roots = make_authority(folder, **options)
        self.question = query(TEXT)
        self.answer = asyncio.run(stamped(folder, self.question.as_bytes()))

    @property
    def trusted(self) -> list[Certificate]:
        return roots_in(self.roots)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    return Asked(tmp_path_factory.mktemp("authority"))


def test_a_right_answer_says_when_the_text_was_there(asked: Asked) -> None:
    at = verified(asked.question, TEXT, asked.answer, asked.trusted, clock.machine())
    assert abs(at - clock.machine()) < timedelta(minutes=2)
    assert stamped_at(asked.answer) == at


@pytest.mark.parametrize(("data", "agrees"), [(TEXT, True), (TEXT.replace("7", "8"), False), (TEXT[:-1], False)])
def test_openssl_agrees_about_the_text_with_its_last_newline(asked: Asked, tmp_path: Path, data: str, agrees: bool) -> None:
    (tmp_path / "text").write_text(data)
    (tmp_path / "answer.tsr").write_bytes(asked.answer)
    files = ("-data", tmp_path / "text", "-in", tmp_path / "answer.tsr", "-CAfile", asked.roots)
    status, said = asyncio.run(openssl("ts", "-verify", *files))
    assert (status == 0, b"Verification: OK" in said) == (agrees, agrees), said


def refused(asked: Asked, answer: bytes, **change: object) -> str:
    told = {"question": asked.question, "text": TEXT, "roots": asked.trusted, "now": clock.machine(), **change}
    with pytest.raises(NotStamped) as why:
        verified(told["question"], told["text"], answer, told["roots"], told["now"])  # type: ignore[arg-type]
    return str(why.value)


def test_an_answer_to_another_question_is_refused(asked: Asked) -> None:
    assert "Nonce" in refused(asked, asked.answer, question=query(TEXT))


def test_an_answer_over_another_text_is_refused(asked: Asked) -> None:
    assert "Mismatch" in refused(asked, asked.answer, text=TEXT + "x\n")


def asking(algorithm: HashAlgorithm = HashAlgorithm.SHA256, *, nonce: bool = True, certificate: bool = True) -> TimeStampRequest:
    return TimestampRequestBuilder(TEXT.encode(), algorithm, nonce, certificate).build()


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (lambda: asking(nonce=False), "Nonce"),
        (lambda: asking(HashAlgorithm.SHA512), "another kind of hash"),
        (lambda: asking(certificate=False), "verif"),
    ],
    ids=["no nonce", "another hash", "no certificate"],
)
def test_what_was_not_asked_for_is_refused(asked: Asked, other: Callable[[], TimeStampRequest], why: str) -> None:
    answer = asyncio.run(stamped(asked.folder, other().as_bytes()))
    assert why in refused(asked, answer)


def test_an_authority_below_other_roots_is_refused(asked: Asked, tmp_path: Path) -> None:
    stranger = Asked(tmp_path)
    answer = asyncio.run(stamped(stranger.folder, asked.question.as_bytes()))
    assert "certificate" in refused(asked, answer)
    assert verified(asked.question, TEXT, answer, [*asked.trusted, *stranger.trusted], clock.machine())


def test_a_whole_chain_may_come_in_any_order(tmp_path: Path) -> None:
    folder = tmp_path / "authority"
    make_authority(folder)
    config = folder / "tsa.cnf"
    # OpenSSL writes the authority's own first, then these; DER asks for another order, whichever way round they are.
    config.write_text(f"{config.read_text()}certs = {folder}/root.pem\n")
    question = query(TEXT)
    answer = asyncio.run(stamped(folder, question.as_bytes()))
    assert len(decoded(answer).signed_data.certificates) == 2
    assert verified(question, TEXT, answer, roots_in(folder / "root.pem"), clock.machine())
    wrong = bytearray(answer)
    wrong[answer.index(b"Invented Authority")] ^= 1
    with pytest.raises(NotStamped):
        verified(question, TEXT, bytes(wrong), roots_in(folder / "root.pem"), clock.machine())


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_sorting_what_is_no_timestamp_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"no|longer"):
        sorted_certificates(raw)


def test_sorting_what_is_cut_or_flipped_changes_no_length(asked: Asked) -> None:
    for place in range(len(asked.answer)):
        for wrong in (asked.answer[:place], asked.answer[:place] + b"\xff" + asked.answer[place + 1 :]):
            with suppress(ValueError):
                assert len(sorted_certificates(wrong)) == len(wrong)


def test_a_certificate_needs_to_be_good_when_it_stamped_and_not_later(tmp_path: Path) -> None:
    short = Asked(tmp_path, life=timedelta(minutes=1))
    assert verified(short.question, TEXT, short.answer, short.trusted, clock.machine() + timedelta(minutes=8))


def test_a_certificate_that_had_run_out_is_refused(tmp_path: Path) -> None:
    over = Asked(tmp_path, life=timedelta(minutes=-1))
    assert "certificate" in refused(over, over.answer)


@pytest.mark.parametrize("off", [timedelta(minutes=11), -timedelta(minutes=12)])
def test_a_clock_that_is_off_proves_nothing(asked: Asked, off: timedelta) -> None:
    assert "clock" in refused(asked, asked.answer, now=clock.machine() + off)


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html><body>Welcome</body></html>", b"0\x05", b"0\x03\x02\x01\x02", b"\x30\x80" * 500, b"x" * (MOST_BYTES + 1)],
    ids=["nothing", "html", "cut", "never seen", "nested", "large"],
)
def test_what_is_no_timestamp_is_refused(asked: Asked, answer: bytes) -> None:
    assert refused(asked, answer)


def test_a_refusal_by_the_authority_is_no_timestamp(asked: Asked) -> None:
    # TimeStampResp ::= SEQUENCE { PKIStatusInfo { status rejection(2) } }, no token
    assert "granted" in refused(asked, bytes.fromhex("30053003020102"))


def test_no_flipped_bit_makes_an_answer_say_something_else(asked: Asked) -> None:
    right, roots, now = decoded(asked.answer).tst_info, asked.trusted, clock.machine()
    passed = 0
    for place in range(len(asked.answer)):
        for bit in (0x01, 0x20, 0x80):
            wrong = bytearray(asked.answer)
            wrong[place] ^= bit
            try:
                at = verified(asked.question, TEXT, bytes(wrong), roots, now)
            except NotStamped:
                continue
            passed += 1
            assert at == right.gen_time
    # What is left are fields that nobody signs: how lengths and the names of algorithms are written.
    assert passed < len(asked.answer) / 10


def test_every_beginning_of_an_answer_is_refused(asked: Asked) -> None:
    for length in range(0, len(asked.answer), 7):
        assert refused(asked, asked.answer[:length])


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_roots_that_are_none_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "roots.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"roots\.pem holds no certificates"):
        roots_in(path)
