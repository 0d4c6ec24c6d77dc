/* arena.c: memory that is given back all at once.
 *
 * Owns: the chunks of an arena.  Needs: nothing but malloc.  Gives: zeroed memory that no one frees singly, and marks
 * for scratch work.  A debug build with -DARENA_MALLOC gives every allocation a chunk of its own, so that a sanitizer
 * sees each overrun.
 * Elsewhere: strings (str.c), growing text (text.c). */
#include "base.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif

#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(at, n) ASAN_POISON_MEMORY_REGION((at), (n))
#define UNPOISON(at, n) ASAN_UNPOISON_MEMORY_REGION((at), (n))
#else
#define POISON(at, n) ((void)(at), (void)(n))
#define UNPOISON(at, n) ((void)(at), (void)(n))
#endif

#ifdef ARENA_MALLOC
enum { CHUNK = 0 };
#else
enum { CHUNK = 64 * 1024 - 64 }; /* with malloc's own bytes about 64 KiB */
#endif

typedef struct Chunk {
    struct Chunk *before;
    size_t room, used;
    max_align_t at[];
} Chunk;

struct Arena {
    Chunk *last;
};

static _Noreturn void no_memory(size_t n)
{
    fprintf(stderr, "ndec: out of memory: %zu bytes could not be had\n", n);
    exit(70);
}

Arena *arena_new(void)
{
    Arena *a = calloc(1, sizeof *a);
    if (!a)
        no_memory(sizeof *a);
    return a;
}

static void drop_last(Arena *a)
{
    Chunk *chunk = a->last;
    a->last = chunk->before;
    UNPOISON(chunk->at, chunk->room);
    free(chunk);
}

void arena_free(Arena *a)
{
    if (!a)
        return;
    while (a->last)
        drop_last(a);
    free(a);
}

static void add_chunk(Arena *a, size_t n)
{
    size_t room = n > CHUNK ? n : CHUNK;
    Chunk *chunk = room <= SIZE_MAX - sizeof *chunk ? malloc(sizeof *chunk + room) : NULL;
    if (!chunk)
        no_memory(n);
    *chunk = (Chunk){.before = a->last, .room = room};
    POISON(chunk->at, room);
    a->last = chunk;
}

void *arena_alloc(Arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        no_memory(n);
    size_t whole = (n + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    if (!a->last || whole > a->last->room - a->last->used)
        add_chunk(a, whole);
    char *at = (char *)a->last->at + a->last->used;
    a->last->used += whole;
    UNPOISON(at, n);
    return memset(at, 0, n);
}

Mark arena_mark(Arena *a)
{
    return (Mark){.chunk = a->last, .used = a->last ? a->last->used : 0};
}

void arena_release(Arena *a, Mark mark)
{
    while (a->last && a->last != mark.chunk)
        drop_last(a);
    if (!a->last)
        return;
    POISON((char *)a->last->at + mark.used, a->last->room - mark.used);
    a->last->used = mark.used;
}

void *list_grow(Arena *a, void *at, int n, int *room, size_t size)
{
    if (n < *room)
        return at;
    if (*room > INT32_MAX / 2)
        no_memory(SIZE_MAX);
    *room = *room ? 2 * *room : 8;
    void *grown = arena_alloc(a, (size_t)*room * size);
    if (n)
        memcpy(grown, at, (size_t)n * size);
    return grown;
}
