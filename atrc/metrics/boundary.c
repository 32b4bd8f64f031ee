/* The counts of the boundary measure for one image: at every threshold, thinning and a maximum one-to-one matching.

   All maps have a margin as wide as the tolerance, so that no neighbour is looked up outside them; a pixel is its index
   in such a map. Which truth pixels are near a pixel does not depend on the threshold: it is listed once, the nearest
   first. A matching starts from that of the threshold before, for neighbouring thresholds give nearly the same map,
   and grows along augmenting paths (Pothen and Fan, ACM TOMS 16, 1990: depth first with lookahead, in phases that visit
   a truth pixel once) until there is none, when it is a maximum one. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int32_t pixel;
#define NOBODY (-1)

/* One annotator's ground truth, and whom its pixels are matched to. */
typedef struct {
    int64_t count;
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
    pixel *predicted, *free;
} workspace;

static int list_near(annotator *a, const uint8_t *truth, int64_t size, const int64_t *offsets, int64_t n)
{
    pixel *at = malloc(size * sizeof *at);
    int64_t *fill = malloc((size + 1) * sizeof *fill);
    a->start = calloc(size + 1, sizeof *a->start);
    a->owner = malloc(size * sizeof *a->owner);
    a->owned = malloc(size * sizeof *a->owned);
    a->seen = calloc(size, sizeof *a->seen);
    a->count = 0;
    a->phase = 0;
    if (!at || !fill || !a->start || !a->owner || !a->owned || !a->seen) {
        free(at), free(fill);
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
    free(at), free(fill);
    return a->near ? 0 : -1;
}

static void release(annotator *a)
{
    free(a->start), free(a->near), free(a->owner), free(a->owned), free(a->seen);
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

/* Grows what is left of the last matching into a maximum one for this prediction; its size. */
static int64_t match(annotator *a, workspace *w, const uint8_t *prediction, int64_t predicted)
{
    int64_t matched = 0, left = 0;
    for (int64_t i = 0; i < w->size; i++)
        if (a->owned[i] != NOBODY && !prediction[i]) a->owner[a->owned[i]] = NOBODY, a->owned[i] = NOBODY;
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

/* Thins a map in place, as `atrc.metrics._thinning` does: a pixel is tested again only after a neighbour went. */
static void thin(uint8_t *alive, uint8_t *code, int32_t *queued, pixel *lists[3], int64_t size, int64_t width,
                 const uint8_t *removable)
{
    const int64_t steps[8] = {1, 1 - width, -width, -1 - width, -1, width - 1, width, width + 1};
    int64_t counts[3] = {0, 0, 0};
    int recent = 0, older = 1, next = 2;
    int32_t pass = 0;
    memset(code, 0, size), memset(queued, 0, size * sizeof *queued);
    for (int64_t i = width + 1; i < size - width - 1; i++) {
        if (!alive[i]) continue;
        for (int bit = 0; bit < 8; bit++) code[i] |= (uint8_t)((alive[i + steps[bit]] != 0) << bit);
        if (code[i] != 255) lists[recent][counts[recent]++] = (pixel)i;
    }
    while (counts[recent] || counts[older]) {
        const uint8_t *table = removable + 256 * (pass++ & 1);
        int64_t dead = 0;
        pixel *gone = lists[next];
        for (int which = 0; which < 2; which++) {
            int list = which ? older : recent;
            for (int64_t j = 0; j < counts[list]; j++) {
                pixel p = lists[list][j];
                if (alive[p] && table[code[p]]) alive[p] = 0, gone[dead++] = p;
            }
        }
        /* the oldest list makes room for what is touched now */
        pixel *touched = lists[older];
        int64_t count = 0;
        for (int64_t j = 0; j < dead; j++)
            for (int bit = 0; bit < 8; bit++) {
                pixel p = (pixel)(gone[j] + steps[bit]);
                code[gone[j] - steps[bit]] &= (uint8_t)~(1u << bit);
                if (alive[p] && queued[p] != pass) queued[p] = pass, touched[count++] = p;
            }
        counts[older] = count;
        int swap = older;
        older = recent, recent = swap;
    }
}

/* Counts at T rising thresholds, (4, T): predicted pixels that some annotator matches, predicted ones, truth pixels
   matched and truth pixels, the last two summed over annotators.

   All maps are (height, width) with a margin, in which the prediction is below every threshold. Returns 0, or -1 if
   there is no memory. */
int count_boundaries(int64_t height, int64_t width, int64_t T, int64_t annotators, int64_t n, const double *prediction,
                     const double *thresholds, const uint8_t *truths, const uint8_t *valid, const int64_t *offsets,
                     const uint8_t *removable, int64_t *counts)
{
    const int64_t size = height * width;
    int status = 0;
    annotator *all = calloc(annotators, sizeof *all);
    uint8_t *bytes = malloc(3 * size);
    int32_t *words = malloc(4 * size * sizeof *words);
    int64_t *runs = malloc(2 * size * sizeof *runs);
    if (!all || !bytes || !words || !runs) status = -1;
    for (int64_t i = 0; !status && i < annotators; i++) status = list_near(all + i, truths + i * size, size, offsets, n);
    if (!status) {
        uint8_t *alive = bytes, *code = bytes + size, *hit = bytes + 2 * size;
        pixel *lists[3] = {words, words + size, words + 2 * size};
        /* thinning is over when matching begins */
        workspace w = {size, runs, runs + size, words, words + size, words + 2 * size, words + 3 * size};
        int64_t truth = 0, before = -1;
        for (int64_t i = 0; i < annotators; i++) truth += all[i].count;
        for (int64_t k = 0; k < T; k++) {
            int64_t set = 0, predicted = 0, matched = 0, hits = 0;
            for (int64_t i = 0; i < size; i++) set += alive[i] = prediction[i] >= thresholds[k];
            counts[3 * T + k] = truth;
            if (set == before) { /* binary maps of rising thresholds are nested */
                for (int64_t row = 0; row < 3; row++) counts[row * T + k] = counts[row * T + k - 1];
                continue;
            }
            before = set;
            thin(alive, code, words + 3 * size, lists, size, width, removable);
            for (int64_t i = 0; i < size; i++)
                if ((alive[i] = alive[i] && valid[i])) w.predicted[predicted++] = (pixel)i;
            memset(hit, 0, size);
            for (int64_t i = 0; i < annotators; i++) {
                matched += match(all + i, &w, alive, predicted);
                for (int64_t j = 0; j < predicted; j++) hit[w.predicted[j]] |= all[i].owned[w.predicted[j]] != NOBODY;
            }
            for (int64_t j = 0; j < predicted; j++) hits += hit[w.predicted[j]];
            counts[k] = hits, counts[T + k] = predicted, counts[2 * T + k] = matched;
        }
    }
    for (int64_t i = 0; all && i < annotators; i++) release(all + i);
    free(all), free(bytes), free(words), free(runs);
    return status;
}
