/* cache.h: files that ndec keeps between its runs, each in an entry of its own. */
#ifndef NDEC_CACHE_H
#define NDEC_CACHE_H

#include "base.h"

typedef struct Entry {
    const char *path; /* of the file, be it there or not */
    int lock;         /* a descriptor: as long as it is open, here or in a program started from here, the entry stays */
    bool is_whole;    /* the file is there */
} Entry;

/* The entry of a hash, whose file is called `name`; it counts as used now. Its folder is made. False after a message.
 */
bool cache_open(Arena *a, uint64_t hash, const char *name, Entry *out);
void cache_close(Entry *entry);
/* Gives a finished file its name, once all of it is on the disk. False, with errno, if that fails. */
bool cache_publish(const char *part, const char *path);
/* Removes what has not been used for long, and what is too much, the longest unused first; never what is in use. */
void cache_trim(Arena *a);

#endif
