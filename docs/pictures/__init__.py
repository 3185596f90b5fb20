"""The pictures of the documentation, and what takes them anew."""
