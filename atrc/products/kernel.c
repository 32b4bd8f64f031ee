/* Matrix products with maps of few channels and many pixels: weights times a map, and a map times another one, summed
   over pixels and images. Libraries for large matrices reach a quarter to three quarters of a processor's speed on
   them, since their blocks are larger than these matrices.

   A map is (channels, area), a row of pixels per channel. Maps lie anywhere in one array, at given numbers of
   elements from its start.

   The file includes itself once per type. */

#ifndef T

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
enum { BYTES = 64, HIGH = 4, WIDE = 6, ACROSS = 4 };
#elif defined(__AVX__)
enum { BYTES = 32, HIGH = 3, WIDE = 4, ACROSS = 2 };
#else
enum { BYTES = 16, HIGH = 3, WIDE = 4, ACROSS = 2 };
#endif
enum { DOWN = 6 }; /* registers hold the sums of HIGH x WIDE pairs of channels, or of DOWN channels x ACROSS vectors */

enum { CHUNK = 256 }; /* pixels whose channels stay in the cache */

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define NAME(name) PASTE(name, T)
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")

#define T float
#define I int32_t
#include "kernel.c"
#undef T
#undef I
#define T double
#define I int64_t
#include "kernel.c"

#else

#define V NAME(vector)
#define U NAME(unaligned)
#define W_ NAME(integers)
#define LANES ((int64_t)(BYTES / sizeof(T)))

typedef T V __attribute__((vector_size(BYTES)));
typedef I W_ __attribute__((vector_size(BYTES)));
typedef T U __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));

INLINE V NAME(load)(const T *p, int64_t number) {
    if (number >= LANES) return *(const U *)p;
    V some = {0};
    memcpy(&some, p, number * sizeof(T));
    return some;
}

/* ---- map times map ---- */

/* Adds the products of high x wide channels over some pixels; the numbers of channels are constants to the compiler. */
INLINE void NAME(tile)(
    int high, int wide, const T *a, const T *b, int64_t area, int64_t pixels, int64_t stride, V *sums) {
    V sum[HIGH][WIDE];
    UNROLL for (int i = 0; i < high; i++)
        UNROLL for (int j = 0; j < wide; j++) sum[i][j] = sums[i * stride + j];
    int64_t x = 0;
    for (; x + LANES <= pixels; x += LANES) {
        V left[HIGH];
        UNROLL for (int i = 0; i < high; i++) left[i] = *(const U *)(a + i * area + x);
        UNROLL for (int j = 0; j < wide; j++) {
            V right = *(const U *)(b + j * area + x);
            UNROLL for (int i = 0; i < high; i++) sum[i][j] += left[i] * right;
        }
    }
    if (x < pixels) {
        UNROLL for (int j = 0; j < wide; j++) {
            V right = NAME(load)(b + j * area + x, pixels - x);
            UNROLL for (int i = 0; i < high; i++) sum[i][j] += NAME(load)(a + i * area + x, pixels - x) * right;
        }
    }
    UNROLL for (int i = 0; i < high; i++)
        UNROLL for (int j = 0; j < wide; j++) sums[i * stride + j] = sum[i][j];
}

static void NAME(row_of_tiles)(
    int high, const T *a, const T *b, int64_t c, int64_t area, int64_t pixels, V *sums) {
#define TILE(h, w) NAME(tile)(h, w, a, b + j * area, area, pixels, c, sums + j)
#define TILES(h)                                            \
    for (; j + WIDE <= c; j += WIDE) TILE(h, WIDE);         \
    for (; j + 2 <= c; j += 2) TILE(h, 2);                  \
    for (; j < c; j++) TILE(h, 1);
    int64_t j = 0;
    switch (high) {
    case HIGH: TILES(HIGH); break;
    case 3: TILES(3); break;
    case 2: TILES(2); break;
    default: TILES(1);
    }
#undef TILES
#undef TILE
}

/* out[g] = the sum over images of A B^T, (r, c), for the groups first, first + step, ... The maps of group g and image i
   are a + a_at[g * images + i], (r, area), and b + b_at[...], (c, area). Returns 0, or -1 without memory. */
int NAME(products)(
    int64_t first, int64_t step, int64_t groups, int64_t images, int64_t r, int64_t c, int64_t area, const int64_t *a_at,
    const int64_t *b_at, const T *a, const T *b, T *out) {
    V *sums = aligned_alloc(64, (r * c * sizeof(V) + 63) / 64 * 64);
    if (!sums) return -1;
    for (int64_t g = first; g < groups; g += step) {
        memset(sums, 0, r * c * sizeof(V));
        for (int64_t image = 0; image < images; image++)
            for (int64_t x = 0; x < area; x += CHUNK) {
                const T *left = a + a_at[g * images + image] + x, *right = b + b_at[g * images + image] + x;
                const int64_t pixels = area - x < CHUNK ? area - x : CHUNK;
                int64_t i = 0;
                for (; i + HIGH <= r; i += HIGH)
                    NAME(row_of_tiles)(HIGH, left + i * area, right, c, area, pixels, sums + i * c);
                if (i < r) NAME(row_of_tiles)(r - i, left + i * area, right, c, area, pixels, sums + i * c);
            }
        for (int64_t i = 0; i < r * c; i++) {
            T total = 0;
            for (int64_t lane = 0; lane < LANES; lane++) total += sums[i][lane];
            out[g * r * c + i] = total;
        }
    }
    free(sums);
    return 0;
}

/* ---- weights times map ---- */

/* Some channels of the product for some vectors of pixels; both numbers are constants to the compiler. */
INLINE void NAME(block)(
    int down, int across, const T *w, int64_t w_row, int64_t w_column, int64_t k, const T *x, int64_t x_row, T *out,
    int64_t area, int add, int relu) {
    V sum[DOWN][ACROSS];
    UNROLL for (int i = 0; i < down; i++)
        UNROLL for (int j = 0; j < across; j++) sum[i][j] = add ? (V)*(const U *)(out + i * area + j * LANES) : (V){0};
    for (int64_t c = 0; c < k; c++) {
        V right[ACROSS];
        UNROLL for (int j = 0; j < across; j++) right[j] = *(const U *)(x + c * x_row + j * LANES);
        UNROLL for (int i = 0; i < down; i++) {
            const T weight = w[i * w_row + c * w_column];
            UNROLL for (int j = 0; j < across; j++) sum[i][j] += weight * right[j];
        }
    }
    UNROLL for (int i = 0; i < down; i++)
        UNROLL for (int j = 0; j < across; j++) {
            V one = sum[i][j];
            if (relu) one = (V)((W_)one & ~(one <= 0)); /* not a number stays what it is */
            *(U *)(out + i * area + j * LANES) = one;
        }
}

static void NAME(column)(
    int across, int64_t m, const T *w, int64_t w_row, int64_t w_column, int64_t k, const T *x, int64_t x_row, T *out,
    int64_t area, int add, int relu) {
#define BLOCK(d, a) \
    NAME(block)(d, a, w + i * w_row, w_row, w_column, k, x, x_row, out + i * area, area, add, relu)
#define BLOCKS(a)                                  \
    for (; i + DOWN <= m; i += DOWN) BLOCK(DOWN, a); \
    switch (m - i) {                               \
    case 5: BLOCK(5, a); break;                    \
    case 4: BLOCK(4, a); break;                    \
    case 3: BLOCK(3, a); break;                    \
    case 2: BLOCK(2, a); break;                    \
    case 1: BLOCK(1, a); break;                    \
    default:;                                      \
    }
    int64_t i = 0;
    if (across == ACROSS) {
        BLOCKS(ACROSS)
    } else {
        BLOCKS(1)
    }
#undef BLOCKS
#undef BLOCK
}

/* out = W X, (m, area), for the maps first, first + step, ...: the weights at w + w_at[i], (m, k) with the given steps
   between rows and columns, times the map at x + x_at[i], (k, area). With add, it is added to what is in out; with relu,
   negative results become 0. Returns 0, or -1 without memory. */
int NAME(weighted)(
    int64_t first, int64_t step, int64_t maps, int64_t m, int64_t k, int64_t area, int64_t w_row, int64_t w_column,
    int add, int relu, const int64_t *w_at, const int64_t *x_at, const int64_t *out_at, const T *w, const T *x, T *out) {
    const int64_t width = ACROSS * LANES;
    V *desk = aligned_alloc(64, ((k + m) * width * sizeof(T) + 63) / 64 * 64);
    if (!desk) return -1;
    T *near = (T *)desk, *last = near + k * width;
    for (int64_t i = first; i < maps; i += step) {
        const T *weights = w + w_at[i], *map = x + x_at[i];
        T *into = out + out_at[i];
        int64_t p = 0;
        for (; p < area; p += width) {
            const int64_t left = area - p < width ? area - p : width;
            for (int64_t c = 0; c < k; c++) { /* rows that are far apart compete for the same places of the cache */
                memcpy(near + c * width, map + c * area + p, left * sizeof(T));
                if (left < width) memset(near + c * width + left, 0, (width - left) * sizeof(T));
            }
            if (left == width) {
                NAME(column)(ACROSS, m, weights, w_row, w_column, k, near, width, into + p, area, add, relu);
                continue;
            }
            for (int64_t c = 0; c < m && add; c++) memcpy(last + c * width, into + c * area + p, left * sizeof(T));
            for (int64_t from = 0; from < left; from += LANES)
                NAME(column)(1, m, weights, w_row, w_column, k, near + from, width, last + from, width, add, relu);
            for (int64_t c = 0; c < m; c++) memcpy(into + c * area + p, last + c * width, left * sizeof(T));
        }
    }
    free(desk);
    return 0;
}

#undef V
#undef U
#undef W_
#undef LANES

#endif
