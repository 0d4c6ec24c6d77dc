/* error.c: messages and memory.
 *
 * Needs: nothing. Gives: a filled NdeError, and allocation that reports instead of crashing.
 * Elsewhere: who prints the message and exits (the program). */
#define _DEFAULT_SOURCE /* madvise */
#include "error.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

int nde_fail(NdeError *e, int exit_code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (vsnprintf(e->text, sizeof e->text, format, args) < 0)
        e->text[0] = '\0';
    va_end(args);
    for (char *c = e->text; *c; c++)
        if (((unsigned char)*c < ' ' && *c != '\n') || *c == 0x7f)
            *c = '?';
    e->exit_code = exit_code;
    return exit_code;
}

static void *no_memory(NdeError *e, size_t count, size_t size)
{
    nde_fail(e, NDE_EXIT_MEMORY,
             "out of memory: no room for %zu elements of %zu bytes; use less data or a machine with more memory", count,
             size);
    return NULL;
}

bool nde_times(size_t *product, size_t factor)
{
    if (factor != 0 && *product > SIZE_MAX / factor)
        return false;
    *product *= factor;
    return true;
}

/* Large arrays are streamed through once a step: asks for large pages, of which a processor keeps all addresses at
 * hand. A refusal changes nothing but the speed. */
static void large_pages(void *p, size_t bytes)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    enum { LEAST = 1 << 22 };
    if (bytes < LEAST)
        return;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = ((uintptr_t)p + page - 1) / page * page;
    (void)madvise((void *)from, ((uintptr_t)p + bytes - from) / page * page, MADV_HUGEPAGE);
#else
    (void)p, (void)bytes;
#endif
}

void *nde_allocate(size_t count, size_t size, NdeError *e)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p)
        return no_memory(e, count, size);
    large_pages(p, count * size);
    return p;
}

void *nde_enlarge(void *old, size_t count, size_t size, NdeError *e)
{
    size_t bytes = count;
    if (!nde_times(&bytes, size) || bytes > PTRDIFF_MAX)
        return no_memory(e, count, size);
    void *p = realloc(old, bytes ? bytes : 1);
    if (!p)
        return no_memory(e, count, size);
    large_pages(p, bytes);
    return p;
}

char *nde_copy_text(const char *text, NdeError *e)
{
    size_t n = strlen(text) + 1;
    char *copy = nde_allocate(n, 1, e);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

void nde_shell_word(const char *word, char *out, size_t size)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=./,:@%";
    if (*word && strspn(word, plain) == strlen(word)) {
        snprintf(out, size, "%s", word);
        return;
    }
    size_t n = (size_t)snprintf(out, size, "'");
    for (; *word && n < size; word++)
        n += (size_t)snprintf(out + n, size - n, *word == '\'' ? "'\\''" : "%c", *word);
    if (n < size)
        snprintf(out + n, size - n, "'");
}
