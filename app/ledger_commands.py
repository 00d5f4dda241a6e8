"""`harmline ledger`: prove that the ledger is what it was."""
