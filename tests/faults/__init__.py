"""The proofs: faults of the source, the network, the warehouse and the process, and what must hold all the same."""
