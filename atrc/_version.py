"""The version that is installed."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("atrc")
except PackageNotFoundError:  # a checkout on the path, which was never installed
    __version__ = "0+unknown"
