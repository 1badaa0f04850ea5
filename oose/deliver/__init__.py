"""Bytes out: what of a file is asked for, and the ways to send it."""
