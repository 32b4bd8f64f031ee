"""Necks, which stand between backbone and heads: decoders in which tasks exchange features at every scale."""

from atrc.necks._base import NECKS, Neck, Necked
from atrc.necks._fpm import FPM, Propagation
from atrc.necks._mti_net import MTINet

__all__ = ["FPM", "NECKS", "MTINet", "Neck", "Necked", "Propagation"]
