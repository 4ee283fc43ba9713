"""What survives a restart: alert state, the outbox, silences, and when each account was last read."""
