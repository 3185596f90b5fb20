"""What runs inside each Train worker: strategy, shards, the user's model, reporting, stopping, checkpoints."""
