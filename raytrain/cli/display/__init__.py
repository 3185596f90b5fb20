"""What the command line shows of runs and plans: tables, lines, panels, the live picture."""
