"""A whole cluster in one process, with real folders, to which everything happens that can."""
