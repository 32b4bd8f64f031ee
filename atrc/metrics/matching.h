/* One-to-one matchings of predicted and true pixels, as many pairs as there can be.

   Maps of yes and no are bits, 64 pixels in a word, and have a margin as wide as the tolerance, so that no neighbour is
   looked up outside them. A matching starts from that of the threshold before, for neighbouring thresholds give nearly
   the same map, and grows along augmenting paths (Berge) until there is none, when it is a maximum one.

   For one annotator only the number of pairs counts, which every maximum matching has. Paths are searched breadth first
   from the side that has fewer pixels without a partner, which are called lonely. What a search in vain has visited
   leads nowhere until the next threshold, so no later one goes there (Hungarian trees).

   With several annotators it also counts whether different ones match the same predicted pixels, which depends on the
   matching. Theirs tries the nearest pixels first (Pothen and Fan, ACM TOMS 16, 1990: depth first with lookahead, in
   phases that visit a true pixel once). */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { NOBODY = -1, IN_VAIN = INT32_MAX };

/* The size of a map: rows of `stride` words. */
typedef struct {
    int64_t height, stride, words;
} shape;

/* The pixels within the tolerance of one: windows of 64 in a row, the middle row first. All begin `reach` columns before
   it, or a multiple of 64 after that, so that one shift serves all. */
typedef struct {
    int64_t reach, windows;
    int64_t *step;  /* words to a window, from the first one of the middle row */
    uint64_t *mask; /* bits of a window that count */
} disk;

/* One side of a matching, predicted or true pixels. They are numbered row by row. */
typedef struct {
    int64_t count, left; /* the latter: of lonely ones */
    uint64_t *all;       /* bits: those that may ever take part */
    uint64_t *lonely;    /* bits: those that take part at this threshold and have no partner */
    uint64_t *taken;     /* bits: those that have a partner */
    uint64_t *open;      /* bits: of these, those that no search of this threshold has visited in vain */
    int32_t *rank;       /* of a word: how many come before it */
    int32_t *at;         /* where one is */
    int32_t *partner;    /* whom one is matched to */
    int32_t *parent;     /* from whom a search came */
    int32_t *queue;
} side;

/* For paths that try the nearest pixel first: which true pixels are near a predicted one, and where a search is. */
typedef struct {
    int64_t *start;   /* of a predicted pixel: its run in near; one more than there are pixels */
    int32_t *near;    /* true pixels within the tolerance, the nearest first */
    int32_t *cursor;  /* of a predicted pixel: how far its run was followed in this phase */
    int32_t *look;    /* of a predicted pixel: how far its run was searched for lonely ones at this threshold */
    int32_t *entered; /* of a predicted pixel: the last phase that came to it */
    int32_t *seen;    /* of a true pixel: the last search that visited it; IN_VAIN if no path leads on from it */
    int32_t *visited; /* by this search */
    int32_t search, first, phase; /* numbers: of this search, and of the first of this threshold and of this phase */
} lists;

/* One annotator's matching: predicted pixels that are near a true one, and the true ones. */
typedef struct {
    side predicted, truth;
    lists near; /* empty for a single annotator */
} matching;

static inline int32_t number(const side *of, int64_t at)
{
    return of->rank[at / 64] + __builtin_popcountll(of->all[at / 64] & (((uint64_t)1 << at % 64) - 1));
}

static inline void flip(uint64_t *bits, int64_t at)
{
    bits[at / 64] ^= (uint64_t)1 << at % 64;
}

/* The 64 bits of a map from a bit of a word on. */
static inline uint64_t window(const uint64_t *word, int64_t shift)
{
    return word[0] >> shift | word[1] << 1 << (63 - shift);
}

/* Numbers the pixels of a side whose bits `all` are set. */
static int number_pixels(side *of, shape s)
{
    of->rank = malloc(s.words * sizeof *of->rank);
    if (!of->rank) return -1;
    for (int64_t word = 0; word < s.words; word++) {
        of->rank[word] = (int32_t)of->count;
        of->count += __builtin_popcountll(of->all[word]);
    }
    of->at = malloc((4 * of->count + 1) * sizeof *of->at);
    if (!of->at) return -1;
    of->partner = of->at + of->count, of->parent = of->partner + of->count, of->queue = of->parent + of->count;
    int64_t next = 0;
    for (int64_t word = 0; word < s.words; word++)
        for (uint64_t left = of->all[word]; left; left &= left - 1) {
            of->partner[next] = NOBODY;
            of->at[next++] = (int32_t)(64 * word + __builtin_ctzll(left));
        }
    return 0;
}

/* Makes the matching of a true map, which has no pair yet. */
static int prepare(matching *m, const uint64_t *truth, shape s, disk d)
{
    side *p = &m->predicted, *t = &m->truth;
    const int64_t room = s.words + 1; /* a window may reach behind the map */
    uint64_t *bits = p->all = calloc(8 * room, sizeof *bits);
    if (!bits) return -1;
    p->lonely = bits + room, p->taken = bits + 2 * room, p->open = bits + 3 * room;
    t->all = bits + 4 * room, t->lonely = bits + 5 * room, t->taken = bits + 6 * room, t->open = bits + 7 * room;
    memcpy(t->all, truth, s.words * sizeof *truth);
    memcpy(t->lonely, truth, s.words * sizeof *truth);
    if (number_pixels(t, s)) return -1;
    t->left = t->count;
    for (int64_t k = 0; k < t->count; k++) {
        int64_t from = t->at[k] - d.reach, shift = from % 64;
        for (int64_t w = 0; w < d.windows; w++) {
            uint64_t *word = p->all + from / 64 + d.step[w];
            word[0] |= d.mask[w] << shift, word[1] |= d.mask[w] >> 1 >> (63 - shift);
        }
    }
    return number_pixels(p, s);
}

static void release(matching *m)
{
    free(m->predicted.all), free(m->predicted.rank), free(m->predicted.at), free(m->truth.rank), free(m->truth.at);
    free(m->near.start), free(m->near.near), free(m->near.cursor), free(m->near.seen);
}

/* Gives every pixel on a path to a lonely one of the other side the next one's partner. */
static void pair_along(side *from, side *to, int32_t last, int64_t found)
{
    int32_t other = number(to, found), one = last, had;
    for (;; one = from->parent[one], other = had) {
        had = from->partner[one];
        from->partner[one] = other, to->partner[other] = one;
        if (had == NOBODY) break;
    }
    flip(from->lonely, from->at[one]), flip(from->taken, from->at[one]), flip(from->open, from->at[one]);
    flip(to->lonely, found), flip(to->taken, found), flip(to->open, found);
    from->left--, to->left--;
}

/* Searches a path from a lonely pixel to a lonely one of the other side, and pairs along it. A search in vain leaves
   those closed that it has visited: no path leads on from them. */
static void search(side *from, side *to, disk d, int32_t root)
{
    int32_t *const queue = from->queue;
    int64_t head = 0, tail = 0;
    queue[tail++] = root;
    while (head < tail) {
        const int32_t one = queue[head++];
        const int64_t begin = from->at[one] - d.reach, shift = begin % 64;
        const uint64_t *lonely = to->lonely + begin / 64, *open = to->open + begin / 64;
        uint64_t any = 0;
        for (int64_t w = 0; w < d.windows; w++) any |= window(lonely + d.step[w], shift) & d.mask[w];
        for (int64_t w = 0; any; w++) {
            uint64_t near = window(lonely + d.step[w], shift) & d.mask[w];
            if (!near) continue;
            while (--tail) flip(to->open, to->at[from->partner[queue[tail]]]);
            pair_along(from, to, one, begin + 64 * d.step[w] + __builtin_ctzll(near));
            return;
        }
        for (int64_t first = 0; first < d.windows; first += 64) {
            /* which windows are empty cannot be guessed, so that a branch for each would cost most of the time */
            uint64_t near[64], some = 0;
            int64_t count = d.windows - first < 64 ? d.windows - first : 64;
            for (int64_t w = 0; w < count; w++) {
                near[w] = window(open + d.step[first + w], shift) & d.mask[first + w];
                some |= (uint64_t)(near[w] != 0) << w;
            }
            for (; some; some &= some - 1) {
                int64_t w = __builtin_ctzll(some);
                for (; near[w]; near[w] &= near[w] - 1) {
                    int64_t at = begin + 64 * d.step[first + w] + __builtin_ctzll(near[w]);
                    int32_t next = to->partner[number(to, at)];
                    flip(to->open, at);
                    from->parent[next] = one, queue[tail++] = next;
                }
            }
        }
    }
}

/* Searches from all lonely pixels of one side. */
static void search_all(side *from, side *to, shape s, disk d)
{
    memcpy(to->open, to->taken, s.words * sizeof *to->open);
    for (int64_t word = 0; word < s.words && to->left; word++)
        for (uint64_t left = from->lonely[word]; left && to->left; left &= left - 1)
            search(from, to, d, number(from, 64 * word + __builtin_ctzll(left)));
}

/* Lists the true pixels near every predicted one. `offsets` are the n pixels of the disk, the nearest first, as row and
   column; its rows have the half widths `half`. */
static int list_near(matching *m, shape s, int64_t n, const int64_t *offsets, int64_t rows, const int64_t *half)
{
    lists *l = &m->near;
    const side *p = &m->predicted, *t = &m->truth;
    const int64_t reach = rows / 2;
    int32_t *begin = malloc((t->count * rows + 1) * sizeof *begin);
    int64_t *fill = malloc((p->count + 1) * sizeof *fill);
    l->start = calloc(p->count + 1, sizeof *l->start);
    l->near = malloc((t->count * n + 1) * sizeof *l->near);
    l->cursor = calloc(3 * p->count + 1, sizeof *l->cursor);
    l->seen = malloc((2 * t->count + 1) * sizeof *l->seen);
    int status = begin && fill && l->start && l->near && l->cursor && l->seen ? 0 : -1;
    if (!status) {
        l->look = l->cursor + p->count, l->entered = l->look + p->count, l->visited = l->seen + t->count;
        for (int64_t k = 0; k < t->count; k++)
            for (int64_t row = 0; row < rows; row++) {
                /* all pixels of a row of the disk may take part, so that they have numbers in a row */
                int32_t first = number(p, t->at[k] + (row - reach) * 64 * s.stride - half[row]);
                begin[k * rows + row] = first;
                for (int64_t c = first; c <= first + 2 * half[row]; c++) l->start[c + 1]++;
            }
        for (int64_t c = 0; c < p->count; c++) l->start[c + 1] += l->start[c];
        memcpy(fill, l->start, (p->count + 1) * sizeof *fill);
        for (int64_t j = 0; j < n; j++) {
            /* a true pixel at this offset from a predicted one sees that one on its other side */
            const int64_t row = reach - offsets[2 * j], place = half[row] - offsets[2 * j + 1];
            for (int64_t k = 0; k < t->count; k++) l->near[fill[begin[k * rows + row] + place]++] = (int32_t)k;
        }
    }
    free(begin), free(fill);
    return status;
}

/* Whether a path from a lonely predicted pixel ends at a lonely true one; if so, it is flipped. Where it does not, and no
   other search of this phase was in its way, none ever will at this threshold from the pixels that it has visited. */
static int augment(matching *m, int32_t root)
{
    side *p = &m->predicted, *t = &m->truth;
    lists *l = &m->near;
    int32_t *const stack = p->queue;
    int64_t top = 0, count = 0;
    int hindered = 0;
    stack[0] = root;
    l->search++;
    while (top >= 0) {
        const int32_t c = stack[top], *near = l->near + l->start[c], end = (int32_t)(l->start[c + 1] - l->start[c]);
        int32_t next = NOBODY;
        if (l->entered[c] < l->phase) {
            if (l->entered[c] < l->first) l->look[c] = 0;
            l->entered[c] = l->phase, l->cursor[c] = 0;
        }
        while (l->look[c] < end) {
            int32_t found = near[l->look[c]++];
            if (t->partner[found] != NOBODY) continue;
            l->seen[found] = l->search;
            flip(t->lonely, t->at[found]), flip(t->taken, t->at[found]);
            flip(p->lonely, p->at[root]), flip(p->taken, p->at[root]);
            t->left--, p->left--;
            for (; top >= 0; top--) {
                int32_t had = p->partner[stack[top]];
                p->partner[stack[top]] = found, t->partner[found] = stack[top], found = had;
            }
            return 1;
        }
        while (l->cursor[c] < end && next == NOBODY) {
            int32_t found = near[l->cursor[c]++];
            if (l->seen[found] < l->phase) {
                l->seen[found] = l->search, l->visited[count++] = found;
                next = t->partner[found];
            } else
                hindered |= l->seen[found] != l->search && l->seen[found] != IN_VAIN;
        }
        if (next == NOBODY) top--;
        else stack[++top] = next;
    }
    for (int64_t k = 0; k < count && !hindered; k++) l->seen[l->visited[k]] = IN_VAIN;
    return 0;
}

/* Runs phases from all lonely predicted pixels until one finds nothing. */
static void augment_all(matching *m, shape s)
{
    const side *p = &m->predicted;
    memset(m->near.seen, 0, m->truth.count * sizeof *m->near.seen);
    m->near.first = m->near.search + 1;
    for (int found = 1; found && m->truth.left;) {
        found = 0;
        m->near.phase = m->near.search + 1;
        for (int64_t word = 0; word < s.words; word++)
            for (uint64_t left = p->lonely[word]; left; left &= left - 1)
                found |= augment(m, number(p, 64 * word + __builtin_ctzll(left)));
    }
}

/* Grows what is left of the last matching into a maximum one for this prediction. */
static void match(matching *m, const uint64_t *predicted, shape s, disk d)
{
    side *p = &m->predicted, *t = &m->truth;
    p->left = 0;
    for (int64_t word = 0; word < s.words; word++) {
        uint64_t now = predicted[word] & p->all[word];
        for (uint64_t gone = p->taken[word] & ~now; gone; gone &= gone - 1) {
            int64_t at = 64 * word + __builtin_ctzll(gone);
            int32_t one = number(p, at), other = p->partner[one];
            p->partner[one] = t->partner[other] = NOBODY;
            flip(p->taken, at), flip(t->taken, t->at[other]), flip(t->lonely, t->at[other]);
            t->left++;
        }
        p->lonely[word] = now & ~p->taken[word];
        p->left += __builtin_popcountll(p->lonely[word]);
    }
    if (m->near.start) augment_all(m, s);
    else if (t->left < p->left) search_all(t, p, s, d);
    else search_all(p, t, s, d);
}
