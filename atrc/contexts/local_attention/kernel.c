/* Local attention on a CPU, a row of queries at a time, without ever holding more than that row's similarities.

   Legend: images are (B, channels, H, W) as torch has them; d channels of queries and keys, e of values; R = window / 2.
   A band is a run of image rows that one thread computes. The key rows that a row of queries sees lie in a ring of
   `window` slots, whose order does not matter: a sum over neighbours is a sum over slots and columns dx. When the
   queries move down a row, the topmost key row leaves its slot to the next one.

   Similarities and weights are kept where their *keys* are: grid[slot][dx][x] belongs to the key at column x and the
   query at column x - dx + R. So the products below read all they need at the same x, but for the few vectors that
   are shifted by dx, and each of those serves a whole block of sums that stay in registers.

   The file includes itself once per type. */

#ifndef T

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define T float
#define I int32_t
#include "kernel.c"
#undef T
#undef I
#define T double
#define I int64_t
#include "kernel.c"

#else

#include "products.h"

/* Copies an image row into its slot; a row outside the image is zero. */
static void NAME(enter)(const Shape *s, Ring ring, const T *image, int64_t row) {
    T *to = ring.rows + NAME(slot_of)(s, row) * ring.slot;
    if (!NAME(inside)(s, row)) {
        memset(to, 0, ring.slot * sizeof(T));
        return;
    }
    for (int c = 0; c < ring.channels; c++) {
        const T *from = image + (c * s->H + row) * s->width;
        NAME(expect)(s, from);
        memcpy(to + c * s->line, from, s->width * sizeof(T));
    }
}

/* Adds a slot to an image row, and clears it. */
static void NAME(leave)(const Shape *s, Ring ring, T *image, int64_t row) {
    T *from = ring.rows + NAME(slot_of)(s, row) * ring.slot;
    if (NAME(inside)(s, row))
        for (int c = 0; c < ring.channels; c++) {
            T *to = image + (c * s->H + row) * s->width;
            for (int64_t x = 0; x < s->width; x++) to[x] += from[c * s->line + x];
        }
    memset(from, 0, ring.slot * sizeof(T));
}

/* A row of queries or gradients, with margins that stay zero. */
static void NAME(own)(const Shape *s, int channels, const T *image, int64_t row, T scale, T *to) {
    for (int c = 0; c < channels; c++) {
        const T *from = image + (c * s->H + row) * s->width;
        NAME(expect)(s, from);
        for (int64_t x = 0; x < s->width; x++) to[c * s->wide + s->margin + x] = from[x] * scale;
    }
}

/* Similarities to neighbours outside the image: none, or 0. */
static void NAME(border)(const Shape *s, int64_t y, T *grid) {
    const T outside = s->masks ? -(T)INFINITY : 0;
    for (int64_t row = y - s->radius; row <= y + s->radius; row++)
        for (int dx = 0; dx < s->window; dx++) {
            T *line = grid + NAME(slot_of)(s, row) * s->plane + dx * s->wide;
            const int64_t end = s->padded + 2 * s->margin, from = NAME(inside)(s, row) ? s->margin : end;
            for (int64_t x = 0; x < from; x++) line[x] = outside;
            for (int64_t x = s->margin + s->width; x < end; x++) line[x] = outside;
        }
}

/* Zeroed room, cut off a block from its front. */
typedef struct {
    T *next;
    int64_t used;
} NAME(Room);
#define Room NAME(Room)

static T *NAME(take)(Room *room, int64_t count) {
    T *taken = room->next ? room->next + room->used : NULL;
    room->used += NAME(vectors)(count) * LANES;
    return taken;
}

static Ring NAME(ring)(Room *room, const Shape *s, int channels) {
    Ring ring = {.channels = channels, .slot = NAME(stride)(channels * s->line)};
    ring.rows = NAME(take)(room, s->window * ring.slot);
    return ring;
}

/* All buffers of one thread. */
typedef struct {
    Ring keys, values, dkeys, dvalues;
    T *queries, *grads, *grid, *slopes, *shifted, *factor, *common;
} NAME(Desk);
#define Desk NAME(Desk)

static Desk NAME(desk)(Room *room, const Shape *s, int d, int e, int backward) {
    const int64_t grid = s->window * s->plane;
    Desk desk = {
        .keys = NAME(ring)(room, s, d),
        .values = NAME(ring)(room, s, e),
        .queries = NAME(take)(room, d * s->wide),
        .grid = NAME(take)(room, grid),
        .shifted = NAME(take)(room, 2 * TRIPLE * s->window * s->wide),
        .factor = NAME(take)(room, s->wide),
    };
    if (backward) {
        desk.dkeys = NAME(ring)(room, s, d);
        desk.dvalues = NAME(ring)(room, s, e);
        desk.grads = NAME(take)(room, e * s->wide);
        desk.slopes = NAME(take)(room, grid);
        desk.common = NAME(take)(room, s->wide);
    }
    return desk;
}

/* Zeroed memory for a desk; NULL if there is none. The caller frees it. */
static T *NAME(furnish)(Desk *desk, const Shape *s, int d, int e, int backward) {
    Room room = {0};
    NAME(desk)(&room, s, d, e, backward);
    void *block;
    if (posix_memalign(&block, 64, room.used * sizeof(T))) return NULL;
    memset(block, 0, room.used * sizeof(T));
    room = (Room){.next = block};
    *desk = NAME(desk)(&room, s, d, e, backward);
    return block;
}

/* The next row of keys and values. */
static void NAME(see)(const Shape *s, const Desk *desk, const T *keys, const T *values, int64_t row) {
    NAME(enter)(s, desk->keys, keys, row);
    NAME(enter)(s, desk->values, values, row);
}

/* Adds the gradients of a row that no query will see any more. */
static void NAME(release)(const Shape *s, const Desk *desk, T *dkeys, T *dvalues, int64_t row) {
    NAME(leave)(s, desk->dkeys, dkeys, row);
    NAME(leave)(s, desk->dvalues, dvalues, row);
}

/* Queries of image b attend to the keys of image of[b], a permutation, or of image b if there is none.

   Outputs of the bands first, first + step, ... of all images, and the logarithm of their softmax's denominator,
   (B, H, W). 0, or -1 without memory. */
int NAME(forward)(
    int64_t first, int64_t step, int64_t images, int d, int e, int window, int masks, int64_t H, int64_t width,
    int64_t band, T scale, const int64_t *of, const T *q, const T *k, const T *v, T *out, T *log_sum) {
    const Shape shape = NAME(shape)(window, masks, H, width), *s = &shape;
    Desk desk;
    T *block = NAME(furnish)(&desk, s, d, e, 0);
    if (!block) return -1;
    const int64_t bands = (H + band - 1) / band, area = H * width, R = s->radius;
    for (int64_t task = first; task < images * bands; task += step) {
        const int64_t b = task / bands, begin = task % bands * band, end = begin + band < H ? begin + band : H;
        const int64_t source = of ? of[b] : b;
        const T *keys = k + source * d * area, *values = v + source * e * area;
        for (int64_t row = begin - R; row < begin + R; row++) NAME(see)(s, &desk, keys, values, row);
        for (int64_t y = begin; y < end; y++) {
            NAME(see)(s, &desk, keys, values, y + R);
            NAME(own)(s, d, q + b * d * area, y, scale, desk.queries);
            NAME(dots)(s, desk.keys, desk.queries, desk.grid);
            NAME(border)(s, y, desk.grid);
            for (int64_t x = 0; x < s->padded; x += LANES) {
                T *grid = desk.grid + s->margin - R + x; /* the query's neighbours lie at slot, dx */
                V top = NAME(load)(grid + NAME(slot_of)(s, y) * s->plane + R * (s->wide + 1)), sum = {0};
                for (int slot = 0; slot < window; slot++)
                    for (int dx = 0; dx < window; dx++) {
                        V one = NAME(load)(grid + slot * s->plane + dx * (s->wide + 1));
                        W_ more = one > top;
                        top = (V)(((W_)one & more) | ((W_)top & ~more));
                    }
                for (int slot = 0; slot < window; slot++) {
                    V part = {0}; /* a long sum of similar numbers loses digits */
                    for (int dx = 0; dx < window; dx++) {
                        T *at = grid + slot * s->plane + dx * (s->wide + 1);
                        V weight = NAME(exponential)(NAME(load)(at) - top);
                        part += weight;
                        NAME(store)(at, weight);
                    }
                    sum += part;
                }
                NAME(store)(desk.factor + x, 1 / sum);
                for (int i = 0; i < LANES && x + i < width; i++)
                    log_sum[(b * H + y) * width + x + i] = top[i] + (T)log((double)sum[i]);
            }
            NAME(gather)(s, desk.values, desk.grid, desk.factor, desk.shifted, out + b * e * area, y);
        }
    }
    free(block);
    return 0;
}

/* Gradients of the bands of one parity: first, first + step, ... of those of all images. A band adds to the gradients
   of the rows that it sees, which lie in it and the bands beside it: bands of one parity never meet. */
int NAME(backward)(
    int64_t first, int64_t step, int parity, int64_t images, int d, int e, int window, int masks, int64_t H,
    int64_t width, int64_t band, T scale, const int64_t *of, const T *q, const T *k, const T *v, const T *out,
    const T *log_sum, const T *grad, T *dq, T *dk, T *dv) {
    const Shape shape = NAME(shape)(window, masks, H, width), *s = &shape;
    Desk desk;
    T *block = NAME(furnish)(&desk, s, d, e, 1);
    if (!block) return -1;
    const int64_t bands = ((H + band - 1) / band + 1 - parity) / 2, area = H * width, R = s->radius;
    T *factor = desk.factor, *common = desk.common;
    for (int64_t task = first; task < images * bands; task += step) {
        const int64_t b = task / bands, begin = (task % bands * 2 + parity) * band;
        const int64_t end = begin + band < H ? begin + band : H;
        const int64_t source = of ? of[b] : b;
        const T *keys = k + source * d * area, *values = v + source * e * area;
        for (int64_t row = begin - R; row < begin + R; row++) NAME(see)(s, &desk, keys, values, row);
        for (int64_t y = begin; y < end; y++) {
            NAME(see)(s, &desk, keys, values, y + R);
            NAME(own)(s, d, q + b * d * area, y, scale, desk.queries);
            NAME(own)(s, e, grad + b * e * area, y, 1, desk.grads);
            NAME(dots)(s, desk.keys, desk.queries, desk.grid);
            NAME(border)(s, y, desk.grid);
            NAME(dots)(s, desk.values, desk.grads, desk.slopes);
            /* what the softmax takes from every weight's gradient: sum_j P_j dP_j = out . grad */
            memset(common, 0, s->padded * sizeof(T));
            for (int c = 0; c < e; c++) {
                const T *from = out + ((b * e + c) * H + y) * width, *into = desk.grads + c * s->wide + s->margin;
                for (int64_t x = 0; x < width; x++) common[x] += from[x] * into[x];
            }
            memcpy(factor, log_sum + (b * H + y) * width, width * sizeof(T));
            for (int64_t x = 0; x < s->padded; x += LANES) {
                V shift = NAME(load)(factor + x), mean = NAME(load)(common + x);
                for (int slot = 0; slot < window; slot++)
                    for (int dx = 0; dx < window; dx++) {
                        const int64_t at = slot * s->plane + dx * (s->wide + 1) + s->margin - R + x;
                        V weight = NAME(exponential)(NAME(load)(desk.grid + at) - shift);
                        NAME(store)(desk.slopes + at, weight * (NAME(load)(desk.slopes + at) - mean));
                        NAME(store)(desk.grid + at, weight);
                    }
            }
            for (int64_t x = 0; x < s->padded; x++) factor[x] = scale;
            NAME(gather)(s, desk.keys, desk.slopes, factor, desk.shifted, dq + b * d * area, y);
            NAME(scatter)(s, desk.dkeys, desk.slopes, desk.queries);
            NAME(scatter)(s, desk.dvalues, desk.grid, desk.grads);
            NAME(release)(s, &desk, dk + source * d * area, dv + source * e * area, y - R);
        }
        for (int64_t row = end - R; row < end + R; row++)
            NAME(release)(s, &desk, dk + source * d * area, dv + source * e * area, row);
    }
    free(block);
    return 0;
}

#undef V
#undef U
#undef W_
#undef LANES
#undef Shape
#undef Ring
#undef Room
#undef Desk

#endif
