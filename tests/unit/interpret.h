/* interpret.h: a second opinion on what functions of the IR mean, for the tests of the compiler's middle.
 *
 * interpret() evaluates straight-line functions in double over a small batch, one instruction after the other: map rows
 * by op_eval_map, everything else by loops of its own that share nothing with the emitter or the runtime. A solve is
 * left to World.region. On it stand random inputs, random functions, and differences that a derivative must agree with.
 * Memory: results lie in the arena that is handed in. Whatever is impossible ends the test with a message. */
#ifndef NDEC_TEST_INTERPRET_H
#define NDEC_TEST_INTERPRET_H

#include "model.h"

/* A value: at[sample * type_size + element], row-major; one sample if the type is shared. */
typedef struct Array {
    Type type;
    double *at;
} Array;

/* What leaves stand for. Arrays that a function does not ask for may be NULL. */
typedef struct World {
    int n_batch;
    double step, steps;
    const double *setting;               /* [index] */
    const Array *param, *data, *sample;  /* [index] */
    /* The results of OP_solve and OP_solve_vjp; NULL: there is none. */
    Array *(*region)(Arena *a, const struct World *w, const Ins *ins, const Array *arg);
    /* [index]: if not NULL, what OP_detach gives; where `at` is NULL its operand, which is then kept in `keep`. */
    Array *held;
    Arena *keep;
} World;

/* ---- evaluation ---- */
int array_size(const World *w, Type t); /* elements over the batch */
Array array_new(Arena *a, const World *w, Type t);
/* The outputs of fn; in[n_in] has the types of the inputs. */
Array *interpret(Arena *a, const Fn *fn, const World *w, const Array *in);

/* ---- random numbers: the same on every machine ---- */
typedef struct Random {
    uint64_t state;
} Random;
double random_unit(Random *r);          /* uniform in [0, 1) */
int random_below(Random *r, int n);     /* 0 .. n-1 */
/* n arrays of the given types with elements in (lo, hi), no two of them closer than 0.4 (hi - lo) / (their number). */
Array *random_arrays(Arena *a, const World *w, Random *r, int n, const Type *type, double lo, double hi);
/* Inputs for fn, between -1 and 1. */
Array *random_inputs(Arena *a, const World *w, Random *r, const Fn *fn);

/* A function of three inputs and about n further instructions, of any row of op.def whose operands can be met; its
 * outputs are what nothing uses and two values more. Makes *in, its inputs, on which all values are finite and below
 * 50. With `smooth` set they are below 5, and no operand is near a place where its row has no derivative. */
Fn *random_fn(Module *m, const World *w, Random *r, int n, bool smooth, Array **in);
/* Imm and operand type for the rows of op.def whose shape is in imm: several cases. False behind the last one, and for
 * rows whose operands say everything. */
bool op_case(Op op, int k, Type *operand, Imm *imm);

/* ---- comparison ---- */
/* The largest |x - y| over max(1, largest |y|); huge if one is not finite. */
double array_error(const World *w, const Array *x, const Array *y);
double outputs_error(const World *w, int n, const Array *x, const Array *y);
/* The reverse of fn against central differences of fourth order with the step 1e-3: the error of the gradient of
 * <g, outputs> with respect to the wanted inputs (all if NULL), g random, over the largest entry. */
double gradient_error(Module *m, const Fn *fn, const World *w, Random *r, const Array *in, const bool *wanted);

/* ---- modules ---- */
Module *module_new(Arena *a);

#endif
