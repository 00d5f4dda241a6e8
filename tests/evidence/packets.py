"""Small packets as docs/packet.md describes them, written by hand here so that the verifier is held against the page.

Trees, notes, proofs and leaves are the product's (app/ledger); the verifier has its own of each.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from app.kit import canonical
from app.ledger import proofs, tree
from app.ledger.leaves import leaf_bytes
from app.ledger.notes import Checkpoint, Kind, Note, Signer
from app.ledger.service import commitment
from tests.repo.tree import ROOT

VERIFIER = ROOT / "app" / "evidence" / "verifier"
ORGANIZATION = UUID("019a0000-0000-7000-8000-000000000001")
MEMBER = UUID("019a0000-0000-7000-8000-0000000000aa")
ORIGIN = f"harmline.example/ledger/{ORGANIZATION}"
START = datetime(2026, 11, 27, 4, 30, tzinfo=UTC)
LOG, WITNESS = Signer(ORIGIN, Kind.SIGNATURE, b"l" * 32), Signer("witness.example/w1", Kind.COSIGNATURE, b"w" * 32)
STRANGER = Signer(ORIGIN, Kind.SIGNATURE, b"s" * 32)
AUTHORITY = "invented"
OLDER, SIZE = 100, 300
PLACES = {"EX-0000001": 7, "EX-0000002": 99, "EX-0000003": 150, "EX-0000004": 298}
VIEWED, MATCHED = 200, 201
ALERT, EVENT, INCIDENT, CARRIER = 6000, 7000, 8000, 8001
"""What an exhibit's alert and event are counted from, by its place; the incident that is viewed, and what carried the mail."""

WEBHOOK = b'{"alert": {"type": "new_account", "bureau": "TransUnion", "name": "Zo\xc3\xab Invented"}}'
MAIL = b"DKIM-Signature: v=1; d=provider.example\r\nFrom: a@provider.example\r\n\r\nA card was opened in your name.\r\n"
DESTROYED = b"nobody can read this any more"


def row_id(index: int) -> UUID:
    return UUID(f"019a0000-0000-7000-9000-{index:012d}")


def proof_of(scheme: str) -> dict[str, Any]:
    signed = (START - timedelta(seconds=9)).isoformat()
    return {"outcome": "authentic", "scheme": scheme, "reason": "", "key_id": "k1", "signed_at": signed, "source": "192.0.2.1"}


def receipt_facts(body: bytes, channel: str = "webhook", scheme: str = "hmac-sha256") -> dict[str, Any]:
    digest = hashlib.sha256(body).hexdigest()
    return {"body_sha256": digest, "size": len(body), "channel": channel, "proof": proof_of(scheme)}


@dataclass
class Log:
    """A log of one organization: its rows, and the salts and facts that open them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    openings: list[tuple[bytes, dict[str, Any]]] = field(default_factory=list)
    dated: Mapping[int, timedelta] = field(default_factory=dict)

    def add(self, kind: str, facts: dict[str, Any], member: UUID | None = None, role: str | None = None, **subjects: str) -> None:
        index = len(self.rows)
        at = START + timedelta(seconds=index, microseconds=0 if index % 2 else 123456) - self.dated.get(index, timedelta())
        subjects = subjects or {"receipt": str(row_id(index + 5000))}
        row = {"id": row_id(index), "organization_id": ORGANIZATION, "kind": kind, "member_id": member}
        row |= {"actor_id": row_id(1) if role else None, "actor_role": role, "at": at, "subjects": subjects}
        salt = hashlib.sha256(b"salt %d" % index).digest()
        stated = {
            "entry": str(row["id"]),
            "organization": str(ORGANIZATION),
            "act": kind,
            "member": str(member) if member else None,
        }
        stated |= {"actor": str(row["actor_id"]) if role else None, "role": role, "at": at.isoformat()}
        row["commitment"] = commitment(salt, stated | {"subjects": subjects, "facts": facts})
        self.rows.append(row)
        self.openings.append((salt, facts))

    def leaf(self, index: int) -> bytes:
        return leaf_bytes(self.rows[index])

    def hashes(self, size: int) -> list[bytes]:
        return [tree.leaf_hash(self.leaf(index)) for index in range(size)]

    def checkpoint(self, size: int, log: Signer = LOG, witness: Signer | None = None) -> bytes:
        text = Checkpoint(ORIGIN, size, tree.root_of(self.hashes(size))).text
        seconds = int((START + timedelta(hours=1)).timestamp())
        lines = [log.sign(text), *([witness.sign(text, seconds)] if witness else [])]
        return bytes(Note(text, tuple(lines)))

    def proof(self, index: int, size: int, checkpoint: bytes) -> bytes:
        leaves = self.hashes(size)
        hashes = [tree.root_of(leaves[start:end]) for start, end in tree.inclusion_ranges(index, size)]
        return proofs.write(proofs.LogProof(index, tuple(hashes), checkpoint))

    def growth(self, old: int, new: int, checkpoint: bytes) -> bytes:
        leaves = self.hashes(new)
        hashes = [tree.root_of(leaves[start:end]) for start, end in tree.consistency_ranges(old, new)]
        lines = [f"old {old}", *(base64.b64encode(one).decode() for one in hashes), ""]
        return "".join(f"{line}\n" for line in lines).encode() + checkpoint


def made_log(days: float = 0, dated: Sequence[int] = ()) -> Log:
    """The log that packets are of. `dated`: the places of acts that say they are so many days older."""
    log = Log(dated={place: timedelta(days=days) for place in dated})
    special = {7: receipt_facts(WEBHOOK), 99: receipt_facts(MAIL, "handed_on", "dkim"), 150: receipt_facts(DESTROYED)}
    special[298] = receipt_facts(b"gone by contract", "poll", "tls")
    for index in range(SIZE):
        if index in special:
            log.add("receipt", special[index])
        elif index == VIEWED:
            log.add("view", {"what": "timeline"}, MEMBER, "counsel", incident=str(row_id(INCIDENT)))
        else:
            carried = {"receipt": str(row_id(CARRIER))} if index == MATCHED else {}
            log.add("match", {"enrollment": str(row_id(index + 9000)), "fraction": 0.5, "far": 1e-7}, MEMBER, **carried)
    return log


class Stamper:
    """A timestamp authority: `openssl ts` with a certificate of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.roots = folder, folder / "tsa.pem"
        made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "tsa.key", "-out", "tsa.pem")
        extension = ("-addext", "extendedKeyUsage=critical,timeStamping")
        subprocess.run([*made, "-subj", "/CN=Invented Authority", *extension], cwd=folder, check=True, capture_output=True)
        lines = ("[tsa]", "default_tsa=one", "[one]", "serial=serial", "signer_cert=tsa.pem", "signer_key=tsa.key")
        more = ("signer_digest=sha256", "default_policy=1.3.6.1.4.1.55555.1", "digests=sha256,sha512", "ess_cert_id_alg=sha256")
        (folder / "tsa.cnf").write_text("\n".join([*lines, *more, ""]))

    def stamp(self, text: bytes, kind: str = "sha256") -> bytes:
        (self.folder / "text").write_bytes(text)
        query = ("openssl", "ts", "-query", "-data", "text", f"-{kind}", "-cert", "-out", "query")
        reply = ("openssl", "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply")
        for command in (query, reply):
            subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
        return (self.folder / "reply").read_bytes()


Files = dict[str, bytes]


def text_of(checkpoint: bytes) -> bytes:
    """A checkpoint's text, as it is stamped."""
    return checkpoint.partition(b"\n\n")[0] + b"\n"


def opening(log: Log, index: int) -> bytes:
    salt, facts = log.openings[index]
    return canonical.dumps({"salt": salt.hex(), "facts": facts})


def moment(log: Log, index: int) -> str:
    return str(log.rows[index]["at"].replace(tzinfo=None).isoformat(timespec="microseconds")) + "Z"


def custody_of(log: Log, *indexes: int) -> list[dict[str, Any]]:
    found = []
    for index in indexes:
        row = log.rows[index]
        said = {"entry": str(row["id"]), "index": index, "act": row["kind"], "at": moment(log, index), "by": row["actor_role"]}
        found.append(said | {"what": "what happened"})
    return found


def add_native(
    files: Files, log: Log, bates: str, body: bytes | None, ending: str, grade: str, *, opened: bool
) -> dict[str, Any]:
    """Put one native exhibit among the files; what packet.json says of it."""
    index, folder = PLACES[bates], f"data/exhibits/{bates}"
    file = None
    if body is not None:
        path = f"{folder}/original.{ending}"
        files[path] = body
        file = {"path": path, "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
    facts = log.openings[index][1]
    said = {"bates": bates, "type": "native", "file": file, "sources": []}
    view = said | {"format": "harmline-exhibit@v1", "title": "An alert", "member": str(MEMBER), "provider": "provider.example"}
    view |= {"channel": facts["channel"] if opened else None, "proved_by": facts["proof"] if opened else None}
    view |= {"received_at": moment(log, index), "grade": {"grade": grade, "reason": "signed by it"}, "dns": None, "headers": None}
    view |= {"view": {"code_version": "example 1", "alert": {"kind": "new_account"}} if opened else None}
    view |= {"receipt": str(row_id(index + 5000)), "alert": str(row_id(index + ALERT)), "event": str(row_id(index + EVENT))}
    carriers = [CARRIER] if facts["channel"] == "handed_on" else []
    view |= {"again": [], "incidents": [str(row_id(INCIDENT))], "carriers": [str(row_id(one)) for one in carriers]}
    view["custody"] = custody_of(log, index, VIEWED, *(MATCHED for _ in carriers), VIEWED + 5)
    files[f"{folder}/exhibit.json"] = canonical.dumps(view)
    files[f"{folder}/entry.json"] = log.leaf(index)
    if opened:
        files[f"{folder}/opening.json"] = opening(log, index)
    return said | {"folder": folder, "entry": str(row_id(index)), "index": index, "opened": opened}


def add_summary(files: Files) -> dict[str, Any]:
    path = "data/members/EX/timeline.json"
    original = files.get("data/exhibits/EX-0000001/original.json")
    row = {"exhibit": "EX-0000001", "sha256": hashlib.sha256(original).hexdigest() if original else "", "says": "opened"}
    body = files[path] = canonical.dumps({"format": "harmline-timeline@v1", "rows": [row]})
    files["data/members/EX/timeline.csv"] = b'"bates","says"\r\n"EX-0000001","opened"\r\n'
    files["data/load/PRODUCTION.DAT"] = "\ufeff\u00feBEGBATES\u00fe\r\n\u00feEX-0000001\u00fe\r\n".encode()
    file = {"path": path, "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
    said = {"bates": "EX-0000005", "type": "summary_1006", "file": file, "sources": ["EX-0000001", "EX-0000002"]}
    view = said | {"format": "harmline-exhibit@v1", "title": "A timeline", "grade": None, "custody": []}
    files["data/exhibits/EX-0000005/exhibit.json"] = canonical.dumps(view)
    return said | {"folder": "data/exhibits/EX-0000005", "entry": None, "index": None, "opened": False}


def withheld(bates: str, why: str) -> dict[str, Any]:
    return {"what": "the original", "exhibit": bates, "why": why, "count": 1}


def add_log(files: Files, log: Log, stamper: Stamper) -> None:
    newest, older = log.checkpoint(SIZE), log.checkpoint(OLDER, witness=WITNESS)
    files["data/log/checkpoint"] = newest
    files[f"data/log/older/{OLDER}/checkpoint"] = older
    files[f"data/log/older/{OLDER}/growth"] = log.growth(OLDER, SIZE, newest)
    files[f"data/log/older/{OLDER}/timestamps/{AUTHORITY}.tsr"] = stamper.stamp(text_of(older))
    files[f"data/log/timestamps/{AUTHORITY}.tsr"] = stamper.stamp(text_of(newest))
    files[f"data/log/timestamps/{AUTHORITY}.pem"] = stamper.roots.read_bytes()


def add_custody(files: Files, log: Log) -> list[dict[str, Any]]:
    found = []
    for index, opened in ((VIEWED, False), (MATCHED, True)):
        folder = f"data/custody/{row_id(index)}"
        files[f"{folder}/entry.json"] = log.leaf(index)
        if opened:
            files[f"{folder}/opening.json"] = opening(log, index)
        found.append({"entry": str(row_id(index)), "index": index, "folder": folder, "opened": opened})
    return found


def make(stamper: Stamper, variant: str = "sealed", log: Log | None = None) -> Files:
    """The files of a good packet: two originals, one erased, one whose term ended, a summary, two acts proven by themselves."""
    log, files, whole = log or made_log(), {}, variant == "sealed"
    add_log(files, log, stamper)
    exhibits = [
        add_native(files, log, "EX-0000001", WEBHOOK if whole else None, "json", "shared_secret", opened=whole),
        add_native(files, log, "EX-0000002", MAIL if whole else None, "eml", "third_party", opened=whole),
        add_native(files, log, "EX-0000003", None, "", "shared_secret", opened=False),
        add_native(files, log, "EX-0000004", None, "", "fetched", opened=whole),
        add_summary(files),
    ]
    missing = [withheld("EX-0000003", "erased"), withheld("EX-0000004", "term")]
    if not whole:
        missing += [withheld("EX-0000001", "redacted"), withheld("EX-0000002", "redacted")]
    said = {
        "format": "harmline-packet@v1",
        "kind": "matter",
        "variant": variant,
        "about": {"matter": str(row_id(70)), "claim": None, "members": [str(MEMBER)]},
        "organization": {"id": str(ORGANIZATION), "name": "Invented Local 1"},
        "checkpoint": {"origin": ORIGIN, "size": SIZE, "root": text_of(files["data/log/checkpoint"]).decode().split("\n")[2]},
        "older": [OLDER],
        "log_keys": [str(LOG.key)],
        "witnesses": [{"vkey": str(WITNESS.key), "sizes": [OLDER]}],
        "authorities": [{"name": AUTHORITY, "sizes": [OLDER, SIZE]}],
        "code_version": "1.0.0 example",
        "exhibits": exhibits,
        "custody": add_custody(files, log),
        "withheld": missing,
    }
    said["counts"] = {"exhibits": 5, "originals": 2 if whole else 0, "custody": 2, "withheld": len(missing)}
    files["data/packet.json"] = canonical.dumps(said)
    for path in [path for path in files if path.endswith("/entry.json")]:
        index = int(path.split("/")[2].rpartition("-")[2]) if "/custody/" in path else PLACES[path.split("/")[2]]
        files[path.replace("entry.json", "proof.tlog-proof")] = log.proof(index, SIZE, files["data/log/checkpoint"])
    files["README.txt"] = b"Run python3 -I -S verify.py with this folder.\n"
    for name in ("verify.py", "verify.html"):
        files[name] = (VERIFIER / name).read_bytes()
    return bagged(files)


def manifest(files: Mapping[str, bytes]) -> bytes:
    lines = sorted(files.items())
    return "".join(f"{hashlib.sha256(raw).hexdigest()}  {path}\n" for path, raw in lines).encode()


def bagged(files: Mapping[str, bytes]) -> Files:
    """The same files with lists of files that fit them: what somebody careful would do after changing one."""
    payload = {path: raw for path, raw in files.items() if path.startswith("data/")}
    top = {name: files[name] for name in ("README.txt", "verify.py", "verify.html") if name in files}
    top["bagit.txt"] = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
    total = sum(map(len, payload.values()))
    top["bag-info.txt"] = f"Payload-Oxum: {total}.{len(payload)}\nSource-Organization: Invented Local 1\n".encode()
    top["manifest-sha256.txt"] = manifest(payload)
    return {**payload, **top, "tagmanifest-sha256.txt": manifest(top)}


def write(files: Mapping[str, bytes], folder: Path) -> Path:
    """Write the files into a folder that is not there yet."""
    for path, raw in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(raw)
    return folder
