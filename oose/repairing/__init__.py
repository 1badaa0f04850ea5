"""Repair: content that has fewer clones than it should have gets more, by itself.

shares     which prism looks after which content, so that no two do the same work
fleet      which stores are there, away for a while, or gone
need       what one content needs
survey     looks at all content that is ours
worklist   what was found, most endangered first
retries    what failed, for later
repair     does what one content needs
service    all of it, all the time
summary    what people are told of it
"""

from oose.repairing.service import Repairing

__all__ = ["Repairing"]
