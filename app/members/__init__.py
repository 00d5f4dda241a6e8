"""Organizations and their rosters: members, employment, consent, enrollment, legal holds, erasure."""
