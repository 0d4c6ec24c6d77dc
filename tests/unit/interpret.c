/* interpret.c: an evaluator of the IR for tests, random functions, and differences. See interpret.h. */
#include "interpret.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of each instruction that is evaluated. Check writes every assertion to a file, which took half of the time. */
#define MUST(is_true, ...)             \
    do {                               \
        if (!(is_true))                \
            ck_abort_msg(__VA_ARGS__); \
    } while (0)

/* ---- arrays ---- */
static int samples(const World *w, Type t)
{
    return t.is_batched ? w->n_batch : 1;
}

int array_size(const World *w, Type t)
{
    return samples(w, t) * type_size(t);
}

Array array_new(Arena *a, const World *w, Type t)
{
    return (Array){t, ARENA_NEW(a, double, array_size(w, t) + 1)};
}

/* The elements of one sample. */
static double *row_of(const Array *x, int sample)
{
    return x->at + (x->type.is_batched ? sample * type_size(x->type) : 0);
}

/* ---- rows that move and add numbers: y and x are of one sample ---- */
typedef struct Place { /* indices along each axis */
    int at[MAX_RANK];
} Place;

static Place place_of(Type t, int element)
{
    Place p = {{0}};
    for (int i = t.rank - 1; i >= 0; i--) {
        p.at[i] = element % t.dim[i];
        element /= t.dim[i];
    }
    return p;
}

static int element_of(Type t, Place p)
{
    int element = 0;
    for (int i = 0; i < t.rank; i++)
        element = element * t.dim[i] + p.at[i];
    return element;
}

typedef struct Job {
    const Ins *ins;
    Type to, from[32];
    const double *x[32];
    double *y;
} Job;

static void eval_concat(const Job *j)
{
    int axis = j->ins->imm.axis, first = 0;
    for (int k = 0; k < j->ins->n_arg; first += j->from[k++].dim[axis])
        for (int e = 0; e < type_size(j->from[k]); e++) {
            Place p = place_of(j->from[k], e);
            p.at[axis] += first;
            j->y[element_of(j->to, p)] = j->x[k][e];
        }
}

static void eval_slice(const Job *j)
{
    for (int e = 0; e < type_size(j->to); e++) {
        Place p = place_of(j->to, e);
        p.at[j->ins->imm.axis] += j->ins->imm.from;
        j->y[e] = j->x[0][element_of(j->from[0], p)];
    }
}

static void eval_pad(const Job *j)
{
    for (int e = 0; e < type_size(j->to); e++)
        j->y[e] = 0;
    for (int e = 0; e < type_size(j->from[0]); e++) {
        Place p = place_of(j->from[0], e);
        p.at[j->ins->imm.axis] += j->ins->imm.from;
        j->y[element_of(j->to, p)] = j->x[0][e];
    }
}

/* The place in a value without `axis` of a place in one that has it. */
static Place without(Place p, int axis)
{
    for (int i = axis; i + 1 < MAX_RANK; i++)
        p.at[i] = p.at[i + 1];
    p.at[MAX_RANK - 1] = 0;
    return p;
}

static void eval_repeat(const Job *j)
{
    for (int e = 0; e < type_size(j->to); e++)
        j->y[e] = j->x[0][element_of(j->from[0], without(place_of(j->to, e), j->ins->imm.axis))];
}

static void eval_copy(const Job *j)
{
    for (int e = 0; e < type_size(j->to); e++)
        j->y[e] = j->x[0][e];
}

static void eval_fill(const Job *j)
{
    for (int e = 0; e < type_size(j->to); e++)
        j->y[e] = j->x[0][0];
}

/* Axis i of `to` is axis perm[i] of `from`. */
static void eval_permute(const Job *j)
{
    for (int e = 0; e < type_size(j->to); e++) {
        Place p = place_of(j->to, e), q = {{0}};
        for (int i = 0; i < j->to.rank; i++)
            q.at[j->ins->imm.perm[i]] = p.at[i];
        j->y[e] = j->x[0][element_of(j->from[0], q)];
    }
}

static void eval_unpermute(const Job *j)
{
    for (int e = 0; e < type_size(j->from[0]); e++) {
        Place p = place_of(j->from[0], e), q = {{0}};
        for (int i = 0; i < j->to.rank; i++)
            q.at[j->ins->imm.perm[i]] = p.at[i];
        j->y[element_of(j->to, q)] = j->x[0][e];
    }
}

static void eval_onehot(const Job *j)
{
    for (int e = 0; e < type_size(j->to); e++)
        j->y[e] = e == (int)j->x[0][0];
}

static void eval_sum(const Job *j)
{
    j->y[0] = 0;
    for (int e = 0; e < type_size(j->from[0]); e++)
        j->y[0] += j->x[0][e];
}

static void eval_sum_axis(const Job *j)
{
    for (int e = 0; e < type_size(j->to); e++)
        j->y[e] = 0;
    for (int e = 0; e < type_size(j->from[0]); e++)
        j->y[element_of(j->to, without(place_of(j->from[0], e), j->ins->imm.axis))] += j->x[0][e];
}

static void eval_max_axis(const Job *j)
{
    for (int e = 0; e < type_size(j->to); e++)
        j->y[e] = -HUGE_VAL;
    for (int e = 0; e < type_size(j->from[0]); e++) {
        double *y = &j->y[element_of(j->to, without(place_of(j->from[0], e), j->ins->imm.axis))];
        *y = fmax(*y, j->x[0][e]);
    }
}

static void eval_argmax(const Job *j)
{
    int best = 0;
    for (int e = 1; e < type_size(j->from[0]); e++)
        if (j->x[0][e] > j->x[0][best])
            best = e;
    j->y[0] = best;
}

/* Entry (i, k) of a matrix or of its transpose; a vector is a column. */
static double entry(Type t, const double *x, bool is_transposed, int i, int k)
{
    int columns = t.rank > 1 ? t.dim[1] : 1;
    return is_transposed ? x[k * columns + i] : x[i * columns + k];
}

static void product(const Job *j, bool ta, bool tb)
{
    int columns = j->to.rank > 1 ? j->to.dim[1] : 1, rows = j->to.dim[0];
    int inner = ta ? j->from[0].dim[0] : j->from[0].rank > 1 ? j->from[0].dim[1] : 1;
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < columns; k++) {
            double sum = 0;
            for (int l = 0; l < inner; l++)
                sum += entry(j->from[0], j->x[0], ta, i, l) * entry(j->from[1], j->x[1], tb, l, k);
            j->y[i * columns + k] = sum;
        }
}

static void eval_mm_nn(const Job *j)
{
    product(j, false, false);
}

static void eval_mm_tn(const Job *j)
{
    product(j, true, false);
}

static void eval_mm_nt(const Job *j)
{
    product(j, false, true);
}

static void eval_map(const Job *j)
{
    for (int e = 0; e < type_size(j->to); e++) {
        double x[MAX_ARG] = {0};
        for (int k = 0; k < j->ins->n_arg; k++)
            x[k] = j->x[k][j->from[k].rank ? e : 0];
        j->y[e] = op_eval_map(j->ins->op, x[0], x[1], x[2]);
    }
}

typedef void Eval(const Job *j);
static Eval *const eval_row[OP_COUNT] = {
    [OP_concat] = eval_concat,     [OP_slice] = eval_slice,       [OP_pad] = eval_pad,
    [OP_repeat] = eval_repeat,     [OP_reshape] = eval_copy,      [OP_fill] = eval_fill,
    [OP_permute] = eval_permute,   [OP_unpermute] = eval_unpermute, [OP_onehot] = eval_onehot,
    [OP_detach] = eval_copy,       [OP_sum] = eval_sum,           [OP_sum_axis] = eval_sum_axis,
    [OP_max_axis] = eval_max_axis, [OP_argmax] = eval_argmax,     [OP_mm_nn] = eval_mm_nn,
    [OP_mm_tn] = eval_mm_tn,       [OP_mm_nt] = eval_mm_nt};

/* ---- instructions ---- */
static void sum_samples(const World *w, const Array *x, Array *y)
{
    int n = type_size(x->type);
    for (int e = 0; e < n; e++)
        for (int s = 0; s < samples(w, x->type); s++)
            y->at[e] += x->at[s * n + e];
}

static void eval_leaf(const World *w, const Ins *ins, Array *y)
{
    const Array *table = ins->op == OP_param ? w->param : ins->op == OP_data ? w->data : w->sample;
    int n = type_size(ins->type);
    switch (ins->op) {
    case OP_const:
        y->at[0] = ins->imm.num;
        return;
    case OP_array:
        memcpy(y->at, ins->imm.array, sizeof(double) * (size_t)n);
        return;
    case OP_setting:
        y->at[0] = w->setting[ins->imm.index];
        return;
    case OP_train_step:
        y->at[0] = w->step;
        return;
    case OP_train_steps:
        y->at[0] = w->steps;
        return;
    case OP_batch:
        y->at[0] = w->n_batch;
        return;
    default:
        MUST(table && type_equal(table[ins->imm.index].type, ins->type), "leaf %s %d has no value",
             op_info[ins->op].name, ins->imm.index);
        memcpy(y->at, table[ins->imm.index].at, sizeof(double) * (size_t)array_size(w, ins->type));
    }
}

static void eval_ins(const Fn *fn, const World *w, const Ins *ins, const Array *value, Array *y)
{
    Eval *eval = op_info[ins->op].op_class == CLASS_map ? eval_map : eval_row[ins->op];
    Job j = {.ins = ins, .to = ins->type};
    MUST(eval && ins->n_arg <= 32, "'%s': the interpreter knows no '%s'", fn->name, op_info[ins->op].name);
    for (int s = 0; s < samples(w, ins->type); s++) {
        for (int k = 0; k < ins->n_arg; k++) {
            j.from[k] = value[ins->arg[k]].type;
            j.x[k] = row_of(&value[ins->arg[k]], s);
        }
        j.y = row_of(y, s);
        eval(&j);
    }
}

/* The results of an instruction that owns functions. */
static Array *eval_region(Arena *a, const World *w, const Fn *fn, const Ins *ins, const Array *value)
{
    Array *arg = ARENA_NEW(a, Array, ins->n_arg + 1);
    for (int k = 0; k < ins->n_arg; k++)
        arg[k] = value[ins->arg[k]];
    MUST(ins->op == OP_call || w->region, "'%s': a solve cannot be interpreted here", fn->name);
    return ins->op == OP_call ? interpret(a, ins->imm.fn, w, arg) : w->region(a, w, ins, arg);
}

static void hold(const World *w, int index, Array *y)
{
    Array *held = w->held ? &w->held[index] : NULL;
    if (held && !held->at) {
        *held = array_new(w->keep, w, y->type);
        memcpy(held->at, y->at, sizeof(double) * (size_t)array_size(w, y->type));
    } else if (held) {
        y->at = held->at;
    }
}

static void eval_value(Arena *a, const World *w, const Fn *fn, const Ins *ins, const Array *value, Array *y)
{
    *y = array_new(a, w, ins->type);
    if (op_info[ins->op].op_class == CLASS_leaf)
        eval_leaf(w, ins, y);
    else if (ins->op == OP_bsum)
        sum_samples(w, &value[ins->arg[0]], y);
    else if (ins->op == OP_bcast)
        for (int s = 0; s < w->n_batch; s++)
            memcpy(row_of(y, s), row_of(&value[ins->arg[0]], s), sizeof(double) * (size_t)type_size(ins->type));
    else
        eval_ins(fn, w, ins, value, y);
    if (ins->op == OP_detach)
        hold(w, ins->imm.index, y);
}

Array *interpret(Arena *a, const Fn *fn, const World *w, const Array *in)
{
    Array *value = ARENA_NEW(a, Array, fn->ins.n + 1), *out = ARENA_NEW(a, Array, fn->out.n + 1);
    Array **result = ARENA_NEW(a, Array *, fn->ins.n + 1); /* of each region */
    for (int v = 0; v < fn->ins.n; v++) {
        const Ins *ins = &fn->ins.at[v];
        bool is_region = op_info[ins->op].op_class == CLASS_region && ins->op != OP_result;
        if (is_region)
            result[v] = eval_region(a, w, fn, ins, value);
        else if (ins->op == OP_input)
            value[v] = in[v];
        else if (ins->op == OP_result)
            value[v] = result[ins->arg[0]][ins->imm.index];
        else
            eval_value(a, w, fn, ins, value, &value[v]);
        MUST(is_region || type_equal(value[v].type, ins->type), "'%s': the type of value %d", fn->name, v);
    }
    for (int i = 0; i < fn->out.n; i++)
        out[i] = value[fn->out.at[i]];
    return out;
}

/* ---- random numbers ---- */
/* Steele, Lea & Flood (2014), "Fast splittable pseudorandom number generators", figure 15. */
static uint64_t next(Random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

double random_unit(Random *r)
{
    return (double)(next(r) >> 11) / 9007199254740992.0;
}

int random_below(Random *r, int n)
{
    return (int)(next(r) % (uint64_t)n);
}

Array *random_arrays(Arena *a, const World *w, Random *r, int n, const Type *type, double lo, double hi)
{
    int total = 0, at = 0;
    Array *x = ARENA_NEW(a, Array, n + 1);
    for (int i = 0; i < n; i++)
        total += array_size(w, type[i]);
    int *stratum = ARENA_NEW(a, int, total + 1);
    for (int i = 0; i < total; i++) { /* a random permutation, from the inside out */
        int k = random_below(r, i + 1);
        stratum[i] = stratum[k];
        stratum[k] = i;
    }
    for (int i = 0; i < n; i++) {
        x[i] = array_new(a, w, type[i]);
        for (int e = 0; e < array_size(w, type[i]); e++)
            x[i].at[e] = lo + (hi - lo) * (stratum[at++] + 0.2 + 0.6 * random_unit(r)) / total;
    }
    return x;
}

Array *random_inputs(Arena *a, const World *w, Random *r, const Fn *fn)
{
    Type *type = ARENA_NEW(a, Type, fn->n_in + 1);
    for (int i = 0; i < fn->n_in; i++)
        type[i] = fn_type(fn, (Val)i);
    return random_arrays(a, w, r, fn->n_in, type, -1, 1);
}

/* ---- cases for rows whose shape is in imm ---- */
static Type shape(int rank, int d0, int d1, int d2)
{
    return type_real(false, rank, (int[]){d0, d1, d2});
}

bool op_case(Op op, int k, Type *operand, Imm *imm)
{
    const struct {
        Op op;
        Type operand;
        Imm imm;
    } row[] = {{OP_slice, shape(1, 4, 0, 0), {.axis = 0, .from = 1, .to = shape(1, 2, 0, 0)}},
               {OP_slice, shape(3, 2, 3, 2), {.axis = 1, .from = 2, .to = shape(3, 2, 1, 2)}},
               {OP_pad, shape(1, 2, 0, 0), {.axis = 0, .from = 1, .to = shape(1, 4, 0, 0)}},
               {OP_pad, shape(2, 2, 2, 0), {.axis = 1, .from = 0, .to = shape(2, 2, 3, 0)}},
               {OP_repeat, shape(0, 0, 0, 0), {.axis = 0, .to = shape(1, 3, 0, 0)}},
               {OP_repeat, shape(2, 2, 3, 0), {.axis = 1, .to = shape(3, 2, 2, 3)}},
               {OP_repeat, shape(1, 2, 0, 0), {.axis = 1, .to = shape(2, 2, 3, 0)}},
               {OP_reshape, shape(2, 2, 3, 0), {.to = shape(1, 6, 0, 0)}},
               {OP_reshape, shape(1, 4, 0, 0), {.to = shape(2, 2, 2, 0)}},
               {OP_fill, shape(0, 0, 0, 0), {.to = shape(2, 2, 2, 0)}},
               {OP_onehot, shape(0, 0, 0, 0), {.to = shape(1, 3, 0, 0)}},
               {OP_permute, shape(2, 2, 3, 0), {.perm = {1, 0}}},
               {OP_permute, shape(3, 2, 3, 4), {.perm = {1, 2, 0}}},
               {OP_unpermute, shape(3, 2, 3, 4), {.perm = {1, 2, 0}}},
               {OP_sum_axis, shape(1, 4, 0, 0), {.axis = 0}},
               {OP_sum_axis, shape(3, 2, 3, 2), {.axis = 1}},
               {OP_max_axis, shape(1, 4, 0, 0), {.axis = 0}},
               {OP_max_axis, shape(3, 2, 3, 2), {.axis = 1}},
               {OP_max_axis, shape(2, 2, 3, 0), {.axis = 1}}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].op == op && k-- == 0) {
            *operand = row[i].operand;
            *imm = row[i].imm;
            return true;
        }
    return false;
}

/* ---- random functions ---- */
typedef struct Growth { /* a function and the value of all its instructions */
    Module *m;
    const World *w;
    Random *r;
    Fn *fn;
    LIST(Array) value;
    bool smooth;
} Growth;

static Val pick(Growth *g)
{
    int n = g->fn->ins.n;
    return (Val)(random_below(g->r, 3) ? random_below(g->r, n) : n - 1);
}

static double worst(const World *w, const Array *x)
{
    double most = 0;
    for (int e = 0; e < array_size(w, x->type); e++)
        most = isfinite(x->at[e]) ? fmax(most, fabs(x->at[e])) : HUGE_VAL;
    return most;
}

enum { CLOSE_MILLI = 20 }; /* operands of a comparison must differ by more than 0.020 */

static bool too_close(double x, double y)
{
    return fabs(x - y) < 1e-3 * CLOSE_MILLI;
}

/* Does a sample hold two elements that nearly agree? */
static bool has_ties(const World *w, const Array *x)
{
    int n = type_size(x->type);
    for (int s = 0; s < samples(w, x->type); s++)
        for (int i = 0; i < n; i++)
            for (int k = 0; k < i; k++)
                if (too_close(row_of(x, s)[i], row_of(x, s)[k]))
                    return true;
    return false;
}

/* Do all operands lie where the row has a derivative? */
static bool is_smooth_at(const Growth *g, Op op, int n, const Val *arg)
{
    const OpInfo *info = &op_info[op];
    for (int k = 0; k < n && info->lo > -3; k++) {
        const Array *x = &g->value.at[arg[k]];
        for (int e = 0; e < array_size(g->w, x->type); e++)
            if (x->at[e] < info->lo || (info->hi < 1 && x->at[e] > info->hi)) /* smooth between bounds alone */
                return false;
    }
    const Array *x = &g->value.at[arg[0]], *y = &g->value.at[arg[n - 1]];
    if (info->op_class == CLASS_reduce)
        return !strstr(info->rule, "ge(") || !has_ties(g->w, x);
    if (info->op_class != CLASS_map || n < 2 || arg[0] == arg[1])
        return true;
    for (int s = 0; s < g->w->n_batch; s++)
        for (int i = 0; i < type_size(x->type); i++)
            for (int k = 0; k < type_size(y->type); k++)
                if (too_close(row_of(x, s)[i], row_of(y, s)[k]))
                    return false;
    return true;
}

/* Appends the instruction if its operands fit and its value is tame. */
static bool try_op(Growth *g, Op op, int n, const Val *arg, Imm imm)
{
    Type type[MAX_ARG], out;
    char why[256];
    for (int k = 0; k < n; k++)
        type[k] = fn_type(g->fn, arg[k]);
    if (!op_type(op, n, type, &imm, &out, why) || type_size(out) > 64 || (g->smooth && !is_smooth_at(g, op, n, arg)))
        return false;
    Val v = fn_op(g->m, g->fn, op, n, arg, imm, g->fn->span);
    Array y;
    eval_value(g->m->arena, g->w, g->fn, &g->fn->ins.at[v], g->value.at, &y);
    if (worst(g->w, &y) > (g->smooth ? 5 : 50)) {
        g->fn->ins.n--;
        return false;
    }
    list_push(g->m->arena, g->value, y);
    return true;
}

static bool try_row(Growth *g, Op op)
{
    const OpInfo *info = &op_info[op];
    Val arg[MAX_ARG];
    Type operand;
    Imm imm = {0};
    int n = info->n_arg < 0 ? 2 + random_below(g->r, 2) : info->n_arg;
    for (int k = 0; k < n; k++)
        arg[k] = pick(g);
    if (random_below(g->r, 4) == 0)
        arg[n - 1] = arg[0];
    Type t = fn_type(g->fn, arg[0]);
    if (info->n_arg < 0)
        imm.axis = t.rank ? random_below(g->r, t.rank) : 0;
    if (op == OP_detach || (info->n_arg < 0 && t.rank == 0) || (op == OP_bsum && !t.is_batched) ||
        (op == OP_bcast && t.is_batched))
        return false;
    bool has_case = op_case(op, 0, &operand, &imm), fits = false;
    for (int k = 0; has_case && !fits && op_case(op, k, &operand, &imm); k++)
        fits = type_same_shape(operand, t);
    return (fits || !has_case) && try_op(g, op, n, arg, imm);
}

static void add_const(Growth *g)
{
    static const double x[] = {0, 1, -1, 2, 0.5, 0.3};
    int k = random_below(g->r, g->smooth ? 6 : 5);
    Array y = array_new(g->m->arena, g->w, type_scalar(false));
    *y.at = x[k];
    fn_const(g->m, g->fn, x[k]);
    list_push(g->m->arena, g->value, y);
}

/* Whatever nothing uses, and two values more. */
static void add_outputs(Growth *g)
{
    bool *is_used = ARENA_NEW(g->m->arena, bool, g->fn->ins.n);
    for (int v = 0; v < g->fn->ins.n; v++)
        for (int k = 0; k < g->fn->ins.at[v].n_arg; k++)
            is_used[g->fn->ins.at[v].arg[k]] = true;
    for (int v = g->fn->n_in; v < g->fn->ins.n; v++)
        if (!is_used[v])
            fn_out(g->m, g->fn, (Val)v, NULL);
    for (int i = 0; i < 2; i++)
        fn_out(g->m, g->fn, pick(g), NULL);
}

Fn *random_fn(Module *m, const World *w, Random *r, int n, bool smooth, Array **in)
{
    const Type some[] = {type_scalar(false),  type_scalar(true), shape(1, 4, 0, 0), shape(2, 2, 3, 0),
                         shape(2, 2, 2, 0),   shape(1, 3, 0, 0), shape(3, 2, 3, 2), shape(1, 2, 0, 0)};
    const Op common[] = {OP_add, OP_sub, OP_mul, OP_neg, OP_where}; /* what simplify.def is mostly about */
    Growth g = {.m = m, .w = w, .r = r, .fn = fn_new(m, "random", (Span){0}), .smooth = smooth};
    Type type[3];
    for (int i = 0; i < 3; i++) {
        type[i] = some[random_below(r, sizeof some / sizeof *some)];
        type[i].is_batched = random_below(r, 2);
        fn_input(m, g.fn, type[i], NULL);
    }
    *in = random_arrays(m->arena, w, r, 3, type, -1, 1);
    for (int i = 0; i < 3; i++)
        list_push(m->arena, g.value, (*in)[i]);
    for (int tries = 0; g.fn->ins.n < n + 3 && tries < 100 * n; tries++) {
        Op op = (Op)(random_below(r, 3) ? random_below(r, OP_COUNT) : (int)common[random_below(r, 5)]);
        if (op == OP_const)
            add_const(&g);
        else if (op_info[op].op_class != CLASS_leaf && op_info[op].op_class != CLASS_region)
            try_row(&g, op);
    }
    add_outputs(&g);
    return g.fn;
}

/* ---- comparison ---- */
static double distance(const World *w, const Array *x, const Array *y)
{
    double most = 0;
    if (!type_equal(x->type, y->type))
        return HUGE_VAL;
    for (int e = 0; e < array_size(w, x->type); e++) {
        double d = fabs(x->at[e] - y->at[e]);
        most = isfinite(d) ? fmax(most, d) : HUGE_VAL;
    }
    return most;
}

double array_error(const World *w, const Array *x, const Array *y)
{
    return distance(w, x, y) / fmax(1, worst(w, y));
}

double outputs_error(const World *w, int n, const Array *x, const Array *y)
{
    double most = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, array_error(w, &x[i], &y[i]));
    return most;
}

/* <g, outputs of fn> */
static double pairing(Arena *scratch, const Fn *fn, const World *w, const Array *in, const Array *g)
{
    Mark mark = arena_mark(scratch);
    const Array *out = interpret(scratch, fn, w, in);
    double sum = 0;
    for (int i = 0; i < fn->out.n; i++)
        for (int e = 0; e < array_size(w, out[i].type); e++)
            sum += g[i].at[e] * out[i].at[e];
    arena_release(scratch, mark);
    return sum;
}

/* (-f(x + 2h) + 8 f(x + h) - 8 f(x - h) + f(x - 2h)) / 12h */
static double difference(Arena *scratch, const Fn *fn, const World *w, const Array *in, const Array *g, double *x)
{
    const double h = 1e-3, weight[] = {1, -8, 8, -1}, offset[] = {-2, -1, 1, 2};
    double x0 = *x, sum = 0;
    for (int i = 0; i < 4; i++) {
        *x = x0 + offset[i] * h;
        sum += weight[i] * pairing(scratch, fn, w, in, g);
    }
    *x = x0;
    return sum / (12 * h);
}

double gradient_error(Module *m, const Fn *fn, const World *w, Random *r, const Array *in, const bool *wanted)
{
    Arena *a = m->arena, *scratch = arena_new();
    bool *want = ARENA_NEW(a, bool, fn->n_in + 1), *seed = ARENA_NEW(a, bool, fn->out.n + 1);
    Type *type = ARENA_NEW(a, Type, fn->out.n + 1);
    double most = 0, largest = 1;
    for (int i = 0; i < fn->n_in; i++)
        want[i] = !wanted || wanted[i];
    for (int i = 0; i < fn->out.n; i++) {
        seed[i] = true;
        type[i] = fn_type(fn, fn->out.at[i]);
    }
    Array *g = random_arrays(a, w, r, fn->out.n, type, -1, 1), *all = ARENA_NEW(a, Array, fn->n_in + fn->out.n + 1);
    memcpy(all, in, sizeof(Array) * (size_t)fn->n_in);
    memcpy(all + fn->n_in, g, sizeof(Array) * (size_t)fn->out.n);
    Fn *vjp = ad_vjp(m, fn, "vjp", want, seed, false);
    fn_verify(vjp);
    const Array *gradient = interpret(a, vjp, w, all);
    for (int i = 0, k = 0; i < fn->n_in; i++) {
        if (!want[i])
            continue;
        ck_assert_msg(type_equal(gradient[k].type, in[i].type), "the gradient of input %d has another type", i);
        for (int e = 0; e < array_size(w, in[i].type); e++) {
            double d = difference(scratch, fn, w, in, g, &in[i].at[e]), error = fabs(gradient[k].at[e] - d);
            largest = fmax(largest, fabs(d));
            most = isfinite(error) ? fmax(most, error) : HUGE_VAL;
        }
        k++;
    }
    arena_free(scratch);
    return most / largest;
}

/* ---- modules ---- */
Module *module_new(Arena *a)
{
    Module *m = ARENA_NEW(a, Module, 1);
    *m = (Module){.arena = a, .diags = diag_new(a)};
    return m;
}
