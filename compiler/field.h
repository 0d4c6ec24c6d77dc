/* field.h: the field within a step. Between field.c and step.c. */
#ifndef NDEC_FIELD_H
#define NDEC_FIELD_H

#include "checker.h"

typedef struct Field {
    Check *c;
    const Problem *p;
    bool is_written; /* its instructions stand in the step; else it is called */
    Fn *fn;          /* written: without calls, its inner values as further outputs */
    Val *inner;      /* values of fn, ascending; only where the solve has differences */
    int n_inner;
} Field;

Field field_open(Check *c, const Problem *p);
/* du.. at u.., t with the arguments of p. inner: what stands in for each inner value, or NULL. */
void field_value(const Field *f, Builder *b, const Problem *p, const Val *u, Val t, const Val *inner, Val *du);

/* Changes of the field from its value at one state and time. */
typedef struct Changes {
    const Field *field;
    Builder *b;
    const Problem *p;
    Difference d;
    Val *arg;  /* of the field where the changes begin */
    Val *base; /* there: du.. and inner values, unless k1 is known and the field is called; then residuals */
    int first; /* the first residual */
} Changes;

/* What the steps of a method whose last stage is the first of the next step hand over. */
Handed field_handed(Check *c, const Problem *p);
Changes changes_at(const Field *f, Builder *b, const Problem *p, const Val *u, Val t, bool has_k1);
/* The values that are handed over, at the start. */
Val changes_handed(const Changes *s, int i);
/* For changes d of the states and dt of the time: changes of du.., the inner values there, and, unless it is NULL, what is
 * handed over from there. */
void changes_of(const Changes *s, const Val *d, Val dt, Val *out, Val *inner, Val *handed);

#endif
