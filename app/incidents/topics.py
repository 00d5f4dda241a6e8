"""Topics of incidents, for the rooms below: the incidents or verdicts of the member `member_id` are not what they were."""

INCIDENTS_CHANGED = "incidents.changed"
