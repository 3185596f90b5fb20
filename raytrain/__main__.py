"""Lets `python -m raytrain` stand for the `raytrain` command."""

from raytrain.cli.main import main

if __name__ == "__main__":
    main()
