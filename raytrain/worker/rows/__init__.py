"""How rows get from the driver to Keras: what a shard is, the tiers they are kept in, and the feed of batches."""
