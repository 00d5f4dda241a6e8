"""What stands over a whole packet: its list, load files, drafts of certifications, the verifier, and the manifests."""

import json
from importlib import metadata, resources
from typing import Any

from app.evidence import bagit, certificates
from app.evidence.exhibits import NATIVE
from app.evidence.folder import Folder
from app.evidence.planning import Plan
from app.evidence.production import Paged, dat, opt
from app.evidence.proving import Tree
from app.evidence.records import Records
from app.evidence.spreadsheet import table
from app.evidence.withheld import WORDS
from app.evidence.wording import moment

FORMAT = "harmline-packet@v1"
SOFTWARE = f"Harmline {metadata.version('harmline')}"
VERIFIER = ("README.txt", "verify.html", "verify.py")


def finish(made: Plan, tree: Tree, out: Folder, records: Records) -> str:
    """Write all that is about the whole, once every exhibit is there. Returns the packet's number."""
    packet = _packet(made, tree, records)
    out.write_json("data/packet.json", packet)
    _write_lists(made, out, records, packet["withheld"])
    for name, text in certificates.drafts(_facts(made, tree, packet, out)).items():
        out.write(f"data/certificates/{name}.txt", text.encode())
    for name in VERIFIER:
        out.write(name, resources.files("app.evidence.verifier").joinpath(name).read_bytes())
    return _bag(made, out)


def _packet(made: Plan, tree: Tree, records: Records) -> dict[str, Any]:
    exhibits, acts = records.exhibits(), records.acts()
    withheld = [*records.withheld(), *(one.told() for one in made.withheld)]
    return {
        "format": FORMAT,
        "kind": made.order.kind.value,
        "variant": made.order.variant.value,
        "about": {
            "matter": str(made.order.matter_id),
            "claim": made.order.claim,
            "members": [str(one) for one in made.order.chosen or [chapter.member_id for chapter in made.chapters]],
        },
        "organization": {"id": str(made.organization_id), "name": made.organization},
        **tree.said,
        "code_version": SOFTWARE,
        "exhibits": exhibits,
        "custody": acts,
        "withheld": withheld,
        "counts": {
            "exhibits": len(exhibits),
            "originals": sum(one["type"] == NATIVE and one["file"] is not None for one in exhibits),
            "custody": len(acts),
            "withheld": len(withheld),
        },
    }


def _write_lists(made: Plan, out: Folder, records: Records, withheld: list[dict[str, Any]]) -> None:
    load = records.load()
    out.write("data/load/PRODUCTION.DAT", dat(load))
    paged = [Paged(one["BEGBATES"], one["NATIVEPATH"], int(one["PAGECOUNT"])) for one in load if one.get("PAGECOUNT")]
    out.write("data/load/PRODUCTION.OPT", opt(paged, made.order.prefix))
    rows = [(one["exhibit"] or "", one["what"], WORDS[one["why"]]) for one in withheld]
    out.write("data/withheld.csv", table(("exhibit", "what", "why"), rows))


def _facts(made: Plan, tree: Tree, packet: dict[str, Any], out: Folder) -> certificates.Facts:
    exhibits = packet["exhibits"]
    held: dict[str, int] = {}
    for one in packet["withheld"]:
        held[WORDS[one["why"]]] = held.get(WORDS[one["why"]], 0) + 1
    originals = [
        (one["bates"], one["file"]["sha256"], json.loads(out.read(f"{one['folder']}/exhibit.json"))["received_at"])
        for one in exhibits
        if one["type"] == NATIVE and one["file"] is not None
    ]
    return certificates.Facts(
        organization=made.organization,
        software=SOFTWARE,
        origin=tree.said["checkpoint"]["origin"],
        size=tree.size,
        root=tree.said["checkpoint"]["root"],
        at=moment(made.at),
        first=exhibits[0]["bates"] if exhibits else "(none)",
        last=exhibits[-1]["bates"] if exhibits else "(none)",
        exhibits=len(exhibits),
        originals=originals,
        withheld=held,
    )


def _whose(made: Plan) -> list[str]:
    order = made.order
    said = [f"matter {order.matter_id}", *(f"member {one}" for one in order.chosen)]
    return said if order.claim is None else [*said, f"claim {order.claim}"]


def _bag(made: Plan, out: Folder) -> str:
    """The bag's own files, last. Returns the SHA-256 of the file that stands for all others."""
    payload = [f"data/{path.removeprefix('data/')}" for path in out.paths("data")]
    info = (
        ("Source-Organization", made.organization),
        ("External-Identifier", ", ".join((*_whose(made), made.order.variant.value, f"checkpoint {made.size}"))),
        ("Bagging-Date", f"{made.at:%Y-%m-%d}"),
        ("Bag-Software-Agent", SOFTWARE),
        ("Payload-Oxum", bagit.oxum([out.size(path) for path in payload])),
    )
    out.write("bagit.txt", bagit.DECLARATION)
    out.write("bag-info.txt", bagit.info(info))
    out.write("manifest-sha256.txt", bagit.manifest({path: out.sha256(path) for path in payload}))
    tags = ("README.txt", "bag-info.txt", "bagit.txt", "manifest-sha256.txt", "verify.html", "verify.py")
    out.write("tagmanifest-sha256.txt", bagit.manifest({path: out.sha256(path) for path in tags}))
    return out.sha256("tagmanifest-sha256.txt")
