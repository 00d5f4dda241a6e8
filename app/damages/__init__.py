"""What an incident cost the member: the damages ledger, first form."""
