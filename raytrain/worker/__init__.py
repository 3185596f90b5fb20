"""What runs inside each Ray Train worker: the strategy, the shards, the user's model, reporting, stopping, checkpoints."""
