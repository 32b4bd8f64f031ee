# windows.py
"""Problems whose answer is known for the kernels: how many of the cells under a kernel have a dot."""

from scipy.ndimage import uniform_filter

from atrc.data.planted import CONTENTS


def mean_over(height, width):
    def content(scenes, target, source):
        dots = scenes.dots[:, source].astype(float)
        return uniform_filter(dots, size=(height, width), axes=(-2, -1), mode="constant")

    return content


CONTENTS.register("row")(mean_over(1, 5))
CONTENTS.register("column")(mean_over(5, 1))
CONTENTS.register("square")(mean_over(3, 3))
