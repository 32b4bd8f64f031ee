/* The direction, of a few, that is nearest in angle to the vector of every pixel. */

#include <stdint.h>

enum { PIXELS = 512 }; /* of a strip, which stays in the cache while directions pass */

static void strip(int64_t number, int64_t pixels, int64_t plane, const float *restrict vectors,
                  const float *restrict directions, int64_t none, int64_t *restrict nearest)
{
    const float *restrict x = vectors, *restrict y = vectors + plane, *restrict z = vectors + 2 * plane;
    float best[PIXELS];
    int32_t found[PIXELS];
    for (int64_t i = 0; i < pixels; i++) best[i] = -__builtin_inff(), found[i] = 0;
    for (int32_t k = 0; k < number; k++) {
        const float *d = directions + 3 * k;
        for (int64_t i = 0; i < pixels; i++) {
            const float cosine = d[0] * x[i] + d[1] * y[i] + d[2] * z[i];
            const int32_t larger = cosine > best[i];
            best[i] = larger ? cosine : best[i];
            found[i] = larger ? k : found[i];
        }
    }
    for (int64_t i = 0; i < pixels; i++) {
        const float zero = (x[i] - x[i]) + (y[i] - y[i]) + (z[i] - z[i]); /* NaN if one of them is not finite */
        nearest[i] = zero == 0 && (x[i] != 0 || y[i] != 0 || z[i] != 0) ? found[i] : none;
    }
}

/* Numbers (images, plane) of the nearest of `number` directions (number, 3); `none` for a zero or not finite vector. */
int nearest_direction(int64_t thread, int64_t threads, int64_t images, int64_t number, int64_t plane, int64_t none,
                      const float *vectors, const float *directions, int64_t *nearest)
{
    for (int64_t image = thread; image < images; image += threads)
        for (int64_t at = 0; at < plane; at += PIXELS) {
            const int64_t pixels = plane - at < PIXELS ? plane - at : PIXELS;
            strip(number, pixels, plane, vectors + 3 * image * plane + at, directions, none,
                  nearest + image * plane + at);
        }
    return 0;
}
