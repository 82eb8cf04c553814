"""The composition root: builds everything, starts the named tasks, stops them."""
