"""How fast the text stage is, beside what others do, and how long the worst bodies hold it. `make bench` runs it."""
