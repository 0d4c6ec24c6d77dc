/* toolchain.h: from C text to a program: the host's C compiler, the runtime's files, the cache. */
#ifndef NDEC_TOOLCHAIN_H
#define NDEC_TOOLCHAIN_H

#include "isa.h"
#include "model.h"

typedef struct Target {
    const Isa *isa;
    bool is_draft; /* compiled quickly: the C compiler does not optimise */
} Target;

/* Compiles the model for an instruction set to the program `binary` (written under another name and renamed). 0, or an
 * exit code after a message on stderr. The C compiler's own words go into a file that the message names. */
int toolchain_build(Arena *a, const Model *model, Target target, const char *binary);
/* The path of a program for the model, built unless the cache holds it: $XDG_CACHE_HOME/ndec or ~/.cache/ndec. NULL
 * after a message, with the exit code in *code. */
const char *toolchain_cached(Arena *a, const Model *model, Target target, int *code);
/* The generated C, for the model's own number type or for float64. */
const char *toolchain_text(Arena *a, const Model *model, bool is_double, bool with_main);
/* Writes a file under a temporary name, syncs and renames it. False after a message. */
bool toolchain_write(Arena *a, const char *path, const char *text);

#endif
