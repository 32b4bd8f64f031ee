/* The products over neighbours that local attention is made of, for numbers of type T; see kernel.c, which includes
   this file once per type. */

#ifndef NAME

/* Registers hold the sums of nine slots for so many columns or channels, beside what is being read. */
#if defined(__AVX512F__)
enum { BYTES = 64, TRIPLE = 3 };
#elif defined(__AVX__)
enum { BYTES = 32, TRIPLE = 1 };
#else
enum { BYTES = 16, TRIPLE = 1 };
#endif

#define UNROLL _Pragma("GCC unroll 16")

/* The inner loops are compiled for these numbers of slots, columns and channels. */
static inline int piece_of_slots(int left) { return left >= 9 ? 9 : left >= 7 ? 7 : left >= 5 ? 5 : left >= 3 ? 3 : 1; }
static inline int piece_of_three(int left) { return left >= TRIPLE ? TRIPLE : 1; }
static inline int piece_of_six(int left) { return left >= 2 * TRIPLE ? 2 * TRIPLE : piece_of_three(left); }

/* Statements that call OF(ns, n) with constants in place of the variables: ns slots, and TRIPLE or 1 of the other. */
#define SLOT_PIECES(OF, n)   \
    switch (ns) {            \
    case 9: OF(9, n); break; \
    case 7: OF(7, n); break; \
    case 5: OF(5, n); break; \
    case 3: OF(3, n); break; \
    default: OF(1, n);       \
    }
#define PIECES(OF, n)           \
    if (n == TRIPLE) {          \
        SLOT_PIECES(OF, TRIPLE) \
    } else {                    \
        SLOT_PIECES(OF, 1)      \
    }

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define NAME(name) PASTE(name, T)
#define INLINE static inline __attribute__((always_inline))

#endif

#define V NAME(vector)
#define U NAME(unaligned)
#define W_ NAME(integers)
#define LANES ((int)(BYTES / sizeof(T)))

typedef T V __attribute__((vector_size(BYTES)));
typedef T U __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));
typedef I W_ __attribute__((vector_size(BYTES)));

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
    W_ large = x > smallest;
    x = (V)((W_)x & large);
    V scaled = x * (T)1.44269504088896340736;
    W_ n = __builtin_convertvector(scaled - (T)0.5, W_); /* towards zero, and scaled <= 0: to the nearest */
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
    W_ power = (n + (single ? 127 : 1023)) << (single ? 23 : 52);
    return (V)((W_)(series * (V)power) & large);
}

/* What one call is about, and the strides of its buffers in elements. Every stride is an odd number of vectors, so
   that what is read together does not compete for the same places of the cache. */
typedef struct {
    int window, radius, masks; /* masks: whether neighbours outside the image are none */
    int64_t H, width, padded;  /* of the image; padded to whole vectors */
    int64_t margin;            /* the radius in whole vectors */
    int64_t line;              /* a row of one channel in a ring */
    int64_t wide;              /* a row with margins */
    int64_t plane;             /* grid[slot] */
} NAME(Shape);
#define Shape NAME(Shape)

INLINE int64_t NAME(vectors)(int64_t count) { return (count + LANES - 1) / LANES; }
INLINE int64_t NAME(stride)(int64_t count) { return (NAME(vectors)(count) | 1) * LANES; }

static Shape NAME(shape)(int window, int masks, int64_t H, int64_t width) {
    Shape s = {.window = window, .radius = window / 2, .masks = masks, .H = H, .width = width};
    s.padded = NAME(vectors)(width) * LANES;
    s.margin = NAME(vectors)(s.radius) * LANES;
    s.line = NAME(stride)(s.padded);
    s.wide = NAME(stride)(s.padded + 2 * s.margin);
    s.plane = NAME(stride)(window * s.wide);
    return s;
}

/* The key rows that a row of queries sees, or their gradients. */
typedef struct {
    int channels;
    int64_t slot; /* from one slot to the next */
    T *rows;
} NAME(Ring);
#define Ring NAME(Ring)

/* Asks for the row below: by the time that it is read, it lies in the cache. */
INLINE void NAME(expect)(const Shape *s, const T *row) {
    for (int64_t x = 0; x < s->width; x += LANES) __builtin_prefetch(row + s->width + x, 0, 2);
}

static int64_t NAME(slot_of)(const Shape *s, int64_t row) { return (row + s->window) % s->window; }
static int NAME(inside)(const Shape *s, int64_t row) { return row >= 0 && row < s->H; }

/* grid[slot][dx][x] = sum_c own[c][x - dx + R] ring[slot][c][x] for ns slots and nx columns. */
INLINE void NAME(dots_of)(
    int ns, int nx, int channels, const T *own, int64_t wide, const T *ring, int64_t slot, int64_t line, T *grid,
    int64_t plane) {
    V sum[9][TRIPLE];
    UNROLL for (int i = 0; i < ns; i++) UNROLL for (int j = 0; j < nx; j++) sum[i][j] = (V){0};
    for (int c = 0; c < channels; c++) {
        V a[TRIPLE];
        UNROLL for (int j = 0; j < nx; j++) a[j] = NAME(load)(own + c * wide - j);
        UNROLL for (int i = 0; i < ns; i++) {
            V b = NAME(load)(ring + i * slot + c * line);
            UNROLL for (int j = 0; j < nx; j++) sum[i][j] += a[j] * b;
        }
    }
    UNROLL for (int i = 0; i < ns; i++)
        UNROLL for (int j = 0; j < nx; j++) NAME(store)(grid + i * plane + j * wide, sum[i][j]);
}

static void NAME(dots)(const Shape *s, Ring ring, const T *own, T *grid) {
    for (int64_t x = 0; x < s->padded; x += LANES)
        for (int dx = 0, nx; dx < s->window; dx += nx) {
            nx = piece_of_three(s->window - dx);
            for (int slot = 0, ns; slot < s->window; slot += ns) {
                ns = piece_of_slots(s->window - slot);
                const T *at = own + s->margin + x + s->radius - dx, *keys = ring.rows + slot * ring.slot + x;
                T *to = grid + slot * s->plane + dx * s->wide + s->margin + x;
#define OF(ns, nx) \
    NAME(dots_of)(ns, nx, ring.channels, at, s->wide, keys, ring.slot, s->line, to, s->plane)
                PIECES(OF, nx)
#undef OF
            }
        }
}

/* shifted[c][dx][x] = sum_slot grid[slot][dx][x] ring[slot][c][x] for nc channels and nx columns. */
INLINE void NAME(gather_of)(
    int nc, int nx, int window, const T *grid, int64_t plane, int64_t wide, const T *ring, int64_t slot, int64_t line,
    T *shifted) {
    V sum[2 * TRIPLE][3];
    UNROLL for (int c = 0; c < nc; c++) UNROLL for (int j = 0; j < nx; j++) sum[c][j] = (V){0};
    for (int i = 0; i < window; i++) {
        V weight[3];
        UNROLL for (int j = 0; j < nx; j++) weight[j] = NAME(load)(grid + i * plane + j * wide);
        UNROLL for (int c = 0; c < nc; c++) {
            V b = NAME(load)(ring + i * slot + c * line);
            UNROLL for (int j = 0; j < nx; j++) sum[c][j] += weight[j] * b;
        }
    }
    UNROLL for (int c = 0; c < nc; c++)
        UNROLL for (int j = 0; j < nx; j++) NAME(store)(shifted + (c * window + j) * wide, sum[c][j]);
}

/* image[c][0] = factor * sum_dx shifted[c][dx][dx] for nc channels; count of them are inside the image. */
INLINE void NAME(collect_of)(
    int nc, int window, int64_t count, V factor, const T *shifted, int64_t wide, T *image, int64_t area) {
    V sum[2 * TRIPLE];
    UNROLL for (int c = 0; c < nc; c++) sum[c] = (V){0};
    for (int dx = 0; dx < window; dx++)
        UNROLL for (int c = 0; c < nc; c++) sum[c] += NAME(load)(shifted + (c * window + dx) * wide + dx);
    UNROLL for (int c = 0; c < nc; c++) {
        sum[c] *= factor;
        if (count >= LANES) NAME(store)(image + c * area, sum[c]);
        else memcpy(image + c * area, &sum[c], count * sizeof(T));
    }
}

/* nc channels of `gather`. A sum is collected as soon as all that it needs is there, which is then still at hand. */
INLINE void NAME(gather_channels)(
    int nc, const Shape *s, const T *grid, const T *ring, int64_t slot, const T *factor, T *shifted, T *image) {
    const int window = s->window;
    const int64_t plane = s->plane, wide = s->wide, line = s->line, lag = s->margin + LANES;
    for (int64_t x = 0; x < s->padded + lag; x += LANES) {
        int dx = 0;
        if (x < s->padded) {
            for (; dx + 3 <= window; dx += 3)
                NAME(gather_of)(nc, 3, window, grid + dx * wide + s->margin + x, plane, wide, ring + x, slot, line,
                                shifted + dx * wide + s->margin + x);
            for (; dx < window; dx++)
                NAME(gather_of)(nc, 1, window, grid + dx * wide + s->margin + x, plane, wide, ring + x, slot, line,
                                shifted + dx * wide + s->margin + x);
        }
        const int64_t done = x - lag;
        if (done >= 0)
            NAME(collect_of)(nc, window, s->width - done, NAME(load)(factor + done),
                             shifted + s->margin - s->radius + done, wide, image + done, s->H * s->width);
    }
}

/* image[c][y][x] = factor[x] * sum of grid * ring over all neighbours of the query at x. `shifted` is room for
   2 * TRIPLE channels, its margins zero. */
static void NAME(gather)(
    const Shape *s, Ring ring, const T *grid, const T *factor, T *shifted, T *image, int64_t y) {
    for (int c = 0, nc; c < ring.channels; c += nc) {
        nc = piece_of_six(ring.channels - c);
        const T *from = ring.rows + c * s->line;
        T *to = image + (c * s->H + y) * s->width;
        switch (nc) {
        case 2 * TRIPLE: NAME(gather_channels)(2 * TRIPLE, s, grid, from, ring.slot, factor, shifted, to); break;
        case TRIPLE: NAME(gather_channels)(TRIPLE, s, grid, from, ring.slot, factor, shifted, to); break;
        default: NAME(gather_channels)(1, s, grid, from, ring.slot, factor, shifted, to);
        }
    }
}

/* ring[slot][c][x] += sum_dx grid[slot][dx][x] own[c][x - dx + R] for ns slots and nc channels. */
INLINE void NAME(scatter_of)(
    int ns, int nc, int window, const T *grid, int64_t plane, int64_t wide, const T *own, T *ring, int64_t slot,
    int64_t line) {
    V sum[9][TRIPLE];
    UNROLL for (int i = 0; i < ns; i++)
        UNROLL for (int c = 0; c < nc; c++) sum[i][c] = NAME(load)(ring + i * slot + c * line);
    for (int dx = 0; dx < window; dx++) {
        V a[TRIPLE];
        UNROLL for (int c = 0; c < nc; c++) a[c] = NAME(load)(own + c * wide - dx);
        UNROLL for (int i = 0; i < ns; i++) {
            V weight = NAME(load)(grid + i * plane + dx * wide);
            UNROLL for (int c = 0; c < nc; c++) sum[i][c] += a[c] * weight;
        }
    }
    UNROLL for (int i = 0; i < ns; i++)
        UNROLL for (int c = 0; c < nc; c++) NAME(store)(ring + i * slot + c * line, sum[i][c]);
}

static void NAME(scatter)(const Shape *s, Ring ring, const T *grid, const T *own) {
    for (int64_t x = 0; x < s->padded; x += LANES)
        for (int slot = 0, ns; slot < s->window; slot += ns) {
            ns = piece_of_slots(s->window - slot);
            for (int c = 0, nc; c < ring.channels; c += nc) {
                nc = piece_of_three(ring.channels - c);
                const T *weights = grid + slot * s->plane + s->margin + x;
                const T *from = own + c * s->wide + s->margin + x + s->radius;
                T *to = ring.rows + slot * ring.slot + c * s->line + x;
#define OF(ns, nc) \
    NAME(scatter_of)(ns, nc, s->window, weights, s->plane, s->wide, from, to, ring.slot, s->line)
                PIECES(OF, nc)
#undef OF
            }
        }
}
