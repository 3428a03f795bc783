"""`python -m autodata_cli` is `autodata`."""

from autodata_cli.main import main

main()
