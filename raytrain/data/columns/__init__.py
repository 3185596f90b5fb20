"""From Arrow columns to the arrays that Keras is fed."""
