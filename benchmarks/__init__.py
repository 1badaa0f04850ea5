"""Speed and memory of oose, measured against what the same machine does without it."""
