"""Topics of incidents, for the rooms below."""

INCIDENTS_CHANGED = "incidents.changed"
"""The incidents or verdicts of the member `member_id` are not what they were."""
