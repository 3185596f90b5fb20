"""All runs of a storage as pages of one small server on this machine."""
