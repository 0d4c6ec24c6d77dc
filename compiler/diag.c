/* diag.c: messages: collected, sorted, printed with the source line and a caret.
 *
 * Owns: the messages of a compilation.  Needs: sources that live as long as the messages.  Gives: what the user reads,
 * in the order of the file, every message once.
 * Elsewhere: the sentences (diag.def), who reports what (every stage). */
#include "base.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 20, WIDTH = 120, TAB = 4 };

static const Severity severity_of[] = {
#define DIAG(id, severity, text) SEVERITY_##severity,
#include "diag.def"
#undef DIAG
};

typedef struct Note {
    Span span;
    const char *text;
    bool is_help;
} Note;

typedef struct Message {
    DiagId id;
    Severity severity;
    Span span;
    const char *text;
    int order; /* of reporting: keeps the sort stable */
    LIST(Note) notes;
} Message;

struct Diags {
    Arena *arena;
    LIST(Message *) messages;
    int errors;
};

Span span_join(Span a, Span b)
{
    if (a.source != b.source || !a.source)
        return a.source ? a : b;
    uint32_t end = b.at + b.n > a.at + a.n ? b.at + b.n : a.at + a.n;
    return (Span){.source = a.source, .at = a.at, .n = end - a.at};
}

/* Is it a byte that continues a UTF-8 character? */
static bool continues(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

void span_line(Span s, int *line, int *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; s.source && i < s.at && i < s.source->n; i++) {
        if (s.source->text[i] == '\n') {
            (*line)++;
            *column = 1;
        } else if (!continues(s.source->text[i])) {
            (*column)++;
        }
    }
}

Diags *diag_new(Arena *a)
{
    Diags *d = ARENA_NEW(a, Diags, 1);
    d->arena = a;
    return d;
}

__attribute__((format(printf, 2, 0))) static const char *format_text(Arena *a, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (n < 0)
        BUG("the format '%s' cannot be written", format);
    char *s = arena_alloc(a, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, format, args);
    return s;
}

void diag_report(Diags *d, DiagId id, Span span, const char *format, ...)
{
    Message *m = ARENA_NEW(d->arena, Message, 1);
    va_list args;
    va_start(args, format);
    m->text = format_text(d->arena, format, args);
    va_end(args);
    m->id = id;
    m->severity = severity_of[id];
    m->span = span;
    m->order = d->messages.n;
    d->errors += m->severity == SEVERITY_error;
    list_push(d->arena, d->messages, m);
}

static void add_note(Diags *d, Note note)
{
    if (d->messages.n == 0)
        BUG("a note without a message: %s", note.text);
    Message *m = d->messages.at[d->messages.n - 1];
    list_push(d->arena, m->notes, note);
}

void diag_note(Diags *d, Span span, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = format_text(d->arena, format, args);
    va_end(args);
    add_note(d, (Note){.span = span, .text = text});
}

void diag_help(Diags *d, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = format_text(d->arena, format, args);
    va_end(args);
    add_note(d, (Note){.text = text, .is_help = true});
}

int diag_errors(const Diags *d)
{
    return d->errors;
}

bool diag_has(const Diags *d, DiagId id)
{
    for (int i = 0; i < d->messages.n; i++)
        if (d->messages.at[i]->id == id)
            return true;
    return false;
}

const char *diag_first_error(const Diags *d)
{
    for (int i = 0; i < d->messages.n; i++)
        if (d->messages.at[i]->severity == SEVERITY_error)
            return d->messages.at[i]->text;
    return NULL;
}

/* Messages without a place first, then by file name and position. */
static int compare_places(const Message *a, const Message *b)
{
    if (!a->span.source || !b->span.source)
        return (a->span.source != NULL) - (b->span.source != NULL);
    int names = strcmp(a->span.source->name, b->span.source->name);
    if (names)
        return names;
    return (a->span.at > b->span.at) - (a->span.at < b->span.at);
}

static int compare(const void *left, const void *right)
{
    const Message *a = *(Message *const *)left, *b = *(Message *const *)right;
    int places = compare_places(a, b);
    return places ? places : (a->order > b->order) - (a->order < b->order);
}

/* Drops what says the same at the same place; the messages are sorted. */
static void drop_doubles(Diags *d)
{
    int kept = 0;
    for (int i = 0; i < d->messages.n; i++) {
        Message *m = d->messages.at[i];
        bool is_double = false;
        for (int j = kept - 1; j >= 0 && compare_places(d->messages.at[j], m) == 0 && !is_double; j--)
            is_double = str_eq(d->messages.at[j]->text, m->text);
        if (!is_double)
            d->messages.at[kept++] = m;
    }
    d->messages.n = kept;
}

typedef struct Printer {
    FILE *to;
    bool color;
} Printer;

typedef enum Tone { TONE_error, TONE_warning, TONE_note, TONE_help } Tone;
static const char *const tone_name[] = {"error", "warning", "note", "help"};
static const char *const tone_color[] = {"\033[1;31m", "\033[1;35m", "\033[1;36m", "\033[1;32m"};

/* `text` without the bytes that would steer a terminal. */
static void print_plain(FILE *to, const char *text)
{
    for (; *text; text++)
        fputc((unsigned char)*text < ' ' || *text == 0x7F ? '?' : *text, to);
}

/* file:line:column: error: sentence */
static void print_head(Printer p, Span span, Tone tone, const char *text)
{
    if (span.source) {
        int line, column;
        span_line(span, &line, &column);
        fputs(p.color ? "\033[1m" : "", p.to);
        print_plain(p.to, span.source->name);
        fprintf(p.to, ":%d:%d: %s", line, column, p.color ? "\033[0m" : "");
    }
    fprintf(p.to, "%s%s: %s", p.color ? tone_color[tone] : "", tone_name[tone], p.color ? "\033[0m" : "");
    print_plain(p.to, text);
    fputc('\n', p.to);
}

/* A source line while it is laid out in columns: tabs are blanks up to the next multiple of TAB. */
typedef struct Line {
    const char *at;
    size_t n;       /* bytes, without line end and trailing blanks */
    int start, end; /* columns of the caret and behind its tail */
    int width;      /* columns in all */
    int from, to;   /* columns that are shown */
} Line;

/* The columns that the character at s takes, and its bytes. */
static int columns(const char *s, size_t n, int column, size_t *bytes)
{
    *bytes = 1;
    if (*s == '\t')
        return TAB - column % TAB;
    while (*bytes < n && continues(s[*bytes]))
        ++*bytes;
    return 1;
}

static Line lay_out(Span span)
{
    const Source *source = span.source;
    size_t at = span.at < source->n ? span.at : source->n, first = at, end = at;
    while (first > 0 && source->text[first - 1] != '\n')
        first--;
    while (end < source->n && source->text[end] != '\n')
        end++;
    while (end > first && strchr(" \t\r", source->text[end - 1]) && source->text[end - 1])
        end--;
    Line line = {.at = source->text + first, .n = end - first, .start = -1, .end = -1};
    size_t caret = at - first, tail = caret + (span.n ? span.n : 1), bytes;
    for (size_t i = 0; i < line.n; i += bytes) {
        if (line.start < 0 && i >= caret)
            line.start = line.width;
        if (i < tail)
            line.end = line.width + 1;
        line.width += columns(line.at + i, line.n - i, line.width, &bytes);
    }
    if (line.start < 0)
        line.start = line.width;
    if (line.end <= line.start)
        line.end = line.start + 1;
    line.to = line.width;
    if (line.width > WIDTH) {
        line.from = line.start > WIDTH / 2 ? line.start - WIDTH / 3 : 0;
        line.to = line.from + WIDTH - 6 < line.width ? line.from + WIDTH - 6 : line.width;
    }
    return line;
}

static void print_line(FILE *to, const Line *line)
{
    fputs(line->from > 0 ? "..." : "", to);
    size_t bytes;
    for (size_t i = 0, column = 0; i < line->n; i += bytes) {
        int wide = columns(line->at + i, line->n - i, (int)column, &bytes);
        bool is_control = (unsigned char)line->at[i] < ' ' || line->at[i] == 0x7F;
        bool is_broken = ((unsigned char)line->at[i] >= 0x80) != (bytes > 1);
        for (int w = 0; w < wide; w++, column++) {
            if ((int)column < line->from || (int)column >= line->to)
                continue;
            if (line->at[i] == '\t')
                fputc(' ', to);
            else if (is_control || is_broken)
                fputc('?', to);
            else
                fwrite(line->at + i, 1, bytes, to);
        }
    }
    fputs(line->to < line->width ? "..." : "", to);
}

static void print_excerpt(Printer p, Span span)
{
    Line line = lay_out(span);
    int number, column;
    span_line(span, &number, &column);
    fprintf(p.to, " %4d |%s", number, line.n ? " " : "");
    print_line(p.to, &line);
    fprintf(p.to, "\n      | %s", p.color ? "\033[1;32m" : "");
    int before = line.start - line.from + (line.from > 0 ? 3 : 0);
    fprintf(p.to, "%*s^", before, "");
    for (int c = line.start + 1; c < line.end && (c < line.to || line.to == line.width); c++)
        fputc('~', p.to);
    fprintf(p.to, "%s\n", p.color ? "\033[0m" : "");
}

static void print_message(Printer p, const Message *m)
{
    print_head(p, m->span, m->severity == SEVERITY_error ? TONE_error : TONE_warning, m->text);
    if (m->span.source)
        print_excerpt(p, m->span);
    for (int i = 0; i < m->notes.n; i++) {
        const Note *note = &m->notes.at[i];
        print_head(p, note->span, note->is_help ? TONE_help : TONE_note, note->text);
        if (note->span.source)
            print_excerpt(p, note->span);
    }
}

int diag_print(Diags *d, FILE *to, bool color)
{
    if (d->messages.n)
        qsort(d->messages.at, (size_t)d->messages.n, sizeof *d->messages.at, compare);
    drop_doubles(d);
    int errors = 0, warnings = 0, printed = 0;
    for (int i = 0; i < d->messages.n; i++)
        errors += d->messages.at[i]->severity == SEVERITY_error;
    int room = errors < MOST ? MOST - errors : 0; /* for warnings: an error is never left out for one */
    for (int i = 0; i < d->messages.n && printed < MOST; i++) {
        const Message *m = d->messages.at[i];
        if (m->severity == SEVERITY_warning && warnings++ >= room)
            continue;
        print_message((Printer){.to = to, .color = color}, m);
        printed++;
    }
    if (d->messages.n > printed)
        fprintf(to, "... and %d more\n", d->messages.n - printed);
    return errors;
}

_Noreturn void bug(const char *file, int line, const char *format, ...)
{
    fflush(stdout);
    fprintf(stderr, "ndec: internal error at %s:%d: ", file, line);
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("\nThis is a mistake in ndec " NDEC_VERSION ", not in your model. Please report these two lines together "
          "with the model and the command.\n",
          stderr);
    exit(70);
}
