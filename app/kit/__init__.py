"""What every room stands on: configuration, database, clock, ids, errors, keys, mail, outbox. No business here."""
