"""Any rows anywhere, made ready to be trained on. Knows no driver and no worker."""
