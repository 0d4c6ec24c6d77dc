/* text.c: an indented writer, and numbers as text.
 *
 * Needs: an arena.  Gives: text that is always NUL-terminated; its lines have no trailing blanks. Whatever is written
 * at the start of a line is indented, by text_add too.
 * Elsewhere: what is written (the emitter, the printers of the trees). */
#include "base.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void reserve(Text *t, size_t more)
{
    if (t->room - t->n > more)
        return;
    size_t room = 2 * t->room + more + 64;
    char *at = arena_alloc(t->arena, room);
    if (t->n)
        memcpy(at, t->at, t->n);
    t->at = at;
    t->room = room;
}

Text text_new(Arena *a)
{
    Text t = {.arena = a};
    reserve(&t, 0);
    return t;
}

__attribute__((format(printf, 2, 0))) static void add(Text *t, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (n < 0)
        BUG("the format '%s' cannot be written", format);
    if (n == 0)
        return;
    int indent = t->n == 0 || t->at[t->n - 1] == '\n' ? 4 * t->depth : 0;
    reserve(t, (size_t)indent + (size_t)n);
    memset(t->at + t->n, ' ', (size_t)indent);
    t->n += (size_t)indent;
    vsnprintf(t->at + t->n, (size_t)n + 1, format, args);
    t->n += (size_t)n;
}

static void end_line(Text *t)
{
    while (t->n && t->at[t->n - 1] == ' ')
        t->n--;
    reserve(t, 1);
    t->at[t->n++] = '\n';
    t->at[t->n] = 0;
}

void text_add(Text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(t, format, args);
    va_end(args);
}

void text_line(Text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(t, format, args);
    va_end(args);
    end_line(t);
}

void text_open(Text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(t, format, args);
    va_end(args);
    end_line(t);
    t->depth++;
}

void text_close(Text *t, const char *format, ...)
{
    if (t->depth == 0)
        BUG("text is closed once more than it was opened");
    t->depth--;
    va_list args;
    va_start(args, format);
    add(t, format, args);
    va_end(args);
    end_line(t);
}

/* Digits and decimal exponent of a number as the C library writes them in %e. Its point is a sign of the locale, which
 * printing and reading agree on; it never gets into `digit`. */
typedef struct Decimal {
    char digit[24];
    int n, exponent; /* 0.d1 d2 d3 ... would have exponent + 1 */
} Decimal;

static bool reads_back(const char *s, double x, bool is_float)
{
    return is_float ? strtof(s, NULL) == (float)x : strtod(s, NULL) == x;
}

/* The fewest digits that read back as x > 0. 9 are enough for a float and 17 for a double (IEEE 754, 5.12.2). */
static Decimal shortest(double x, bool is_float)
{
    char s[64];
    for (int digits = 0; digits < (is_float ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG); digits++) {
        snprintf(s, sizeof s, "%.*e", digits, x);
        if (reads_back(s, x, is_float))
            break;
    }
    Decimal d = {.n = 0};
    const char *at = s;
    for (; *at != 'e'; at++)
        if (*at >= '0' && *at <= '9')
            d.digit[d.n++] = *at;
    d.exponent = atoi(at + 1);
    while (d.n > 1 && d.digit[d.n - 1] == '0')
        d.n--;
    return d;
}

const char *num_text(Arena *a, double x, bool is_float)
{
    if (is_float)
        x = (double)(float)x;
    if (!isfinite(x))
        BUG("a number that is written must be finite");
    const char *sign = signbit(x) ? "-" : "";
    if (x == 0)
        return str_format(a, "%s0.0", sign);
    Decimal d = shortest(fabs(x), is_float);
    int e = d.exponent;
    if (e < -5 || e > 15) {
        const char *point = d.n > 1 ? "." : "";
        return str_format(a, "%s%c%s%.*se%d", sign, d.digit[0], point, d.n - 1, d.digit + 1, e);
    }
    if (e < 0)
        return str_format(a, "%s0.%.*s%.*s", sign, -e - 1, "00000", d.n, d.digit);
    if (d.n > e + 1)
        return str_format(a, "%s%.*s.%.*s", sign, e + 1, d.digit, d.n - e - 1, d.digit + e + 1);
    return str_format(a, "%s%.*s%.*s.0", sign, d.n, d.digit, e + 1 - d.n, "0000000000000000");
}
