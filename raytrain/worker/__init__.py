"""What runs inside each Train worker: strategy, the user's model, reporting, stopping.

`rows` feeds it, `exact` makes the answer of many that of one, `checkpoints` saves it.
"""
