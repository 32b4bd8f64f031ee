"""What is chosen for: contexts, the ATRC module, networks, tasks, data, training, runs, and the command line."""

from atrc.distillation import ATRC, Supergraph

__all__ = ["ATRC", "Supergraph"]
