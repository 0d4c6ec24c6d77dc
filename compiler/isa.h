/* isa.h: the instruction sets that a program can be built for: the rows of isa.def. */
#ifndef NDEC_ISA_H
#define NDEC_ISA_H

#include "base.h"

typedef struct Isa {
    const char *name, *what;
    const char *flag; /* for the C compiler; NULL: several sets */
    bool is_here;     /* for the kind of machine that ndec and its runtime are built for */
    bool is_level;    /* a fixed set, one of those that `all` builds */
} Isa;

enum {
#define ISA(name, machine, flag, is_level, what) ISA_##name,
#include "isa.def"
#undef ISA
    ISA_COUNT
};

extern const Isa isa_row[ISA_COUNT];

/* The row of that name; NULL after a message if there is none for this kind of machine. */
const Isa *isa_find(const char *name);
/* "native, v2, ...", a line: those for this kind of machine. */
void isa_list(FILE *to);
/* What tells this processor from others that `native` would build another program for. */
const char *isa_processor(Arena *a);

#endif
