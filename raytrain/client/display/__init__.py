"""How a run looks while it goes on and when it has ended: in a terminal, in a notebook, and in plain lines."""
