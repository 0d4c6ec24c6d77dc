/* canon.h: between canon.c, simplify.c and form.c. */
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

/* A function on its way to its canonical form; the value of it that equals ins, whose operands are values of it. */
typedef struct Canon Canon;
const Fn *canon_fn(const Canon *c);
Arena *canon_arena(const Canon *c);
Val canon_make(Canon *c, Ins ins);
/* What ins is by the rules of form.c, or NO_VAL. */
Val form_rewrite(Canon *c, const Ins *ins);

#endif
