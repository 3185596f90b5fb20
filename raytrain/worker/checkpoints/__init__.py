"""How a training is saved while it goes on, and taken up again: checkpoints, what is in them, and who writes them."""
