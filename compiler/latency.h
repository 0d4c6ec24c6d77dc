/* latency.h: the latency form of a solve: between latency.c (what it computes, and whether it is worth its code),
 * emit_sample.c (values of one sample as C) and emit_latency.c (the C function of a solve). */
#ifndef NDEC_LATENCY_H
#define NDEC_LATENCY_H

#include "model.h"

/* The functions of a solve with all calls expanded, of which the latency form is made.
 *   start (u.., t, span, p..) -> c.., h       h where the first step is guessed
 *   step  (u.., c.., t, h, p..) -> u1.., c1.., err squared times count, then d.. where times are saved
 *   dense as the solve's */
typedef struct Latency {
    const char *refusal; /* why there is none, for `explain`; NULL: there is one */
    Fn *start, *step, *dense;
    int scale;    /* output of step that err is to be divided by, besides count; -1: none */
    double count; /* what the err of step is to be divided by */
    bool is_guessed, needs_dense;
} Latency;

enum {
    LATENCY_SCALARS = 4,       /* arrays up to this size are variables of their own */
    LATENCY_SHORT = 8,         /* elements of arrays up to this size are read one by one */
    LATENCY_UNROLLED = 64,     /* elements that are written out one by one where they are picked from others */
    LATENCY_CODE = 6000,       /* operations of a step, scalar or vector, that are written out */
    LATENCY_NUMBERS = 1 << 16, /* numbers of local arrays: half a megabyte of stack */
    LATENCY_WEIGHTS = 1 << 17  /* numbers of weights: what a second-level cache holds */
};

Latency latency_of(const Model *model, const Solve *s);
/* When the value is there, in cycles, if all inputs are there at 0 and nothing waits for room. */
int *latency_depth(const Model *model, const Fn *fn);
/* Does the operator call a function of some length? */
bool latency_is_long(Op op);

#endif
