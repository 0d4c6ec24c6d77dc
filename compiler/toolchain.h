/* toolchain.h: from C text to a program: the host's C compiler, the runtime's files. */
#ifndef NDEC_TOOLCHAIN_H
#define NDEC_TOOLCHAIN_H

#include "isa.h"
#include "model.h"

/* What differs between rows of `compare`, in the order of NdeChoice in runtime/nde.h. */
enum { COMPARE_METHOD, COMPARE_ADJOINT, COMPARE_BATCHING, COMPARE_CONTROLLER, COMPARE_PARTS };

/* A row of `compare`: the file with other choices, as its clauses would say them. */
typedef struct Alternative {
    const char *choice[COMPARE_PARTS];
    const Model *model;  /* the first row's where only the controller differs; NULL: these choices do not go together */
    const char *refusal; /* why */
    const char *control; /* the row of control.def that takes the place of the model's; NULL: none does */
    const double *gain;  /* [3] of it, or NULL: as its row has them */
} Alternative;

/* What a program is made of: a model, and for the command `compare` alternatives, of which the first one is the model
 * itself, and a model whose float64 code is taken for the truth. */
typedef struct Program {
    const Model *model;
    LIST(Alternative) alternatives;
    const Model *reference;
    bool is_draft; /* compiled quickly: the C compiler does not optimise */
} Program;

/* Compiles a program for an instruction set to the file `binary` (written under another name and renamed). 0, or an
 * exit code after a message on stderr. The C compiler's own words go into a file that the message names. */
int toolchain_build(Arena *a, const Program *program, const Isa *isa, const char *binary);
/* The path of the program, built unless the cache (cache.c) holds it, which keeps it until the caller, and the program
 * that takes its place, have ended. NULL after a message, with the exit code in *code. */
const char *toolchain_cached(Arena *a, const Program *program, const Isa *isa, int *code);
/* The generated C, for the model's own number type or for float64. */
const char *toolchain_text(Arena *a, const Model *model, bool is_double, bool with_main);
/* False after a message if a file that will be written is the model. */
bool toolchain_spares(const Model *model, const char *path);
/* Makes the folder unless it is there; not those that it would stand in. False after a message. */
bool toolchain_folder(const char *path);
/* Writes a file under a temporary name, syncs and renames it. False after a message. */
bool toolchain_write(Arena *a, const char *path, const char *text);

#endif
