"""How the service itself is doing: the accounts are checked, a canary flies through the whole path, gauges are set."""
