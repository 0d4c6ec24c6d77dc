/* emit.h: between the files that print C: emit_name.c, emit_group.c, emit.c, emit_main.c. */
#ifndef NDEC_EMIT_H
#define NDEC_EMIT_H

#include "plan.h"

typedef struct Emit {
    Plan *p;
    Arena *a;
    Text *to; /* the file */
    Text *t;  /* the body of the C function being printed */
    const PlanFn *f;
    int part;          /* of f */
    const char **name; /* [value] of f */
    const char **out_name;
    const char **real;  /* [value]: the variable of this C function that holds the number as a Real, or NULL */
    bool *is_leaf_used; /* [value]: the C function needs a declaration of this leaf */
    bool uses_at, uses_run, uses_work, uses_kept, uses_sum, uses_shared, uses_frame;
    int line;               /* of the model file, printed last */
    const size_t *param_at; /* [param]: offset in the flat block */
} Emit;

/* How elements are written inside a loop. */
typedef struct Loop {
    int n;
    bool is_batched;
    bool is_flat;      /* one index over elements and vectors together */
    bool *is_variable; /* [value]: there is a variable with this element */
    const PlanFn *f;
} Loop;

/* ---- emit_name.c: names and operands as text ---- */
void emit_names(Emit *e); /* fills name and out_name for e->f */
const char *emit_fn_name(Emit *e, const PlanFn *f);
const char *emit_solve_name(Emit *e, const Solve *s);
const char *emit_number(Emit *e, Val v); /* a shared number as a double */
const char *emit_real(Emit *e, Val v);   /* a shared number as a Real */
const char *emit_array(Emit *e, Val v);  /* pointer to the first element of an array, or of a number's copy */
const char *emit_literal(Emit *e, double x, bool is_real);
const char *emit_element(Emit *e, const Loop *loop, Val v); /* element of v in a loop: Vec or Real */
bool emit_is_flat(Emit *e, const Loop *loop, Val v);        /* can v be read with a flat index? */
const char *emit_at(Emit *e, Val v, int offset);            /* pointer to v's memory, plus elements */
const char *emit_join(Emit *e, const char *head, int n, const char *const *item, const char *tail); /* wrapped */
/* The value text of a map row with its operands; family 'v', 'r' or 'd'. */
const char *emit_map(Emit *e, Op op, char family, const char *const *arg);
/* The call of a CALL row; arg: its operands as text, NULL: those of v; more: further arguments, or "". */
const char *emit_kernel(Emit *e, Val v, const char *prefix, const char *y, const char *const *arg, const char *more);
/* The same for any function, with the operands' texts. */
const char *emit_kernel_of(Emit *e, const Fn *fn, Val v, const char *const *arg, const char *prefix, const char *y,
                           const char *more);
int emit_line_of(const Emit *e, Span span);                  /* line of the model file, or that of the function, or 0 */
const char *emit_comment(Arena *a, const char *s, size_t n); /* without what would end a comment */

/* ---- emit_loop.c ---- */
void emit_loop(Emit *e, const Group *g); /* a group of maps */

/* ---- emit_group.c ---- */
void emit_groups(Emit *e); /* all groups of the part */
void emit_packs(Emit *e);  /* the weights that are packed in it */

/* ---- emit.c ---- */
void emit_fn(Emit *e, const PlanFn *f);

/* ---- emit_main.c: model.h's emit_model ---- */

#endif
