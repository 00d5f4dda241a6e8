"""Signs pages as PAdES (B-B) with a key of counsel's or the operator's. It needs pyHanko, which is an extra: `harmline[signing]`.

The signature is added behind the pages, so their bytes stay as they are and with them what makes them PDF/A-3. It says who had
them at hand and that they were not changed since. It signs no statement: the drafts of certifications stay blank.
Source: ETSI EN 319 142-1 (PAdES baseline B-B); ISO 19005-3 6.4.3 (one signature, its field without a box, to be printed).
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers.pdf_signer import PdfSigningSession

from app.kit import clock
from app.kit.errors import Problem

FIELD = "Signature1"
_PEM = b"-----BEGIN"


class _AsItWas(IncrementalPdfFileWriter):
    """Adds to a PDF and leaves what it says of itself: written anew, its metadata would no longer be what PDF/A asks for."""

    def _update_meta(self) -> None:
        """Nothing: the pages were made when they were made."""


class _Signer(signers.PdfSigner):
    """Signs at the time that the house goes by."""

    def init_signing_session(self, *args: Any, **more: Any) -> PdfSigningSession:
        """A session, told what time it is."""
        session = super().init_signing_session(*args, **more)
        session.system_time = clock.now()
        return session


@dataclass(frozen=True, slots=True)
class KeyPen:
    """Signs with a key in memory. `who`: the certificate's subject; `certificate`: its SHA-256 in hex."""

    who: str
    certificate: str
    _signer: signers.SimpleSigner = field(repr=False)

    async def sign(self, pdf: bytes) -> bytes:
        """The PDF with the signature behind it."""
        meta = signers.PdfSignatureMetadata(field_name=FIELD, subfilter=SigSeedSubFilter.PADES)
        out: io.BytesIO = await _Signer(meta, self._signer).async_sign_pdf(_AsItWas(io.BytesIO(pdf)))
        return out.getvalue()


def load(path: Path, passphrase: Path | None = None) -> KeyPen:
    """A key with its certificate out of a file, PKCS#12 or PEM. `passphrase`: the file that holds it. Raises a 422 Problem."""
    try:
        secret = passphrase.read_bytes().strip() if passphrase is not None else None
        key, certificate, others = _read(path.read_bytes(), secret)
    except OSError:
        raise Problem(422, "The file with the key to sign with, or that with its passphrase, cannot be read.") from None
    except (ValueError, TypeError):
        message = "This is no key to sign with: PKCS#12 or PEM, with its certificate, and the right passphrase if it has one."
        raise Problem(422, message) from None
    if not certificate.not_valid_before_utc <= clock.now() <= certificate.not_valid_after_utc:
        raise Problem(422, "The certificate of the key to sign with is not valid today.")
    bundle = pkcs12.serialize_key_and_certificates(None, key, certificate, others, serialization.NoEncryption())
    signer = signers.SimpleSigner.load_pkcs12_data(bundle, [])
    return KeyPen(certificate.subject.rfc4514_string(), certificate.fingerprint(hashes.SHA256()).hex(), signer)


def _read(content: bytes, secret: bytes | None) -> tuple[Any, x509.Certificate, Sequence[x509.Certificate]]:
    """The key, its certificate, and those above it. Raises ValueError or TypeError."""
    if _PEM not in content:
        key, certificate, others = pkcs12.load_key_and_certificates(content, secret)
        if key is None or certificate is None:
            raise ValueError
        return key, certificate, others
    opened = serialization.load_pem_private_key(content, secret)
    public = opened.public_key()
    every = x509.load_pem_x509_certificates(content)
    own = [one for one in every if one.public_key() == public]
    if not own:
        raise ValueError
    return opened, own[0], [one for one in every if one is not own[0]]
