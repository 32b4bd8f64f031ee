/* The counts of the boundary measure for one image: at every threshold, thinning and a maximum one-to-one matching.

   All maps have a margin as wide as the tolerance, so that no neighbour is looked up outside them; a pixel is its index
   in such a map. Which truth pixels are near a pixel does not depend on the threshold: it is listed once, the nearest
   first. A matching starts from that of the threshold before, for neighbouring thresholds give nearly the same map,
   and grows along augmenting paths (Pothen and Fan, ACM TOMS 16, 1990: depth first with lookahead, in phases that visit
   a truth pixel once) until there is none, when it is a maximum one. Thinning works on bits, 64 pixels in a word. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int32_t pixel;
#define NOBODY (-1)

/* One annotator's ground truth, and whom its pixels are matched to. */
typedef struct {
    int64_t count;
    pixel *truth;   /* its pixels */
    int64_t *start; /* of a pixel's run in near; one more than there are pixels */
    pixel *near;    /* truth pixels within the tolerance */
    pixel *owner;   /* of a truth pixel: the predicted pixel that has it */
    pixel *owned;   /* of a predicted pixel: the truth pixel that it has */
    int32_t *seen;  /* of a truth pixel: the phase that has visited it */
    int32_t phase;
} annotator;

/* What all annotators share. */
typedef struct {
    int64_t size;
    int64_t *cursor, *look; /* how far a predicted pixel's run was followed in this phase, and searched for free ones */
    int32_t *entered;       /* the phase in which its cursor was set back */
    pixel *stack;
    pixel *predicted, *free; /* predicted pixels; those that no truth pixel has */
    uint8_t *alive;          /* whether a pixel is predicted */
} workspace;

static int list_near(annotator *a, const uint8_t *truth, int64_t size, const int64_t *offsets, int64_t n)
{
    pixel *at = a->truth = malloc(size * sizeof *at);
    int64_t *fill = malloc((size + 1) * sizeof *fill);
    a->start = calloc(size + 1, sizeof *a->start);
    a->owner = malloc(size * sizeof *a->owner);
    a->owned = malloc(size * sizeof *a->owned);
    a->seen = calloc(size, sizeof *a->seen);
    a->count = 0;
    a->phase = 0;
    if (!at || !fill || !a->start || !a->owner || !a->owned || !a->seen) {
        free(fill);
        return -1;
    }
    for (int64_t i = 0; i < size; i++) {
        a->owner[i] = a->owned[i] = NOBODY;
        if (truth[i]) at[a->count++] = (pixel)i;
    }
    for (int64_t k = 0; k < n; k++)
        for (int64_t j = 0; j < a->count; j++) a->start[at[j] - offsets[k] + 1]++;
    for (int64_t i = 0; i < size; i++) a->start[i + 1] += a->start[i];
    memcpy(fill, a->start, (size + 1) * sizeof *fill);
    a->near = malloc((a->start[size] + 1) * sizeof *a->near);
    if (a->near)
        for (int64_t k = 0; k < n; k++)
            for (int64_t j = 0; j < a->count; j++) a->near[fill[at[j] - offsets[k]]++] = at[j];
    free(fill);
    return a->near ? 0 : -1;
}

static void release(annotator *a)
{
    free(a->truth), free(a->start), free(a->near), free(a->owner), free(a->owned), free(a->seen);
}

/* Whether a path from a free predicted pixel ends at a free truth pixel; if so, it is flipped. */
static int augment(annotator *a, workspace *w, pixel root)
{
    int64_t top = 0;
    w->stack[0] = root;
    while (top >= 0) {
        pixel p = w->stack[top], next = NOBODY;
        int64_t end = a->start[p + 1];
        if (w->entered[p] != a->phase) w->entered[p] = a->phase, w->cursor[p] = a->start[p];
        while (w->look[p] < end) {
            pixel t = a->near[w->look[p]++];
            if (a->owner[t] == NOBODY) {
                a->seen[t] = a->phase;
                for (; top >= 0; top--) {
                    pixel had = a->owned[w->stack[top]];
                    a->owned[w->stack[top]] = t, a->owner[t] = w->stack[top], t = had;
                }
                return 1;
            }
        }
        while (w->cursor[p] < end && next == NOBODY) {
            pixel t = a->near[w->cursor[p]++];
            if (a->seen[t] != a->phase) a->seen[t] = a->phase, next = a->owner[t];
        }
        if (next == NOBODY) top--;
        else w->stack[++top] = next;
    }
    return 0;
}

/* Gives up what pixels own that are no longer predicted. */
static void forget(annotator *a, const workspace *w)
{
    for (int64_t j = 0; j < a->count; j++) {
        pixel p = a->owner[a->truth[j]];
        if (p != NOBODY && !w->alive[p]) a->owner[a->truth[j]] = a->owned[p] = NOBODY;
    }
}

/* Grows what is left of the last matching into a maximum one for this prediction; its size. */
static int64_t match(annotator *a, workspace *w, int64_t predicted)
{
    int64_t matched = 0, left = 0;
    forget(a, w);
    for (int64_t j = 0; j < predicted; j++) {
        pixel p = w->predicted[j];
        w->look[p] = a->start[p];
        w->entered[p] = 0;
        if (a->owned[p] != NOBODY) matched++;
        else if (a->start[p] < a->start[p + 1]) w->free[left++] = p;
    }
    for (int64_t found = 1; found && left;) {
        int64_t kept = 0;
        a->phase++;
        found = 0;
        for (int64_t j = 0; j < left; j++) {
            if (augment(a, w, w->free[j])) found++;
            else w->free[kept++] = w->free[j];
        }
        left = kept;
        matched += found;
    }
    return matched;
}

/* A map of bits, 64 pixels to a word, rows of `stride` words; one word of room before and behind. */
typedef struct {
    int64_t rows, width, stride;
    uint64_t *words, *spare; /* the map, and room for the next one */
} bitmap;

/* Sets the pixels that are not below a threshold; how many there are. */
static int64_t pack(bitmap *map, const double *prediction, double threshold)
{
    int64_t set = 0;
    for (int64_t row = 0; row < map->rows; row++)
        for (int64_t k = 0; k < map->stride; k++) {
            const double *at = prediction + row * map->width + 64 * k;
            int64_t bits = map->width - 64 * k < 64 ? map->width - 64 * k : 64;
            uint64_t word = 0;
            for (int64_t bit = 0; bit < bits; bit++) word |= (uint64_t)(at[bit] >= threshold) << bit;
            map->words[row * map->stride + k] = word;
            set += __builtin_popcountll(word);
        }
    return set;
}

/* One of the two passes of Guo and Hall (CACM 32, 1989) over 64 pixels at once: x1 is the neighbour to the right, the
   others follow counter-clockwise. A pixel goes that has one crossing (G1), two or three neighbours counted in pairs
   (G2), and the side that the pass takes (G3). What changed, or 0. */
static inline uint64_t pass(const uint64_t *restrict old, uint64_t *restrict new, int64_t words, int64_t stride,
                            int second)
{
    uint64_t changed = 0;
    for (int64_t k = stride; k < words - stride; k++) {
        const uint64_t *m = old + k, *u = m - stride, *d = m + stride;
        uint64_t x1 = m[0] >> 1 | m[1] << 63, x5 = m[0] << 1 | m[-1] >> 63;
        uint64_t x2 = u[0] >> 1 | u[1] << 63, x4 = u[0] << 1 | u[-1] >> 63, x3 = u[0];
        uint64_t x8 = d[0] >> 1 | d[1] << 63, x6 = d[0] << 1 | d[-1] >> 63, x7 = d[0];
        uint64_t p1 = x1 | x2, p2 = x3 | x4, p3 = x5 | x6, p4 = x7 | x8;
        uint64_t q1 = x2 | x3, q2 = x4 | x5, q3 = x6 | x7, q4 = x8 | x1;
        uint64_t a = ~x1 & q1, b = ~x3 & q2, c = ~x5 & q3, e = ~x7 & q4;
        uint64_t one = ((a ^ b) & ~(c | e)) | ((c ^ e) & ~(a | b));
        uint64_t two = ((p1 & p2) | (p3 & p4) | ((p1 | p2) & (p3 | p4)))
                     & ((q1 & q2) | (q3 & q4) | ((q1 | q2) & (q3 | q4)));
        uint64_t four = p1 & p2 & p3 & p4 & q1 & q2 & q3 & q4;
        uint64_t side = second ? (x6 | x7 | ~x4) & x5 : (x2 | x3 | ~x8) & x1;
        uint64_t gone = m[0] & one & two & ~four & ~side;
        new[k] = m[0] & ~gone;
        changed |= gone;
    }
    return changed;
}

/* Thins a map until neither pass changes it, as `atrc.metrics._thinning` does. */
static void thin(bitmap *map)
{
    int64_t words = map->rows * map->stride;
    for (int which = 0, quiet = 0; quiet < 2; which = !which) {
        uint64_t changed = which ? pass(map->words, map->spare, words, map->stride, 1)
                                 : pass(map->words, map->spare, words, map->stride, 0);
        uint64_t *swap = map->words;
        map->words = map->spare, map->spare = swap;
        quiet = changed ? 0 : quiet + 1;
    }
}

/* Counts at T rising thresholds, (4, T): predicted pixels that some annotator matches, predicted ones, truth pixels
   matched and truth pixels, the last two summed over annotators.

   All maps are (height, width) with a margin, in which the prediction is below every threshold. Returns 0, or -1 if
   there is no memory. */
int count_boundaries(int64_t height, int64_t width, int64_t T, int64_t annotators, int64_t n, const double *prediction,
                     const double *thresholds, const uint8_t *truths, const uint8_t *valid, const int64_t *offsets,
                     int64_t *counts)
{
    const int64_t size = height * width, stride = (width + 63) / 64;
    int status = 0;
    annotator *all = calloc(annotators, sizeof *all);
    uint8_t *alive = calloc(size, sizeof *alive);
    int32_t *words = malloc(4 * size * sizeof *words);
    int64_t *runs = malloc(2 * size * sizeof *runs);
    uint64_t *bits = calloc(2 * (height * stride + 2), sizeof *bits);
    if (!all || !alive || !words || !runs || !bits) status = -1;
    for (int64_t i = 0; !status && i < annotators; i++) status = list_near(all + i, truths + i * size, size, offsets, n);
    if (!status) {
        workspace w = {size, runs, runs + size, words, words + size, words + 2 * size, words + 3 * size, alive};
        bitmap map = {height, width, stride, bits + 1, bits + height * stride + 3};
        int64_t truth = 0, before = -1, predicted = 0;
        for (int64_t i = 0; i < annotators; i++) truth += all[i].count;
        for (int64_t k = 0; k < T; k++) {
            int64_t matched = 0, hits = 0, set = pack(&map, prediction, thresholds[k]);
            counts[3 * T + k] = truth;
            if (set == before) { /* binary maps of rising thresholds are nested */
                for (int64_t row = 0; row < 3; row++) counts[row * T + k] = counts[row * T + k - 1];
                continue;
            }
            before = set;
            thin(&map);
            for (int64_t j = 0; j < predicted; j++) alive[w.predicted[j]] = 0;
            predicted = 0;
            for (int64_t word = 0; word < height * stride; word++)
                for (uint64_t left = map.words[word]; left; left &= left - 1) {
                    pixel p = (pixel)(word / stride * width + word % stride * 64 + __builtin_ctzll(left));
                    if (valid[p]) alive[p] = 1, w.predicted[predicted++] = p;
                }
            for (int64_t i = 0; i < annotators; i++) matched += match(all + i, &w, predicted);
            for (int64_t j = 0; j < predicted; j++) {
                int hit = 0;
                for (int64_t i = 0; i < annotators && !hit; i++) hit = all[i].owned[w.predicted[j]] != NOBODY;
                hits += hit;
            }
            counts[k] = hits, counts[T + k] = predicted, counts[2 * T + k] = matched;
        }
    }
    for (int64_t i = 0; all && i < annotators; i++) release(all + i);
    free(all), free(alive), free(words), free(runs), free(bits);
    return status;
}
