/* error.h: how the runtime says that something failed.
 *
 * Owns: NdeError, one message for the user and the exit code that goes with it. A function that can fail takes an
 * NdeError, and returns 0 or that exit code. A message says what is wrong, where, and what to do next.
 * Elsewhere: numerical outcomes of a solve, which are statuses and not errors. */
#ifndef NDE_ERROR_H
#define NDE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

enum {
    NDE_EXIT_FILE = 2,    /* wrong use, or a file that cannot be read or written */
    NDE_EXIT_DATA = 4,    /* a file was read, and what it holds is wrong */
    NDE_EXIT_MEMORY = 70, /* no memory left, or a fault of the program */
};

typedef struct NdeError {
    int exit_code;
    char text[1024];
} NdeError;

/* Fills the message in (a longer one is cut; control characters other than the line end become '?', since names in it
 * may come from a hostile file) and returns the exit code. */
int nde_fail(NdeError *e, int exit_code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Room for count things of that size, zeroed, to be freed with free(); NULL with the message filled in when there is
 * none. Never NULL for count = 0. */
void *nde_allocate(size_t count, size_t size, NdeError *e);

/* The same block with another size, as by realloc(); new bytes are not zeroed. NULL leaves the old block as it was. */
void *nde_enlarge(void *old, size_t count, size_t size, NdeError *e);

/* A copy of a string, or NULL. */
char *nde_copy_text(const char *text, NdeError *e);

/* The word as a shell reads it, in quotes where it needs them; at most 4 times as long, and 3 bytes. A longer one is
 * cut.
 */
void nde_shell_word(const char *word, char *out, size_t size);

/* *product *= factor; false when that is too large for a size_t (*product is then undefined). */
bool nde_times(size_t *product, size_t factor);

#endif
