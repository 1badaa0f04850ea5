"""nginx before the prisms and stores of a machine: what it is told, and how it gets there."""
