"""The parts that make distributions, sites and clusters of the stand-in."""
