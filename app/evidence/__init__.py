"""What an outsider may check: for now the ledger's face for the auditor."""
