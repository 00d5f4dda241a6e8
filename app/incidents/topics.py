"""Topics of incidents, for the rooms below."""

INCIDENTS_CHANGED = "incidents.changed"
"""The incidents or verdicts of the member `member_id` are not what they were."""

CONSENT_MISSING = "incidents.consent_missing"
"""Something that came over `connection_id` waits until the member `member_id` says whether it may be kept."""
