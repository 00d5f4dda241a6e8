"""The Oakland scenario: invented people, a truth drawn first, played over real HTTP and checked against that truth."""
