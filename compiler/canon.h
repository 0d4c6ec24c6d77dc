/* canon.h: between canon.c and simplify.c. */
#ifndef NDEC_CANON_H
#define NDEC_CANON_H

#include "ir.h"

/* The same operation on the same operands? */
bool ins_equal(const Ins *a, const Ins *b);

/* What an instruction becomes: itself (neither), a value that is there, or another instruction. */
typedef struct Rewrite {
    bool is_value, is_ins;
    Val value;
    Ins ins;
} Rewrite;
/* The first row of simplify.def that matches ins, whose operands are values of fn. Rewrites keep the type. */
Rewrite simplify(Module *m, Fn *fn, const Ins *ins);

#endif
