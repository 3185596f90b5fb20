"""Each run proves, before its first epoch, that its workers give the answer of one process."""
