"""Studies that run the catalogue: one defence beside another."""
