/* The cross entropy of a map that is enlarged bilinearly, and its gradient by the small map. The enlarged map is never
   held: two rows of the small map are widened, mixed into a row of the large one, and what that row adds to the loss and
   to the gradients of the two widened rows is all that stays.

   Legend: maps are (images, C, h, w), labels (images, H, W). A run is the columns of the large map that lie between the
   same two columns of the small one. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Between which two rows or columns of the small map each one of the large map lies, and the weight of the second. */
typedef struct {
    const int32_t *first, *second;
    const float *weight;
} places;

typedef struct {
    int64_t C, h, w, H, W;
} sizes;

static void widen(const sizes *s, const float *map, int64_t row, places at, float *restrict to)
{
    for (int64_t c = 0; c < s->C; c++) {
        const float *restrict from = map + (c * s->h + row) * s->w;
        for (int64_t x = 0; x < s->W; x++)
            to[c * s->W + x] = from[at.first[x]] * (1 - at.weight[x]) + from[at.second[x]] * at.weight[x];
    }
}

/* The transpose of `widen`: adds the gradient of a widened row to that of the small map, and clears it. */
static void narrow(const sizes *s, float *map, int64_t row, places at, float *restrict from)
{
    for (int64_t c = 0; c < s->C; c++) {
        float *to = map + (c * s->h + row) * s->w;
        const float *line = from + c * s->W;
        for (int64_t x = 0; x < s->W;) {
            const int32_t first = at.first[x], second = at.second[x];
            float one = 0, two = 0;
            for (; x < s->W && at.first[x] == first; x++) {
                one += line[x] * (1 - at.weight[x]);
                two += line[x] * at.weight[x];
            }
            to[first] += one;
            to[second] += two;
        }
    }
    memset(from, 0, s->C * s->W * sizeof *from);
}

/* exp(x) for x <= 0: 2^n exp(r) with |r| <= ln(2) / 2, ln(2) in two parts to keep r exact. NaN stays NaN. */
static inline float exponential(float x)
{
    x = x < -87 ? -87 : x;
    const float n = rintf(x * 1.44269504f), r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float series = 1.98412698e-4f;
    series = series * r + 1.38888889e-3f;
    series = series * r + 8.33333333e-3f;
    series = series * r + 4.16666667e-2f;
    series = series * r + 1.66666667e-1f;
    series = series * r + 0.5f;
    series = series * r + 1;
    series = series * r + 1;
    union {
        int32_t bits;
        float power;
    } two = {((int32_t)n + 127) << 23};
    return series * two.power;
}

/* Logits of a row, and their largest. */
static void mix(const sizes *s, const float *restrict above, const float *restrict below, float weight,
                float *restrict logits, float *restrict top)
{
    for (int64_t x = 0; x < s->W; x++) top[x] = -INFINITY;
    for (int64_t c = 0; c < s->C; c++)
        for (int64_t x = 0; x < s->W; x++) {
            const float value = above[c * s->W + x] * (1 - weight) + below[c * s->W + x] * weight;
            logits[c * s->W + x] = value;
            top[x] = value > top[x] ? value : top[x];
        }
}

/* Turns logits into their exponentials, less the largest, and adds these up. */
static void exponentiate(const sizes *s, float *restrict logits, const float *restrict top, float *restrict sum)
{
    memset(sum, 0, s->W * sizeof *sum);
    for (int64_t c = 0; c < s->C; c++)
        for (int64_t x = 0; x < s->W; x++) {
            const float value = exponential(logits[c * s->W + x] - top[x]);
            logits[c * s->W + x] = value;
            sum[x] += value;
        }
}

/* Adds factor * exponentials to the gradients of both widened rows. */
static void spread(const sizes *s, const float *restrict exponentials, const float *restrict factor, float weight,
                   float *restrict above, float *restrict below)
{
    for (int64_t c = 0; c < s->C; c++)
        for (int64_t x = 0; x < s->W; x++) {
            const float slope = exponentials[c * s->W + x] * factor[x];
            above[c * s->W + x] += slope * (1 - weight);
            below[c * s->W + x] += slope * weight;
        }
}

/* For every image the sum over its pixels of weights[label] * cross entropy; pixels of the label `ignore` add nothing.
   `weights` may be null, for ones, and `slopes`, if no gradient is wanted. `wrong` becomes 1 where a label is no class.
   Returns 0, or -1 if there is no memory. */
int enlarged_cross_entropy(int64_t thread, int64_t threads, int64_t images, int64_t C, int64_t h, int64_t w, int64_t H,
                           int64_t W, int64_t ignore, const float *maps, const int64_t *labels, const float *weights,
                           const int32_t *rows_first, const int32_t *rows_second, const float *rows_weight,
                           const int32_t *columns_first, const int32_t *columns_second, const float *columns_weight,
                           double *totals, float *slopes, int64_t *wrong)
{
    const sizes size = {C, h, w, H, W}, *s = &size;
    const places columns = {columns_first, columns_second, columns_weight};
    const int64_t row = C * W;
    float *room = calloc(5 * row + 4 * W, sizeof *room);
    if (!room) return -1;
    float *logits = room + 4 * row, *top = room + 5 * row, *sum = top + W, *factor = sum + W, *picked = factor + W;
    for (int64_t image = thread; image < images; image += threads) {
        const float *map = maps + image * C * h * w;
        float *slope = slopes ? slopes + image * C * h * w : NULL;
        float *held[2] = {room, room + row}, *grads[2] = {room + 2 * row, room + 3 * row};
        int64_t at[2] = {-1, -1}; /* rows of the small map that are held */
        double total = 0;
        if (slope) memset(slope, 0, C * h * w * sizeof *slope);
        wrong[image] = 0;
        for (int64_t y = 0; y < H; y++) {
            const int64_t wanted[2] = {rows_first[y], rows_second[y]};
            const int64_t *label = labels + (image * H + y) * W;
            if (wanted[0] == at[1] && at[0] != at[1]) { /* the lower row becomes the upper one */
                if (slope) narrow(s, slope, at[0], columns, grads[0]);
                float *rows = held[0], *slopes_of_rows = grads[0];
                held[0] = held[1], held[1] = rows;
                grads[0] = grads[1], grads[1] = slopes_of_rows;
                at[0] = at[1], at[1] = -1;
            }
            for (int k = 0; k < 2; k++)
                if (wanted[k] != at[k]) {
                    if (slope && at[k] >= 0) narrow(s, slope, at[k], columns, grads[k]);
                    widen(s, map, wanted[k], columns, held[k]);
                    at[k] = wanted[k];
                }
            mix(s, held[0], held[1], rows_weight[y], logits, top);
            for (int64_t x = 0; x < W; x++) {
                const int64_t class = label[x];
                if (class != ignore && (class < 0 || class >= C)) wrong[image] = 1;
                picked[x] = class >= 0 && class < C && class != ignore ? logits[class * W + x] : 0;
            }
            exponentiate(s, logits, top, sum);
            for (int64_t x = 0; x < W; x++) {
                const int64_t class = label[x];
                const int counts = class >= 0 && class < C && class != ignore;
                const float weight = counts ? weights ? weights[class] : 1 : 0;
                factor[x] = weight / sum[x];
                if (!counts) continue;
                total += weight * (double)(logf(sum[x]) + top[x] - picked[x]);
                if (slope) {
                    grads[0][class * W + x] -= weight * (1 - rows_weight[y]);
                    grads[1][class * W + x] -= weight * rows_weight[y];
                }
            }
            if (slope) spread(s, logits, factor, rows_weight[y], grads[0], grads[1]);
        }
        for (int k = 0; slope && k < 2; k++)
            if (at[k] >= 0) narrow(s, slope, at[k], columns, grads[k]);
        totals[image] = total;
    }
    free(room);
    return 0;
}
