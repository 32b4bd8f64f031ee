/* The most probable class of every pixel of a map that is enlarged bilinearly. The enlarged map is never held: a row of
   the small map is widened once, two widened rows are mixed into a row of the large one, and of that only the largest
   class is kept. Sums are in the order of torch's own enlargement: columns first, then rows. */

#include <stdint.h>
#include <stdlib.h>

/* Which two rows or columns of the small map each one of the large map lies between, and the weight of the second. */
typedef struct {
    const int32_t *first, *second;
    const float *weight;
} places;

static void widen(int64_t width, const float *restrict from, places at, float *restrict to)
{
    const int32_t *first = at.first, *second = at.second;
    for (int64_t x = 0; x < width; x++)
        to[x] = from[first[x]] * (1 - at.weight[x]) + from[second[x]] * at.weight[x];
}

/* Mixes two widened rows of one class, and keeps the class where it is larger than all before; NaN is larger still. */
static void compete(int64_t width, int32_t class, const float *restrict above, const float *restrict below, float weight,
                    float *restrict best, int32_t *restrict found)
{
    for (int64_t x = 0; x < width; x++) {
        float value = above[x] * (1 - weight) + below[x] * weight;
        int32_t larger = !(value <= best[x]) & (best[x] == best[x]);
        best[x] = larger ? value : best[x];
        found[x] = larger ? class : found[x];
    }
}

/* Largest classes (H, W) of one map (classes, h, w). Returns 0, or -1 if there is no memory. */
int largest_classes(int64_t classes, int64_t h, int64_t w, int64_t H, int64_t W, const float *map,
                    const int32_t *rows_first, const int32_t *rows_second, const float *rows_weight,
                    const int32_t *columns_first, const int32_t *columns_second, const float *columns_weight,
                    int64_t *largest)
{
    const places columns = {columns_first, columns_second, columns_weight};
    float *widened = malloc(2 * classes * W * sizeof *widened), *best = malloc(W * sizeof *best);
    int32_t *found = malloc(W * sizeof *found);
    float *held[2] = {widened, widened + classes * W};
    int64_t row[2] = {-1, -1}; /* of the small map, that is held */
    int status = widened && best && found ? 0 : -1;
    for (int64_t y = 0; !status && y < H; y++) {
        const int64_t wanted[2] = {rows_first[y], rows_second[y]};
        if (row[1] == wanted[0]) {
            float *swap = held[0];
            held[0] = held[1], held[1] = swap;
            row[1] = row[0], row[0] = wanted[0];
        }
        for (int k = 0; k < 2; k++)
            if (row[k] != wanted[k]) {
                row[k] = wanted[k];
                for (int64_t c = 0; c < classes; c++)
                    widen(W, map + (c * h + row[k]) * w, columns, held[k] + c * W);
            }
        for (int64_t x = 0; x < W; x++) best[x] = -__builtin_inff(), found[x] = 0;
        for (int64_t c = 0; c < classes; c++)
            compete(W, (int32_t)c, held[0] + c * W, held[1] + c * W, rows_weight[y], best, found);
        for (int64_t x = 0; x < W; x++) largest[y * W + x] = found[x];
    }
    free(widened), free(best), free(found);
    return status;
}
