/* str.c: strings in an arena, and the nearest name for "did you mean".
 *
 * Needs: an arena.  Gives: NUL-terminated strings that live as long as it.
 * Elsewhere: text that grows, numbers as text (text.c). */
#include "base.h"

#include <string.h>

const char *str_copy(Arena *a, const char *s, size_t n)
{
    char *copy = arena_alloc(a, n + 1);
    if (n)
        memcpy(copy, s, n);
    return copy;
}

const char *str_format(Arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        BUG("the format '%s' cannot be written", format);
    char *s = arena_alloc(a, (size_t)n + 1);
    va_start(args, format);
    vsnprintf(s, (size_t)n + 1, format, args);
    va_end(args);
    return s;
}

const char *str_list(Arena *a, const char *const *word, int n, const char *last)
{
    const char *list = word[0];
    for (int i = 1; i < n; i++)
        list = str_format(a, "%s%s%s", list, i + 1 < n ? ", " : last, word[i]);
    return list;
}

bool str_eq(const char *a, const char *b)
{
    if (!a || !b)
        return a == b;
    return strcmp(a, b) == 0;
}

enum { LONGEST = 64 }; /* no suggestion for longer names */

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* ---- hashes and sets ---- */
uint64_t str_hash(uint64_t h, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    return h;
}

static const char **slot_of(const StrSet *set, const char *s)
{
    int i = (int)(str_hash(STR_HASH, s, strlen(s)) % (uint64_t)set->room);
    while (set->slot[i] && !str_eq(set->slot[i], s))
        i = (i + 1) % set->room;
    return &set->slot[i];
}

bool str_set_add(StrSet *set, const char *s)
{
    if (2 * (set->n + 1) > set->room) {
        StrSet larger = {set->arena, NULL, set->n, 2 * set->room + 64};
        larger.slot = ARENA_NEW(set->arena, const char *, larger.room);
        for (int i = 0; i < set->room; i++)
            if (set->slot[i])
                *slot_of(&larger, set->slot[i]) = set->slot[i];
        *set = larger;
    }
    const char **slot = slot_of(set, s);
    if (*slot)
        return false;
    *slot = s;
    set->n++;
    return true;
}

/* ---- the nearest ---- */
/* Edit distance with exchange of neighbours (the restricted form of Damerau 1964), blind to case:
 * d(i, j) = min(d(i-1, j) + 1, d(i, j-1) + 1, d(i-1, j-1) + [a_i != b_j]), and at most d(i-2, j-2) + 1 if the last two
 * letters are exchanged. */
static int distance(const char *a, int na, const char *b, int nb)
{
    int row[3][LONGEST + 1];
    for (int j = 0; j <= nb; j++)
        row[0][j] = j;
    for (int i = 1; i <= na; i++) {
        int *now = row[i % 3], *before = row[(i + 2) % 3], *earlier = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= nb; j++) {
            int change = lower(a[i - 1]) != lower(b[j - 1]);
            now[j] = least(least(before[j] + 1, now[j - 1] + 1), before[j - 1] + change);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                now[j] = least(now[j], earlier[j - 2] + 1);
        }
    }
    return row[na % 3][nb];
}

const char *str_nearest(const char *name, const char *const *candidate, int n)
{
    size_t size = strlen(name);
    if (size > LONGEST)
        return NULL;
    const char *nearest = NULL;
    int best = (int)size / 3 + 1; /* one slip in three letters is a slip, two are another word */
    for (int i = 0; i < n; i++) {
        size_t other = strlen(candidate[i]);
        if (other > LONGEST)
            continue;
        int d = distance(name, (int)size, candidate[i], (int)other);
        if (d < best) {
            best = d;
            nearest = candidate[i];
        }
    }
    return nearest;
}
