/* json.c: numbers as text and objects as lines of JSON.
 *
 * Needs: POSIX locales, so that a host program's locale changes nothing. Gives: the last part of io.h.
 * Elsewhere: reading JSON (cJSON, in safetensors.c). */
#include "io.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The "C" locale for this thread; the C library keeps it as a constant, so this neither allocates nor fails. */
static locale_t plain_locale(void)
{
    return uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
}

static bool is_same(const char *text, double x, bool is_float)
{
    return is_float ? strtof(text, NULL) == (float)x : strtod(text, NULL) == x;
}

/* A whole number of at most DIG digits, as %.DIGg writes it. */
static void whole_text(double x, char *out)
{
    char digit[DBL_DIG + 1];
    int n = 0;
    if (signbit(x))
        *out++ = '-';
    for (uint64_t rest = (uint64_t)fabs(x); n == 0 || rest > 0; rest /= 10)
        digit[n++] = (char)('0' + rest % 10);
    while (n > 0)
        *out++ = digit[--n];
    *out = '\0';
}

/* A number with at most six digits behind its point, as %.15g writes it, since it has at most 15 in all: seconds in a
 * log. False: it is no such number. */
static bool short_text(double x, char *out)
{
    double millionths = fabs(x) * 1e6, whole = trunc(fabs(x));
    if (!(fabs(x) >= 1e-4 && millionths < 1e15) || round(millionths) / 1e6 != fabs(x))
        return false;
    uint64_t rest = (uint64_t)(round(millionths) - whole * 1e6);
    whole_text(copysign(whole, x), out);
    out += strlen(out);
    *out++ = '.';
    for (uint64_t unit = 100000; rest > 0; rest %= unit, unit /= 10)
        *out++ = (char)('0' + rest / unit);
    *out = '\0';
    return true;
}

/* A decimal of at most DIG digits survives the way through binary, so %.DIGg (which drops zeros at the end) is shortest
 * if it is exact at all. Numbers below the normal range have fewer digits, so the search starts at one. */
void nde_number_text(double x, bool is_float, char out[NDE_NUMBER_TEXT])
{
    if (isnan(x) || isinf(x)) {
        strcpy(out, isnan(x) ? "nan" : x < 0 ? "-inf" : "inf");
        return;
    }
    if (fabs(x) < (is_float ? 1e6 : 1e15) && x == trunc(x)) {
        whole_text(x, out);
        return;
    }
    if (!is_float && short_text(x, out))
        return;
    locale_t before = plain_locale();
    int digits = is_float ? FLT_DIG : DBL_DIG;
    if (fabs(x) < (is_float ? (double)FLT_MIN : DBL_MIN))
        digits = 1;
    do
        snprintf(out, NDE_NUMBER_TEXT, "%.*g", digits, x);
    while (!is_same(out, x, is_float) && digits++ < DBL_DECIMAL_DIG);
    uselocale(before);
}

static size_t digits_at(const char *text, size_t i, size_t n)
{
    size_t start = i;
    while (i < n && text[i] >= '0' && text[i] <= '9')
        i++;
    return i - start;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before or after the point; gives its length or 0. */
static size_t number_length(const char *text, size_t n)
{
    size_t i = n > 0 && (text[0] == '+' || text[0] == '-');
    size_t whole = digits_at(text, i, n), fraction = 0;
    i += whole;
    if (i < n && text[i] == '.') {
        fraction = digits_at(text, i + 1, n);
        i += 1 + fraction;
    }
    if (whole + fraction == 0)
        return 0;
    if (i < n && (text[i] == 'e' || text[i] == 'E')) {
        size_t sign = i + 1 < n && (text[i + 1] == '+' || text[i + 1] == '-');
        size_t power = digits_at(text, i + 1 + sign, n);
        if (power == 0)
            return 0;
        i += 1 + sign + power;
    }
    return i;
}

/* Zeros and digits beyond 300 cannot all matter, but cutting them would; such a number is refused as too long. */
bool nde_number_read(const char *text, size_t n, double *out)
{
    char copy[320];
    while (n > 0 && (*text == ' ' || *text == '\t'))
        text++, n--;
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    if (n == 0 || n >= sizeof copy || number_length(text, n) != n)
        return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    locale_t before = plain_locale();
    *out = strtod(copy, NULL);
    uselocale(before);
    return isfinite(*out);
}

/* ---- objects ---- */

/* Keeps room for n more bytes and a NUL. */
static bool has_room(NdeJson *j, size_t n)
{
    if (j->is_short)
        return false;
    if (j->n + n < j->room)
        return true;
    NdeError e;
    size_t room = (j->n + n + 64) * 2;
    char *more = nde_enlarge(j->at, room, 1, &e);
    if (!more) {
        j->is_short = true;
        return false;
    }
    j->at = more;
    j->room = room;
    return true;
}

static void add(NdeJson *j, const char *text, size_t n)
{
    if (!has_room(j, n))
        return;
    memcpy(j->at + j->n, text, n);
    j->n += n;
    j->at[j->n] = '\0';
}

/* The bytes of the UTF-8 sequence at s (RFC 3629, section 4), or 0 if there is none. */
static int utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    int n = s[0] >= 0xC2 && s[0] < 0xE0 ? 2 : (s[0] & 0xF0) == 0xE0 ? 3 : s[0] >= 0xF0 && s[0] < 0xF5 ? 4 : 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    bool is_overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
    bool is_outside = (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF4 && s[1] > 0x8F);
    return n && !is_overlong && !is_outside ? n : 0;
}

/* Bytes that stand for themselves. */
static size_t plain_length(const unsigned char *s)
{
    size_t n = 0;
    while (s[n] >= ' ' && s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
        n++;
    return n;
}

static void add_quoted(NdeJson *j, const char *text)
{
    static const char letters[] = "\"\"\\\\\nn\tt\rr\bb\ff";
    const unsigned char *s = (const unsigned char *)text;
    add(j, "\"", 1);
    for (;;) {
        size_t plain = plain_length(s);
        add(j, (const char *)s, plain);
        s += plain;
        if (!*s)
            break;
        const char *pair = NULL;
        for (const char *p = letters; *p && !pair; p += 2)
            pair = *p == (char)*s ? p : NULL;
        char escape[8];
        int n = utf8_length(s);
        if (pair)
            add(j, escape, (size_t)snprintf(escape, sizeof escape, "\\%c", pair[1]));
        else if (*s < ' ' || *s == 0x7f)
            add(j, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", *s));
        else if (n)
            add(j, (const char *)s, (size_t)n);
        else
            add(j, "\xEF\xBF\xBD", 3);
        s += n ? n : 1;
    }
    add(j, "\"", 1);
}

/* What stands before a value: a comma unless it is the first in its bracket, and the key. */
static void add_key(NdeJson *j, const char *key)
{
    if (j->n > 0 && j->at && j->at[j->n - 1] != '{' && j->at[j->n - 1] != '[')
        add(j, ",", 1);
    if (key) {
        add_quoted(j, key);
        add(j, ":", 1);
    }
}

void nde_json_begin(NdeJson *j)
{
    j->n = 0;
    j->is_short = false;
    add(j, "{", 1);
}

void nde_json_open(NdeJson *j, const char *key, char bracket)
{
    add_key(j, key);
    add(j, &bracket, 1);
}

void nde_json_close(NdeJson *j, char bracket)
{
    add(j, &bracket, 1);
}

void nde_json_number(NdeJson *j, const char *key, double x)
{
    char text[NDE_NUMBER_TEXT] = "null";
    if (isfinite(x))
        nde_number_text(x, false, text);
    add_key(j, key);
    add(j, text, strlen(text));
}

/* At most nine digits tell any two float32 apart (FLT_DECIMAL_DIG). */
void nde_json_figure(NdeJson *j, const char *key, double x)
{
    char text[NDE_NUMBER_TEXT] = "null";
    locale_t before = plain_locale();
    if (isfinite(x))
        snprintf(text, sizeof text, "%.*g", FLT_DECIMAL_DIG, x);
    uselocale(before);
    add_key(j, key);
    add(j, text, strlen(text));
}

void nde_json_integer(NdeJson *j, const char *key, long long x)
{
    char text[NDE_NUMBER_TEXT];
    add_key(j, key);
    add(j, text, (size_t)snprintf(text, sizeof text, "%lld", x));
}

void nde_json_boolean(NdeJson *j, const char *key, bool x)
{
    add_key(j, key);
    add(j, x ? "true" : "false", x ? 4 : 5);
}

void nde_json_text(NdeJson *j, const char *key, const char *x)
{
    add_key(j, key);
    add_quoted(j, x);
}

static int written(bool is_written, const char *path, NdeError *e)
{
    if (is_written)
        return 0;
    return nde_fail(e, NDE_EXIT_FILE, "cannot write to '%s': %s; free some space and try again", path ? path : "a file",
                    errno ? strerror(errno) : "writing failed");
}

int nde_json_end(NdeJson *j, FILE *to, const char *path, NdeError *e)
{
    add(j, "}\n", 2);
    if (j->is_short)
        return nde_fail(e, NDE_EXIT_MEMORY, "out of memory while writing a line to '%s'", path ? path : "a file");
    errno = 0;
    return written(!to || fwrite(j->at, 1, j->n, to) == j->n, path, e);
}

int nde_json_flush(FILE *to, const char *path, NdeError *e)
{
    errno = 0;
    return written(fflush(to) == 0, path, e);
}

void nde_json_free(NdeJson *j)
{
    free(j->at);
    *j = (NdeJson){0};
}
