"""What all tests share."""

from hypothesis import settings

settings.register_profile("oose", deadline=None)  # no test may depend on how fast a machine is
settings.load_profile("oose")
