"""What sets up a machine, and a cluster to try on it."""
