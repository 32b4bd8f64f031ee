/* The sum of the angles between two maps of vectors, in double precision and without a call per pixel.

   The angle of vectors p and t is atan2(|p x t|, p . t): it keeps full precision near 0 and half a turn, where the arc
   cosine of the inner product loses half of its digits, and it needs no unit vectors. */

#include <stdint.h>

enum { BLOCK = 64, TERMS = 14 };

static const double EIGHTH = 0.785398163397448309616, QUARTER = 1.57079632679489661923, HALF = 3.14159265358979323846;
static const double BEND = 0.414213562373095048802; /* tan of a sixteenth of a turn */

/* atan2(across, along) for across >= 0, in 0 .. half a turn; a quarter where both are 0. The arc tangent is Taylor's
   series up to tan(pi / 8), whose 14 terms leave a relative error of 1e-12. */
static inline double angle(double across, double along)
{
    double size = along < 0 ? -along : along;
    double small = across < size ? across : size, large = across < size ? size : across;
    double ratio = large == 0 ? 1 : small / large;
    double turned = (ratio - 1) / (ratio + 1);
    double x = ratio > BEND ? turned : ratio, square = x * x, sum = 0;
    for (int term = TERMS - 1; term >= 0; term--) sum = (term % 2 ? -1. : 1.) / (2 * term + 1) + square * sum;
    double turn = x * sum + (ratio > BEND ? EIGHTH : 0);
    turn = across < size ? turn : QUARTER - turn;
    turn = along < 0 ? HALF - turn : turn;
    return large == 0 ? QUARTER : turn;
}

/* Adds up the angles of one image, in radians, over the pixels whose true vector is finite and not zero; how many these
   are. Maps are (3, pixels). */
int64_t sum_of_angles(int64_t pixels, const float *guess, const float *truth, double *sum)
{
    const float *gx = guess, *gy = gx + pixels, *gz = gy + pixels, *tx = truth, *ty = tx + pixels, *tz = ty + pixels;
    double sums[BLOCK] = {0};
    int64_t counts[BLOCK] = {0}, counted = 0;
    for (int64_t start = 0; start < pixels; start += BLOCK) {
        int64_t end = pixels - start < BLOCK ? pixels - start : BLOCK;
        for (int64_t i = 0; i < end; i++) {
            double a = gx[start + i], b = gy[start + i], c = gz[start + i];
            double u = tx[start + i], v = ty[start + i], w = tz[start + i];
            double x = b * w - c * v, y = c * u - a * w, z = a * v - b * u;
            double length = u * u + v * v + w * w; /* of floats: neither overflows nor vanishes */
            double found = angle(__builtin_sqrt(x * x + y * y + z * z), a * u + b * v + c * w);
            int64_t valid = (length > 0) & (length < __builtin_inf());
            sums[i] += valid ? found : 0;
            counts[i] += valid;
        }
    }
    *sum = 0;
    for (int i = 0; i < BLOCK; i++) *sum += sums[i], counted += counts[i];
    return counted;
}
