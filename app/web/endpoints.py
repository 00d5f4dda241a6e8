"""The pages' routes, and what the application takes from this room."""

from fastapi import APIRouter, FastAPI

from app.web import (
    admin_pages,
    assets,
    connection_pages,
    describing_pages,
    emergency_pages,
    errors,
    file_pages,
    forwarding_pages,
    incident_pages,
    office_pages,
    packet_pages,
    provider_pages,
    provider_sign_in_pages,
    queue_pages,
    report_pages,
    review_pages,
    rule_pages,
    sign_in_pages,
    ways_in_pages,
)

router = APIRouter(include_in_schema=False)
for pages in (
    provider_sign_in_pages,
    sign_in_pages,
    ways_in_pages,
    incident_pages,
    report_pages,
    office_pages,
    packet_pages,
    queue_pages,
    review_pages,
    connection_pages,
    file_pages,
    rule_pages,
    forwarding_pages,
    admin_pages,
    provider_pages,
    emergency_pages,
    describing_pages,
):
    router.include_router(pages.router)


def mount_static(app: FastAPI) -> None:
    """Serve the static files."""
    app.include_router(assets.router)


def register_error_pages(app: FastAPI) -> None:
    """Show errors of pages as pages."""
    errors.register_error_pages(app)
