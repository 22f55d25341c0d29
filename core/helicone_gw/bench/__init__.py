"""An honest benchmark: a provider and a load of known cost, CPU of the whole process tree, peers in the same run."""
