"""`python -m oose`: the `oose` command."""

from oose.cli import main

main()
