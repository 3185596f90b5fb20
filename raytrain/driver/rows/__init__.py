"""What becomes of the rows that a source yields: columns as arrays, splits, packed blocks, and who is dealt which."""
