"""A witness with its memory: a folder that holds its key, the last checkpoint cosigned of each log, and a copy of every one.

    FOLDER/witness.key                      who it is; nobody else may read it
    FOLDER/<SHA-256 of origin>/newest.note  the last checkpoint cosigned: what the next one is held against
    FOLDER/<SHA-256 of origin>/<size>.note  every one ever cosigned (a witness copy)
    FOLDER/refused/…txt                     what was refused, beside what had been cosigned: the evidence

Any number of processes and threads may use one folder: each decision is taken and written under one lock, and is on the disk
before anybody is told.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.kit import clock
from app.ledger.notes import (
    Checkpoint,
    Key,
    Kind,
    Note,
    NoteError,
    Signature,
    Signer,
    from_base64,
    parse_checkpoint,
    parse_note,
    to_base64,
    verify,
)
from app.ledger.witnessing import AGAINST, COSIGNED, Offer, Outcome, Verdict, judge, keys_of

_SECRET = "PRIVATE+KEY+"  # noqa: S105 - how a signer's key file begins (golang.org/x/mod/sumdb/note)
_SEED_BYTES = 32


class WitnessError(Exception):
    """The witness's folder is not as it left it; the text says what, in plain words."""


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _put(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; it is on the disk when this returns."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _flush(path.parent)


def _folder(path: Path) -> Path:
    if not path.is_dir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _flush(path.parent)
    return path


def _secret_of(signer: Signer, seed: bytes) -> str:
    return f"{_SECRET}{signer.key.name}+{signer.key.id.hex()}+{to_base64(bytes([signer.key.kind]) + seed)}\n"


def _read_key(path: Path) -> Signer:
    text = path.read_text(encoding="utf-8")
    try:
        name, _, encoded = text.removeprefix(_SECRET).removesuffix("\n").split("+", 2)
        raw = from_base64(encoded)
        signer = Signer(name, Kind(raw[0]), raw[1:])
    except (NoteError, ValueError, IndexError):
        raise WitnessError(f"{path} is not a witness's key") from None
    if text != _secret_of(signer, raw[1:]) or signer.key.kind is not Kind.COSIGNATURE:
        raise WitnessError(f"{path} is not a witness's key")
    return signer


class Witness:
    """One witness: whoever holds its folder."""

    def __init__(self, folder: Path, keys: Sequence[Key], name: str | None = None) -> None:
        """`keys`: of the logs that it watches; `name`: its own, needed the first time only. Raises WitnessError, NoteError."""
        self._at, self._keys = _folder(folder), keys
        with self._locked():
            self._signer = self._own(name)

    @property
    def key(self) -> Key:
        """By which everybody may check what it cosigned."""
        return self._signer.key

    def known(self, origin: str) -> Checkpoint | None:
        """The last checkpoint of a log that it cosigned."""
        with self._locked():
            newest = self._newest(origin)
        return parse_checkpoint(newest.text) if newest else None

    def consider(self, offer: Offer, *, from_the_log: bool = False) -> tuple[Verdict, Signature | None, Path | None]:
        """Cosign an offered checkpoint, or refuse it; what it cosigned is on the disk when this returns.

        The last of the three is the evidence of a refusal: always of a fork; of whatever speaks against the log, if the log
        itself has shown it (`from_the_log`).
        """
        with self._locked():
            newest = self._newest(offer.checkpoint.origin)
            verdict = judge(parse_checkpoint(newest.text) if newest else None, offer, self._keys)
            if verdict.outcome in COSIGNED:
                cosignature = self._signer.sign(offer.note.text, clock.milliseconds() // 1000)
                if verdict.outcome is Outcome.GROWN:
                    self._keep(offer, cosignature)
                return verdict, cosignature, None
            kept = verdict.outcome in (AGAINST if from_the_log else {Outcome.FORKED})
            return verdict, None, self._evidence(newest, offer, verdict) if kept else None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        handle = os.open(self._at / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _own(self, name: str | None) -> Signer:
        path = self._at / "witness.key"
        if not path.exists():
            seed = secrets.token_bytes(_SEED_BYTES)
            signer = Signer(name or "witness", Kind.COSIGNATURE, seed)
            _put(path, _secret_of(signer, seed).encode())
        signer = _read_key(path)
        if name not in (None, signer.key.name):
            raise WitnessError(f"the witness of {self._at} is called {signer.key.name}; another name is another witness: --state")
        return signer

    def _place(self, origin: str) -> Path:
        return self._at / hashlib.sha256(origin.encode()).hexdigest()

    def _newest(self, origin: str) -> Note | None:
        place = self._place(origin)
        path = place / "newest.note"
        if not path.exists():
            if any(place.glob("*.note")):
                raise WitnessError(
                    f"{path} is gone; without it this witness could cosign a fork. Copy the largest beside it there"
                )
            return None
        try:
            note = parse_note(path.read_bytes())
            checkpoint = parse_checkpoint(note.text)
            if checkpoint.origin != origin or not verify(note, [self.key]):
                raise NoteError("this witness has not signed it")
        except NoteError as error:
            raise WitnessError(f"{path} is not as this witness left it: {error}") from None
        copy = place / f"{checkpoint.size}.note"
        if not copy.exists():  # killed between the two
            _put(copy, bytes(note))
        return note

    def _keep(self, offer: Offer, cosignature: Signature) -> None:
        own = keys_of(offer.checkpoint.origin, self._keys)
        signed = tuple(one for one in offer.note.signatures if any(one.is_of(key) for key in own))
        whole = bytes(Note(offer.note.text, signed).with_lines([cosignature]))
        place = _folder(self._place(offer.checkpoint.origin))
        # in this order: a copy that came back from a crash alone would be a cosignature that this witness does not know of
        _put(place / "newest.note", whole)
        _put(place / f"{offer.checkpoint.size}.note", whole)

    def _evidence(self, newest: Note | None, offer: Offer, verdict: Verdict) -> Path:
        before = f"What this witness had cosigned:\n\n{newest}" if newest else "This witness had cosigned nothing of this log.\n"
        proof = "".join(f"{to_base64(one)}\n" for one in offer.hashes) or "none\n"
        after = f"What was shown then:\n\n{offer.note}\nThe proof that came with it:\n\n{proof}"
        # one file for each two histories, whatever else stands beside them: nobody fills the disk by telling us again
        told_apart = f"{newest.text if newest else ''}\n{offer.note.text}".encode()
        path = _folder(self._at / "refused") / f"{hashlib.sha256(told_apart).hexdigest()[:32]}.txt"
        if not path.exists():
            _put(path, f"Refused: {verdict.reason}.\n\n{before}\n{after}".encode())
        return path
