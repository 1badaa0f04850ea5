"""`Cache-Control` of what is sent."""

STATIC = "public, max-age=31536000, immutable"  # a hash's bytes never change
PURCHASED = "private"
