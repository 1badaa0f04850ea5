"""Documents: what the system knows of its peers and of every clone of every content."""
