"""Writes what the program itself knows into the pages: `python -m docs.generate`."""
