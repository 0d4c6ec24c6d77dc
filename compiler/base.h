/* base.h: what every stage may use: memory with a lifetime, text, source positions, messages.
 *
 * Ownership: everything that a stage returns lies in the Arena it was given and is freed with it. Names are
 * NUL-terminated strings in an arena; compare them with str_eq. */
#ifndef NDEC_BASE_H
#define NDEC_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define NDEC_VERSION "0.1"

/* ---- arena.c: memory that is given back all at once ---- */
typedef struct Arena Arena;
typedef struct Mark {
    void *chunk;
    size_t used;
} Mark;
Arena *arena_new(void);
void arena_free(Arena *a);
/* n bytes, zeroed, aligned for anything. Never returns NULL: no memory is a fatal message and exit 70. */
void *arena_alloc(Arena *a, size_t n);
Mark arena_mark(Arena *a);
void arena_release(Arena *a, Mark mark);
#define ARENA_NEW(arena, T, n) ((T *)arena_alloc((arena), sizeof(T) * (size_t)(n)))

/* A growing array in an arena:  LIST(int) xs = {0};  list_push(arena, xs, 3);  xs.at[0], xs.n */
#define LIST(T)      \
    struct {         \
        T *at;       \
        int n, room; \
    }
#define list_push(arena, list, item)                                                       \
    ((list).at = list_grow((arena), (list).at, (list).n, &(list).room, sizeof *(list).at), \
     (list).at[(list).n++] = (item))
void *list_grow(Arena *a, void *at, int n, int *room, size_t size);

/* ---- str.c: strings in an arena ---- */
const char *str_copy(Arena *a, const char *s, size_t n);
const char *str_format(Arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool str_eq(const char *a, const char *b);
/* n > 0 words: "a, b or c", where last is " or ". */
const char *str_list(Arena *a, const char *const *word, int n, const char *last);
/* FNV-1a, 64 bits (Fowler, Noll & Vo), of n bytes behind what gave h; the first h is STR_HASH. */
#define STR_HASH 0xcbf29ce484222325u
uint64_t str_hash(uint64_t h, const char *s, size_t n);
/* A set of strings, which it does not copy: {.arena = a}. Adding: false if it was there. */
typedef struct StrSet {
    Arena *arena;
    const char **slot;
    int n, room;
} StrSet;
bool str_set_add(StrSet *set, const char *s);
/* The candidate nearest to `name` by edit distance, or NULL if none is near enough to suggest. */
const char *str_nearest(const char *name, const char *const *candidate, int n);

/* ---- text.c: an indented writer; the only code that prints a number into C ---- */
typedef struct Text {
    Arena *arena;
    char *at;
    size_t n, room;
    int depth; /* of indentation, four blanks each */
} Text;
Text text_new(Arena *a);
void text_add(Text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));   /* no line end */
void text_line(Text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));  /* indented, with line end */
void text_open(Text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));  /* line, then deeper */
void text_close(Text *t, const char *format, ...) __attribute__((format(printf, 2, 3))); /* shallower, then line */
/* The shortest decimal text that reads back as the same number: of a float if is_float, else of a double. Always with
 * a point or an exponent, never locale dependent; no suffix. Infinities and NaN are a bug of the caller. */
const char *num_text(Arena *a, double x, bool is_float);

/* ---- diag.c: messages, rows of diag.def ---- */
typedef struct Source {
    const char *name; /* as the user wrote it */
    const char *text;
    size_t n;
    bool is_prelude;
} Source;
/* The file at path, or NULL if it cannot be read. */
const Source *source_read(Arena *a, const char *path);
typedef struct Span {
    const Source *source;
    uint32_t at, n; /* offset and length in bytes */
} Span;
/* The span from the start of a to the end of b. */
Span span_join(Span a, Span b);
/* 1-based line and column of an offset. */
void span_line(Span s, int *line, int *column);

typedef enum Severity { SEVERITY_error, SEVERITY_warning } Severity;
#define DIAG(id, severity, text) DIAG_##id,
typedef enum DiagId {
#include "diag.def"
    DIAG_COUNT
} DiagId;
#undef DIAG
#define DIAG(id, severity, text) static const char diag_text_##id[] __attribute__((unused)) = text;
#include "diag.def"
#undef DIAG

typedef struct Diags Diags;
Diags *diag_new(Arena *a);
void diag_report(Diags *d, DiagId id, Span span, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* A second place or a suggestion that belongs to the last report. The span of a help may be empty (source NULL). */
void diag_note(Diags *d, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_help(Diags *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
int diag_errors(const Diags *d);
/* Is there a message of this row? The first error's sentence, or NULL. */
bool diag_has(const Diags *d, DiagId id);
const char *diag_first_error(const Diags *d);
/* Sorted by file and position, doubles dropped, at most 20, colours only if `color`. Returns the number of errors. */
int diag_print(Diags *d, FILE *to, bool color);

/* ---- familiar.c: words of other tools ---- */
/* How `word` is written here, or NULL; place: `solve` or `train`, of clauses, `statement`, `expression` or `member`. */
const char *familiar_text(const char *place, const char *word);
/* Says so as the help of the last message; false if it is no word of other tools. */
bool familiar_help(Diags *d, const char *place, const char *word);
#define DIAG_AT(d, id, span, ...) diag_report((d), DIAG_##id, (span), diag_text_##id, __VA_ARGS__)
#define DIAG_PLAIN(d, id, span) diag_report((d), DIAG_##id, (span), "%s", diag_text_##id)

/* An impossible state: prints the sentence, how to report it, and exits 70. */
_Noreturn void bug(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define BUG(...) bug(__FILE__, __LINE__, __VA_ARGS__)

#endif
