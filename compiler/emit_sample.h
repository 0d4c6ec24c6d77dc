/* emit_sample.h: values of one sample as C: between emit_sample.c (statements), emit_form.c (what moves data) and
 * emit_latency.c (the C function around them). */
#ifndef NDEC_EMIT_SAMPLE_H
#define NDEC_EMIT_SAMPLE_H

#include "emit.h"
#include "latency.h"

/* How a value is written in C. */
typedef enum RepKind {
    REP_none,
    REP_number,  /* a shared number */
    REP_scalars, /* a Real for each element */
    REP_array,   /* Vec [VECS(n)] */
    REP_raw      /* Real [n], without room behind the last number */
} RepKind;

typedef struct Rep {
    RepKind kind;
    const char *name;     /* number: as a double; array, raw: the pointer */
    const char *real;     /* number: as a Real */
    const char **element; /* scalars */
} Rep;

/* A shared matrix in the order in which a product reads it: m arrays of n numbers. */
typedef struct SamplePack {
    const char *from;
    int m, n, row, col;
} SamplePack;

typedef struct Weights {
    LIST(SamplePack) at;
} Weights;

/* A function whose values are being written. */
typedef struct Sample {
    Emit *e;
    Arena *a;
    const Fn *fn;
    const char *prefix; /* of the names of its values */
    Rep *rep;
    const int *depth;
    bool *is_fixed; /* the same in all steps */
    bool *is_done, *is_needed;
    const char **inverse; /* of a fixed number: its reciprocal */
    Text *head, *to;      /* where fixed values are computed, and others */
    Weights *weights;
    /* The open loop, whose text is kept back: statements that do not need its values go before it. */
    int open, n_loop, loop_n; /* its number, or 0; loops so far; its length */
    int *loop;                /* [value]: the number of its loop */
    bool *is_sum;             /* [value]: known only after its loop */
    LIST(Val) member;
    Text before, body, after;
} Sample;

/* ---- emit_sample.c ---- */
Sample *sample_new(Emit *e, const Fn *fn, const char *prefix, Text *head, Weights *weights, const int *depth);
void sample_input(Sample *s, int input, Rep rep, bool is_fixed);
/* Writes what the outputs from .. from+n-1 need and is not yet there. */
void sample_emit(Sample *s, Text *to, int from, int n);
Rep rep_number(const char *name, const char *real);
Rep rep_scalars(Arena *a, int n, const char *name); /* name_0, name_1, .. */
Rep rep_named(RepKind kind, const char *name);
const char *sample_element(Sample *s, Val v, int e); /* element e as a Real */
const char *sample_double(Sample *s, Val v);         /* a value of one element as a double */
const char *sample_array(Sample *s, Val v);          /* its name as Vec []; made if it is none */
const char *sample_pointer(Sample *s, Val v);        /* as const Real * */
/* The shared matrix at `from`, packed once a solve as m arrays of n numbers: number (r, c) is r * row + c * col there.
 */
const char *sample_packed(Sample *s, const char *from, int m, int n, int row, int col);
bool sample_is_number(const Sample *s, Val v);
void sample_wait(Sample *s, const Ins *ins); /* ends the open loop if it computes an operand */
void sample_join(Sample *s, Val v, int n);   /* v joins the open loop, or a new one of that length */
const char *sample_lane(Sample *s, Val v);   /* v in the open loop: a Vec */
Text *sample_text(Sample *s, Val v);         /* where v is computed */
/* Declares v as an array of its own and returns its name. */
const char *sample_declare(Sample *s, Val v);

/* ---- emit_form.c ---- */
void form_emit(Sample *s, Val v);
void product_emit(Sample *s, Val v);

/* ---- emit_latency.c ---- */
typedef struct LatencyCode {
    const char *name;    /* of the C function, or "NULL" */
    const char *weights; /* bytes of its packed weights, as text */
    int longest;         /* numbers of the longest array that a step computes */
} LatencyCode;

/* Prints the latency form of a solve, if it has one. */
LatencyCode emit_latency(Emit *e, const Solve *s, Text *to);

#endif
