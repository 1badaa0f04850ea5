"""Bringing metadata and disks in and out: from version 2.x, and as JSON lines."""
