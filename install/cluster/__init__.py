"""A cluster on one machine, to try and to test: databases, two prisms, four stores."""
