"""Whole clusters under a clock that tests turn, in memory."""
