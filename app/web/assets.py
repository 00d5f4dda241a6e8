"""Static files: a fixed set, read once; a name that is not in it does not exist, so no path leads anywhere else."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response

from app.kit.errors import not_found

FOLDER = Path(__file__).parent / "static"
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_LOOK = ("pico.min.css", "app.css")
_UNCHANGING = "public, max-age=31536000, immutable"
_A_WHILE = "public, max-age=3600"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Asset:
    """One file with its media type; `version` is the start of its SHA-256 and stands in its address."""

    content: bytes
    media_type: str
    version: str


@cache
def assets() -> dict[str, Asset]:
    """Every static file by its name, our own and the vendored ones; and `look.css`, the styles of our pages in one piece.

    In one piece because a browser may lay a page out before the second of two styles has come: Pico's alone is not our look,
    and asks for pictures that our policy refuses.
    """
    paths = sorted([*FOLDER.iterdir(), *(FOLDER / "vendor").iterdir()])
    contents = {path.name: path.read_bytes() for path in paths if path.suffix in _MEDIA_TYPES}
    contents["look.css"] = b"\n".join(contents.pop(name) for name in _LOOK)
    return {name: _asset(name, content) for name, content in contents.items()}


def _asset(name: str, content: bytes) -> Asset:
    return Asset(content, _MEDIA_TYPES[Path(name).suffix], hashlib.sha256(content).hexdigest()[:12])


def asset_url(name: str) -> str:
    """The address of a static file, which changes with its content. Raises KeyError for an unknown name."""
    return f"/static/{name}?v={assets()[name].version}"


@router.get("/static/{path}")
async def static(path: str, request: Request) -> Response:
    """One static file. Under the address that names its version it never changes."""
    asset = assets().get(path)
    if asset is None:
        raise not_found()
    current = request.query_params.get("v") == asset.version
    headers = {"Cache-Control": _UNCHANGING if current else _A_WHILE}
    return Response(asset.content, media_type=asset.media_type, headers=headers)
