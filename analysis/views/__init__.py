"""Views: how the analysis treats searches of a kind of space. A space without a view of its own has the general one.

A user's view is registered beside their space, for instance in the same plugin file::

    from analysis.figures import Words
    from analysis.views import VIEWS, SpaceView

    @VIEWS.register("kernels")
    class KernelsView(SpaceView):
        space_type = Kernels
        words = Words("stage", "Kernel")
"""

from collections.abc import Iterable

from analysis.views._base import VIEWS, SpaceView
from analysis.views._bmtas import BMTASView
from analysis.views._cp import CPView
from searchspace import SearchSpace, best_fit

__all__ = ["VIEWS", "BMTASView", "CPView", "SpaceView", "shared_view", "view_of"]


def view_of(space: SearchSpace | None) -> SpaceView:
    """The view that fits a space best (see `searchspace.best_fit`); the general one for None, an unknown space."""
    fit = None if space is None else best_fit(VIEWS, space)
    return SpaceView() if fit is None else fit()


def shared_view(spaces: Iterable[SearchSpace | None]) -> SpaceView:
    """The view for a figure of the shares of options in several spaces.

    It is theirs if all of them have one and the same, and otherwise the general one. Unknown spaces (None) and those
    whose views count no shares have no say.
    """
    views = {type(view): view for space in spaces if space is not None and (view := view_of(space)).shares}
    return next(iter(views.values())) if len(views) == 1 else SpaceView()
