"""What somebody knows from elsewhere is compared with a packet, and the verifier says how far it reaches."""

import json
from pathlib import Path

from app.evidence.verifier import verify
from app.kit import canonical
from tests.evidence import packets
from tests.evidence.forgeries import CHECKPOINT, PACKET
from tests.evidence.packets import Files
from tests.evidence.test_verifier import changed, failures, report, run


def test_what_is_known_from_elsewhere_is_compared(folder: Path, good: Files, tmp_path: Path) -> None:
    log = packets.made_log()
    (tmp_path / "newer").write_bytes(log.checkpoint(200))
    (tmp_path / "growth").write_bytes(log.growth(200, 300, good[CHECKPOINT]))
    alone, later = ", as far as a packet can vouch for itself", ", but {} of the entries shown only as far as a packet can vouch"
    for known, trust, words in (
        (("--key", str(packets.LOG.key)), "pinned", ""),
        (("--checkpoint", str(folder / CHECKPOINT)), "pinned", ""),
        (("--witness", str(packets.WITNESS.key)), "partly", later.format(4)),
        (("--checkpoint", str(folder / "data/log/older/100/checkpoint")), "partly", later.format(4)),
        (("--checkpoint", str(tmp_path / "newer"), "--growth", str(tmp_path / "growth")), "partly", later.format(3)),
        (("--witness", str(packets.WITNESS.key), "--key", str(packets.LOG.key)), "pinned", ""),
        (("--number", str(report(folder).number).upper()), "itself", alone),
    ):
        status, said = run(folder, *known)
        assert (status, json.loads(run(folder, *known, "--json")[1])["trust"]) == (verify.PROVEN, trust)
        assert f"\nALL PROVEN{words}" in said
        assert (words == "") == said.endswith("ALL PROVEN.\n")
        assert ("the key was taken from the packet itself" in said) == (trust == "itself")
        assert (verify.UNPINNED in said, "Whose log it is after its first" in said) == (trust == "itself", trust == "partly")


def test_a_true_beginning_that_a_stranger_went_on_with_is_not_called_proven(good: Files, tmp_path: Path) -> None:
    """What a witness saw of a log is public; anybody can write more behind it, and sign that with a key of the same name."""
    witnessed = packets.made_log().checkpoint(packets.OLDER, packets.STRANGER, packets.WITNESS)
    log = packets.made_log()
    log.rows[packets.VIEWED]["kind"] = "erasure"

    def go_on(files: Files) -> None:
        forged, said = log.checkpoint(packets.SIZE, packets.STRANGER), json.loads(files[PACKET])
        files[CHECKPOINT], files["data/log/older/100/checkpoint"] = forged, witnessed
        files["data/log/older/100/growth"] = log.growth(packets.OLDER, packets.SIZE, forged)
        for one in (*said["exhibits"][:4], *said["custody"]):
            files[f"{one['folder']}/entry.json"] = log.leaf(one["index"])
            files[f"{one['folder']}/proof.tlog-proof"] = log.proof(one["index"], packets.SIZE, forged)
            view = f"{one['folder']}/exhibit.json"
            files[view] = files.get(view, b"").replace(b'"act":"view"', b'"act":"erasure"')
            if not files[view]:
                del files[view]
        root = packets.text_of(forged).decode().split("\n")[2]
        said |= {"log_keys": [str(packets.LOG.key), str(packets.STRANGER.key)], "authorities": []}
        files[PACKET] = canonical.dumps(said | {"checkpoint": said["checkpoint"] | {"root": root}})
        for path in [path for path in files if "/timestamps/" in path]:
            del files[path]

    folder = changed(good, tmp_path, go_on)
    (tmp_path / "real").write_bytes(packets.made_log().checkpoint(packets.OLDER))
    for known in (("--witness", str(packets.WITNESS.key)), ("--checkpoint", str(tmp_path / "real"))):
        status, said = run(folder, *known)
        assert status == verify.PROVEN
        assert "Whose log it is after its first 100 entries" in said
        assert "ALL PROVEN, but 4 of the entries shown only as far as a packet can vouch for itself" in said
    assert "key that is trusted" in str(failures(folder, key=str(packets.LOG.key)))
