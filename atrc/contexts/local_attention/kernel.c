/* Local attention on a CPU, without ever holding more than a strip of similarities.

   Legend (layouts are those of _compiled.py): d channels of queries and keys, e of values; rows of `row` pixels,
   padding included, one after the other; neighbour j = (dy, dx) of pixel p lies at p + dy * row + dx of the keys and
   values; queries and gradients have a margin of window - 1 pixels in front and behind. SLACK pixels at the end of
   every channel let whole vectors run over it. A strip is STRIP pixels; its similarities fit the first-level
   cache.

   The file includes itself once per type. */

#ifndef T

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif

enum { STRIP = 64, WIDEST = 9, SLACK = 32 };

#define UNROLL _Pragma("GCC unroll 16")

/* The inner loops are compiled for these numbers of channels and of neighbours in a row: sums stay in registers. */
static inline int piece_of_channels(int left) { return left >= 6 ? 6 : left >= 3 ? 3 : 1; }
static inline int piece_of_row(int left) { return left >= 9 ? 9 : left >= 7 ? 7 : left >= 5 ? 5 : left >= 3 ? 3 : 1; }

/* Statements that call OF(nx), or OF(nc, nx), with the constants in place of the variables nc and nx. */
#define ROW_PIECES(OF)    \
    switch (nx) {         \
    case 9: OF(9); break; \
    case 7: OF(7); break; \
    case 5: OF(5); break; \
    case 3: OF(3); break; \
    default: OF(1);       \
    }
#define OF6(nx) OF(6, nx)
#define OF3(nx) OF(3, nx)
#define OF1(nx) OF(1, nx)
#define PIECES(OF)                 \
    switch (nc) {                  \
    case 6: ROW_PIECES(OF6) break; \
    case 3: ROW_PIECES(OF3) break; \
    default: ROW_PIECES(OF1)       \
    }

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define NAME(name) PASTE(name, T)
#define INLINE static inline __attribute__((always_inline))

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
#define W NAME(integers)
#define LANES ((int)(BYTES / sizeof(T)))

typedef T V __attribute__((vector_size(BYTES)));
typedef T U __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));
typedef I W __attribute__((vector_size(BYTES)));

INLINE V NAME(load)(const T *p) { return *(const U *)p; }
INLINE void NAME(store)(T *p, V v) { *(U *)p = v; }

/* exp(x) for x <= 0: 2^n exp(r) with |r| <= ln(2) / 2, ln(2) in two parts to keep r exact, and a Taylor series to the
   last bit of the type. */
INLINE V NAME(exponential)(V x) {
    const int single = sizeof(T) == 4;
    const T high = single ? (T)0.693359375 : (T)6.93145751953125e-1;
    const T low = single ? (T)-2.12194440054690583e-4 : (T)1.42860682030941723212e-6;
    const T smallest = single ? (T)-87 : (T)-708;
    const int terms = single ? 7 : 13;
    W large = x > smallest;
    x = (V)((W)x & large);
    V scaled = x * (T)1.44269504088896340736;
    W n = __builtin_convertvector(scaled - (T)0.5, W); /* towards zero, and scaled <= 0: to the nearest */
    V whole = __builtin_convertvector(n, V);
    V r = (x - whole * high) - whole * low;
    V series = {0};
    T factorial = 1;
    for (int i = 2; i <= terms; i++) factorial *= i;
    for (int i = terms; i > 0; i--) {
        series = series * r + 1 / factorial;
        factorial /= i;
    }
    series = series * r + 1;
    W power = (n + (single ? 127 : 1023)) << (single ? 23 : 52);
    return (V)((W)(series * (V)power) & large);
}

/* p[by .. by + LANES], cut out of whole vectors that neighbouring shifts share: the many loads that straddle cache
   lines would limit the speed. `by` is a constant wherever this is inlined. */
INLINE V NAME(shifted)(const T *p, int by) {
    const int whole = by / LANES * LANES, rest = by - whole;
    V low = NAME(load)(p + whole);
    if (!rest) return low;
    W lanes;
    for (int i = 0; i < LANES; i++) lanes[i] = i + rest;
    return __builtin_shuffle(low, NAME(load)(p + whole + LANES), lanes);
}

/* out[dx][x] = sum_c a[c][x] b[c][x + dx] for nx neighbours of a strip, which lie in one row. */
INLINE void NAME(dots_of)(int nx, int channels, const T *a, int64_t la, const T *b, int64_t lb, T *out) {
    for (int x = 0; x < STRIP; x += LANES) {
        V sum[WIDEST];
        UNROLL for (int i = 0; i < nx; i++) sum[i] = (V){0};
        for (int c = 0; c < channels; c++) {
            V own = NAME(load)(a + c * la + x);
            UNROLL for (int i = 0; i < nx; i++) sum[i] += own * NAME(shifted)(b + c * lb + x, i);
        }
        UNROLL for (int i = 0; i < nx; i++) NAME(store)(out + i * STRIP + x, sum[i]);
    }
}

/* The same for all neighbours, j = (dy, dx). */
static void NAME(dots)(
    int window, int64_t row, int channels, const T *a, int64_t la, const T *b, int64_t lb, T *out) {
    for (int dy = 0; dy < window; dy++)
        for (int dx = 0, nx; dx < window; dx += nx) {
            nx = piece_of_row(window - dx);
#define OF(nx) NAME(dots_of)(nx, channels, a, la, b + dy * row + dx, lb, out + (dy * window + dx) * STRIP)
            ROW_PIECES(OF)
#undef OF
        }
}

/* out[c][x] += sum_j weights[j][x] b[c][x + j] for nc channels and nx neighbours of each row. */
INLINE void NAME(gather_of)(
    int nc, int nx, int window, int64_t row, const T *weights, const T *b, int64_t lb, T *out, int64_t lo) {
    for (int x = 0; x < STRIP; x += LANES) {
        V sum[WIDEST];
        UNROLL for (int c = 0; c < nc; c++) sum[c] = NAME(load)(out + c * lo + x);
        for (int dy = 0; dy < window; dy++) {
            const T *w = weights + dy * window * STRIP + x, *at = b + dy * row + x;
            UNROLL for (int i = 0; i < nx; i++) {
                V weight = NAME(load)(w + i * STRIP);
                UNROLL for (int c = 0; c < nc; c++) sum[c] += weight * NAME(shifted)(at + c * lb, i);
            }
        }
        UNROLL for (int c = 0; c < nc; c++) NAME(store)(out + c * lo + x, sum[c]);
    }
}

static void NAME(gather)(
    int window, int64_t row, int channels, const T *weights, const T *b, int64_t lb, T *out, int64_t lo) {
    for (int c = 0, nc; c < channels; c += nc) {
        nc = piece_of_channels(channels - c);
        for (int i = 0; i < nc; i++) memset(out + (c + i) * lo, 0, STRIP * sizeof(T));
        for (int dx = 0, nx; dx < window; dx += nx) {
            nx = piece_of_row(window - dx);
#define OF(nc, nx) \
    NAME(gather_of)(nc, nx, window, row, weights + dx * STRIP, b + c * lb + dx, lb, out + c * lo, lo)
            PIECES(OF)
#undef OF
        }
    }
}

/* out[c][x] += sum_dx moved[dy, dx][x] a[c][x - dx] in every row of neighbours: every place gathers what the strip
   sends to it. moved[j][x] is weights[j][x - dx]. */
INLINE void NAME(scatter_of)(
    int nc, int nx, int window, int64_t row, const T *moved, int wide, const T *a, int64_t la, T *out, int64_t lo) {
    for (int dy = 0; dy < window; dy++)
        for (int x = 0; x < wide; x += LANES) {
            const T *w = moved + dy * window * wide + x, *from = a + x - (nx - 1);
            T *to = out + dy * row + x;
            V sum[WIDEST];
            UNROLL for (int c = 0; c < nc; c++) sum[c] = NAME(load)(to + c * lo);
            UNROLL for (int i = 0; i < nx; i++) {
                V weight = NAME(load)(w + i * wide);
                UNROLL for (int c = 0; c < nc; c++) sum[c] += weight * NAME(shifted)(from + c * la, nx - 1 - i);
            }
            UNROLL for (int c = 0; c < nc; c++) NAME(store)(to + c * lo, sum[c]);
        }
}

static void NAME(scatter)(
    int window, int64_t row, int channels, const T *moved, int wide, const T *a, int64_t la, T *out, int64_t lo) {
    for (int c = 0, nc; c < channels; c += nc) {
        nc = piece_of_channels(channels - c);
        for (int dx = 0, nx; dx < window; dx += nx) {
            nx = piece_of_row(window - dx);
#define OF(nc, nx) \
    NAME(scatter_of)(nc, nx, window, row, moved + dx * wide, wide, a + c * la - dx, la, out + c * lo, lo)
            PIECES(OF)
#undef OF
        }
    }
}

/* similarities[j][x] = scale * (q . k) + the masks of the neighbour's row and column, 0 or -inf. */
static void NAME(similarities)(
    int window, int64_t row, int64_t length, int d, T scale, int64_t p, const T *q, int64_t lq, const T *k,
    int64_t lk, const T *rows, const T *columns, T *out) {
    NAME(dots)(window, row, d, q, lq, k, lk, out);
    for (int dy = 0; dy < window; dy++)
        for (int dx = 0; dx < window; dx++) {
            T *s = out + (dy * window + dx) * STRIP;
            const T *by_row = rows + dy * length + p, *by_column = columns + dx * (row + STRIP) + p % row;
            for (int x = 0; x < STRIP; x += LANES)
                NAME(store)(
                    s + x, NAME(load)(s + x) * scale + NAME(load)(by_row + x) + NAME(load)(by_column + x));
        }
}

/* Strips first, first + step, ... of all images: their outputs, and the logarithm of their softmax's denominator. */
void NAME(forward)(
    int64_t first, int64_t step, int64_t images, int d, int e, int window, int64_t row, int64_t length, int64_t reach,
    T scale, const T *q, const T *k, const T *v, const T *rows, const T *columns, T *out, T *log_sum) {
    const int J = window * window, margin = window - 1;
    const int64_t strips = length / STRIP, lq = length + 2 * margin + SLACK, lk = length + reach + SLACK;
    T weights[J * STRIP] __attribute__((aligned(BYTES)));
    for (int64_t task = first; task < images * strips; task += step) {
        const int64_t b = task / strips, p = task % strips * STRIP;
        NAME(similarities)(window, row, length, d, scale, p, q + b * d * lq + margin + p, lq, k + b * d * lk + p, lk,
                           rows, columns, weights);
        T total[STRIP];
        for (int x = 0; x < STRIP; x += LANES) {
            V top = NAME(load)(weights + x), sum = {0};
            for (int j = 1; j < J; j++) {
                V s = NAME(load)(weights + j * STRIP + x);
                W more = s > top;
                top = (V)(((W)s & more) | ((W)top & ~more));
            }
            for (int j = 0; j < J; j++) {
                V w = NAME(exponential)(NAME(load)(weights + j * STRIP + x) - top);
                sum += w;
                NAME(store)(weights + j * STRIP + x, w);
            }
            NAME(store)(total + x, sum);
            NAME(store)(log_sum + b * length + p + x, top);
        }
        T *to = out + b * e * length + p;
        NAME(gather)(window, row, e, weights, v + b * e * lk + p, lk, to, length);
        for (int c = 0; c < e; c++)
            for (int x = 0; x < STRIP; x += LANES)
                NAME(store)(to + c * length + x, NAME(load)(to + c * length + x) / NAME(load)(total + x));
        for (int x = 0; x < STRIP; x++) log_sum[b * length + p + x] += (T)log((double)total[x]);
    }
}

/* Gradients of the strips of blocks first, first + step, ... of one parity. A strip adds to the gradients of the
   neighbours that it reaches, which lie in its own block or the next: blocks of one parity never meet. */
void NAME(backward)(
    int64_t first, int64_t step, int parity, int64_t images, int d, int e, int window, int64_t row, int64_t length,
    int64_t reach, T scale, const T *q, const T *k, const T *v, const T *rows, const T *columns, const T *log_sum,
    const T *grad, const T *common, T *dq, T *dk, T *dv) {
    const int J = window * window, margin = window - 1, wide = (STRIP + margin + LANES - 1) / LANES * LANES;
    const int64_t strips = length / STRIP, lq = length + 2 * margin + SLACK, lk = length + reach + SLACK;
    const int64_t per_block = reach / STRIP + 2, blocks = (strips + per_block - 1) / per_block;
    const int64_t half = (blocks + 1 - parity) / 2;
    T slopes[J * STRIP] __attribute__((aligned(BYTES))), weights[J * STRIP] __attribute__((aligned(BYTES)));
    T moved_slopes[J * wide], moved_weights[J * wide];
    memset(moved_slopes, 0, sizeof moved_slopes);
    memset(moved_weights, 0, sizeof moved_weights);
    for (int64_t task = first; task < images * half; task += step) {
        const int64_t b = task / half, begin = (task % half * 2 + parity) * per_block;
        const int64_t end = begin + per_block < strips ? begin + per_block : strips;
        for (int64_t strip = begin; strip < end; strip++) {
            const int64_t p = strip * STRIP;
            const T *own = q + b * d * lq + margin + p, *keys = k + b * d * lk + p;
            const T *into = grad + b * e * lq + margin + p, *values = v + b * e * lk + p;
            NAME(similarities)(window, row, length, d, scale, p, own, lq, keys, lk, rows, columns, weights);
            NAME(dots)(window, row, e, into, lq, values, lk, slopes);
            for (int x = 0; x < STRIP; x += LANES) {
                V shift = NAME(load)(log_sum + b * length + p + x);
                V mean = NAME(load)(common + b * lq + margin + p + x);
                for (int j = 0; j < J; j++) {
                    V weight = NAME(exponential)(NAME(load)(weights + j * STRIP + x) - shift);
                    V slope = weight * (NAME(load)(slopes + j * STRIP + x) - mean) * scale;
                    NAME(store)(slopes + j * STRIP + x, slope);
                    NAME(store)(moved_slopes + j * wide + j % window + x, slope);
                    NAME(store)(moved_weights + j * wide + j % window + x, weight);
                }
            }
            NAME(gather)(window, row, d, slopes, keys, lk, dq + b * d * length + p, length);
            NAME(scatter)(window, row, d, moved_slopes, wide, own, lq, dk + b * d * lk + p, lk);
            NAME(scatter)(window, row, e, moved_weights, wide, into, lq, dv + b * e * lk + p, lk);
        }
    }
}

#undef V
#undef U
#undef W
#undef LANES

#endif
