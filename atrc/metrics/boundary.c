/* The counts of the boundary measure for one image: at every threshold, thinning and a maximum one-to-one matching. */

#include "matching.h"

enum { BAND = 8 };

/* A map of bits with room for the next one, and for each band of rows how often it has not changed. */
typedef struct {
    uint64_t *words, *spare;
    int64_t bands;
    uint8_t *quiet, *before;
} thinned;

/* One of the two passes of Guo and Hall (CACM 32, 1989) over 64 pixels at once: x1 is the neighbour to the right, the
   others follow counter-clockwise. A pixel goes that has one crossing (G1), two or three neighbours counted in pairs
   (G2), and the side that the pass takes (G3). What changed, or 0. */
static inline uint64_t pass(const uint64_t *restrict old, uint64_t *restrict new, int64_t begin, int64_t end,
                            int64_t stride, int second)
{
    uint64_t changed = 0;
    for (int64_t k = begin; k < end; k++) {
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

/* Thins a map until neither pass changes it, as `atrc.metrics._thinning` does. A band is left alone while it and its
   neighbours have not changed since the same pass came to it, two passes ago; then both maps hold it alike. */
static void thin(thinned *map, shape s)
{
    for (int second = 0, busy = 1; busy; second = !second) {
        busy = 0;
        for (int64_t band = 0; band < map->bands; band++) {
            const uint8_t *was = map->before + band + 1;
            uint8_t now = 2;
            if (was[-1] < 2 || was[0] < 2 || was[1] < 2) {
                int64_t begin = (1 + band * BAND) * s.stride, end = begin + BAND * s.stride;
                int64_t last = s.words - s.stride, until = end < last ? end : last;
                uint64_t changed = second ? pass(map->words, map->spare, begin, until, s.stride, 1)
                                          : pass(map->words, map->spare, begin, until, s.stride, 0);
                now = changed ? 0 : was[0] < 2 ? was[0] + 1 : 2;
                busy |= now < 2;
            }
            map->quiet[band + 1] = now;
        }
        uint64_t *swap = map->words;
        map->words = map->spare, map->spare = swap;
        uint8_t *counts = map->quiet;
        map->quiet = map->before, map->before = counts;
    }
}

/* Numbers of thresholds that the pixels of a map are not below; how many pixels have each. */
static void find_levels(const double *prediction, const double *thresholds, int64_t T, int64_t pixels, int32_t *levels,
                        int64_t *having)
{
    for (int64_t start = 0; start < pixels; start += 64) {
        int64_t passed[64] = {0}, count = pixels - start < 64 ? pixels - start : 64;
        double value[64], peak = -__builtin_inf();
        for (int64_t i = 0; i < 64; i++) value[i] = i < count ? prediction[start + i] : peak;
        for (int64_t i = 0; i < 64; i++) peak = value[i] > peak ? value[i] : peak;
        for (int64_t k = 0; k < T && peak >= thresholds[k]; k++)
            for (int64_t i = 0; i < 64; i++) passed[i] += value[i] >= thresholds[k];
        for (int64_t i = 0; i < count; i++) having[levels[start + i] = (int32_t)passed[i]]++;
    }
}

/* Puts a map into both places, and wakes the bands that are not empty. */
static void start(thinned *map, const uint64_t *words, shape s)
{
    memset(map->before, 2, map->bands + 2);
    for (int64_t word = 0; word < s.words; word++) {
        map->words[word] = map->spare[word] = words[word];
        if (words[word]) map->before[1 + (word / s.stride - 1) / BAND] = 0;
    }
}

/* A map of truth values as bits, with a margin. */
static void set_bits(const uint8_t *truth, int64_t height, int64_t width, int64_t margin, shape s, uint64_t *map)
{
    for (int64_t row = 0; row < height; row++)
        for (int64_t x = 0; x < width; x++) {
            int64_t at = (row + margin) * 64 * s.stride + margin + x;
            map[at / 64] |= (uint64_t)(truth[row * width + x] != 0) << at % 64;
        }
}

/* Counts at T rising thresholds, (4, T): predicted pixels that some annotator matches, predicted ones, truth pixels
   matched and truth pixels, the last two summed over annotators.

   Maps are (height, width). The tolerance is a disk of rows, given by the half width of each, and as the offsets of its n
   pixels, the nearest first; it lies within `margin` rows and columns, at least 1. Returns 0, or -1 if there is no
   memory. */
int count_boundaries(int64_t height, int64_t width, int64_t margin, int64_t T, int64_t annotators, int64_t rows,
                     int64_t n, const double *prediction, const double *thresholds, const uint8_t *truths,
                     const uint8_t *valid, const int64_t *widths, const int64_t *offsets, int64_t *counts)
{
    const int64_t pixels = height * width, reach = rows / 2, chunks = (2 * reach + 64) / 64;
    shape s = {height + 2 * margin, (width + 2 * margin + 63) / 64, 0};
    s.words = s.height * s.stride;
    int64_t truth = 0, bands = (s.height - 2 + BAND - 1) / BAND;
    matching *all = calloc(annotators, sizeof *all);
    uint64_t *bits = calloc(5 * (s.words + 2), sizeof *bits), *counted = bits + 2 * (s.words + 2);
    uint64_t *scratch = counted + s.words + 2, *present = scratch + s.words + 2;
    int32_t *levels = malloc((2 * pixels + 1) * sizeof *levels), *order = levels + pixels;
    int64_t *having = calloc(T + 2, sizeof *having);
    disk d = {reach, 0, calloc(rows * chunks, sizeof *d.step), calloc(rows * chunks, sizeof *d.mask)};
    uint8_t *quiet = malloc(2 * (bands + 2));
    int status = all && bits && levels && having && d.step && d.mask && quiet ? 0 : -1;
    for (int64_t k = 0; !status && k < rows; k++) {
        const int64_t row = k % 2 ? -(k + 1) / 2 : k / 2, half = widths[row + reach]; /* 0, -1, 1, -2, .. */
        for (int64_t x = -half; x <= half; x++) {
            int64_t w = d.windows + (x + reach) / 64;
            d.step[w] = row * s.stride + (x + reach) / 64;
            flip(d.mask + d.windows, x + reach);
        }
        d.windows += chunks;
    }
    if (!status) set_bits(valid, height, width, margin, s, counted);
    for (int64_t i = 0; !status && i < annotators; i++) {
        memset(scratch, 0, s.words * sizeof *scratch);
        set_bits(truths + i * pixels, height, width, margin, s, scratch);
        for (int64_t word = 0; word < s.words; word++) scratch[word] &= counted[word];
        status = prepare(all + i, scratch, s, d);
        if (!status && annotators > 1) status = list_near(all + i, s, n, offsets, rows, widths);
        truth += all[i].truth.count;
    }
    if (!status) {
        thinned map = {bits + 1, bits + s.words + 3, bands, quiet, quiet + bands + 2};
        memset(quiet, 2, 2 * (bands + 2));
        /* As thresholds rise, pixels leave the map, in the order of their levels. */
        find_levels(prediction, thresholds, T, pixels, levels, having + 1);
        for (int64_t k = 0; k < T; k++) having[k + 1] += having[k];
        for (int64_t row = 0, i = 0; row < height; row++)
            for (int64_t x = 0; x < width; x++, i++) {
                int64_t at = (row + margin) * 64 * s.stride + margin + x;
                order[having[levels[i]]++] = (int32_t)at;
                if (levels[i]) flip(present, at);
            }
        for (int64_t k = 0; k < T; k++) {
            int64_t first = k ? having[k - 1] : 0, last = having[k]; /* those of level k, which were moved up by one */
            counts[3 * T + k] = truth;
            if (k && first == last) {
                for (int64_t of = 0; of < 3; of++) counts[of * T + k] = counts[of * T + k - 1];
                continue;
            }
            for (int64_t i = first; k && i < last; i++) flip(present, order[i]);
            start(&map, present, s);
            thin(&map, s);
            for (int64_t word = 0; word < s.words; word++) {
                scratch[word] = map.words[word] & counted[word];
                counts[T + k] += __builtin_popcountll(scratch[word]);
            }
            for (int64_t i = 0; i < annotators; i++) match(all + i, scratch, s, d);
            for (int64_t word = 0; word < s.words; word++) {
                uint64_t hit = 0;
                for (int64_t i = 0; i < annotators; i++) {
                    hit |= all[i].predicted.taken[word];
                    counts[2 * T + k] += __builtin_popcountll(all[i].predicted.taken[word]);
                }
                counts[k] += __builtin_popcountll(hit);
            }
        }
    }
    for (int64_t i = 0; all && i < annotators; i++) release(all + i);
    free(all), free(bits), free(levels), free(having), free(d.step), free(d.mask), free(quiet);
    return status;
}
