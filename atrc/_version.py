"""The installed version of the package."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("atrc")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"
