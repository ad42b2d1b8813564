"""Language models that run on this machine: their weights, and the process that serves them."""
