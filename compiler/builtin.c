/* builtin.c: functions that neither a row of op.def nor the prelude can state: they depend on shapes, take an axis, or
 * make values of no operand. One row each.
 *
 * Elsewhere: elementwise functions (op.def), losses, softmax and schedules (prelude/functions.nde). */
#include "checker.h"

#include <math.h>

typedef struct Args {
    Check *c;
    Scope *s;
    Builder *b;
    Node *call;
    const char *name;
    int n; /* positional */
    Value at[8];
} Args;

typedef Value Builtin(Args *a);

/* ---- arguments ---- */
static Node *named(const Args *a, const char *name)
{
    for (int i = 1; i < a->call->n; i++)
        if (a->call->kid[i]->kind == NODE_GIVEN && str_eq(a->call->kid[i]->text, name))
            return a->call->kid[i]->kid[0];
    return NULL;
}

/* Checks the number of positional arguments and the names of the others (a list separated by blanks). */
static bool wants(Args *a, int least, int most, const char *const *names)
{
    Check *c = a->c;
    for (int i = 1; i < a->call->n; i++) {
        bool known = a->call->kid[i]->kind != NODE_GIVEN;
        for (int k = 0; names && names[k]; k++)
            known |= !known && str_eq(a->call->kid[i]->text, names[k]);
        if (!known) {
            DIAG_AT(c->diags, NO_SUCH_ARGUMENT, check_span(c, a->call->kid[i]), a->name, a->call->kid[i]->text);
            return false;
        }
    }
    if (a->n < least || a->n > most) {
        DIAG_AT(c->diags, ARGUMENT_COUNT, check_span(c, a->call), a->name, least, a->n);
        return false;
    }
    for (int i = 0; i < a->n; i++)
        if (a->at[i].kind == VALUE_poison)
            return false;
    return true;
}

/* Argument i as an instruction; NO_VAL after a message. */
static Val tensor(Args *a, int i)
{
    Type t;
    if (!a->b) {
        DIAG_PLAIN(a->c->diags, NOT_STATIC, check_span(a->c, a->call));
        return NO_VAL;
    }
    if (a->at[i].kind == VALUE_states && a->at[i].n == 1)
        a->at[i] = a->at[i].many[0];
    if (value_type(a->c, &a->at[i], &t) && !a->at[i].classes)
        return build_val(a->c, a->b, &a->at[i]);
    DIAG_AT(a->c->diags, NOT_A_VALUE, check_span(a->c, a->call), a->name, value_text(a->c, &a->at[i]));
    return NO_VAL;
}

static Type type_at(const Args *a, Val v)
{
    return fn_type(a->b->fn, v);
}

static Value op1(Args *a, Op op, Val v, Imm imm)
{
    return value_val(a->b, build_op(a->c, a->b, op, 1, &v, imm, check_span(a->c, a->call)));
}

static Value form(Args *a, Op op, Val v, Type to)
{
    to.is_batched = type_at(a, v).is_batched;
    return op1(a, op, v, (Imm){.to = to});
}

/* `axis = n` if it is given: false after a message. */
static bool axis_of(Args *a, int rank, bool *has, int *axis)
{
    Node *node = named(a, "axis");
    long n;
    *has = node != NULL;
    if (!node)
        return true;
    if (!eval_int(a->c, a->s, node, "an axis", &n))
        return false;
    *axis = (int)n;
    if (n >= 0 && n < rank)
        return true;
    DIAG_AT(a->c->diags, AXIS_RANGE, check_span(a->c, node), n, rank);
    return false;
}

static const char *const axis_only[] = {"axis", NULL};

/* ---- reductions ---- */
static Value reduce(Args *a, Op all, Op along)
{
    bool has;
    int axis = 0;
    Val v;
    if (!wants(a, 1, 1, axis_only) || (v = tensor(a, 0)) == NO_VAL || !axis_of(a, type_at(a, v).rank, &has, &axis))
        return value_poison();
    if (has)
        return op1(a, along, v, (Imm){.axis = axis});
    if (all != OP_max_axis)
        return op1(a, all, v, (Imm){0});
    int n = type_size(type_at(a, v));
    Value flat = form(a, OP_reshape, v, type_real(false, 1, &n));
    return op1(a, OP_max_axis, flat.val, (Imm){.axis = 0});
}

static Value builtin_sum(Args *a)
{
    return reduce(a, OP_sum, OP_sum_axis);
}

static Value largest(Args *a, bool smallest)
{
    if (a->n == 2)
        return wants(a, 2, 2, NULL) ? apply_op(a->c, a->b, smallest ? OP_min : OP_max, 2, a->at, a->call)
                                    : value_poison();
    if (!smallest)
        return reduce(a, OP_max_axis, OP_max_axis);
    Value minus = a->n == 1 ? apply_op(a->c, a->b, OP_neg, 1, a->at, a->call) : value_poison();
    a->at[0] = minus;
    Value out = reduce(a, OP_max_axis, OP_max_axis);
    return apply_op(a->c, a->b, OP_neg, 1, &out, a->call);
}

static Value builtin_max(Args *a)
{
    return largest(a, false);
}

static Value builtin_min(Args *a)
{
    return largest(a, true);
}

/* Number of elements that a reduction of v adds up. */
static int count_of(Type t, bool has_axis, int axis)
{
    return has_axis ? t.dim[axis] : type_size(t);
}

static Value builtin_mean(Args *a)
{
    bool has;
    int axis = 0;
    Value sum = builtin_sum(a);
    if (sum.kind == VALUE_poison)
        return sum;
    Type t = {0};
    value_type(a->c, &a->at[0], &t);
    axis_of(a, t.rank, &has, &axis);
    return apply_op(a->c, a->b, OP_div, 2, (Value[]){sum, value_int(a->c, count_of(t, has, axis))}, a->call);
}

/* Divided by n - 1. */
static Value builtin_variance(Args *a)
{
    bool has;
    int axis = 0;
    Value mean = builtin_mean(a), x = a->at[0];
    Type t = {0};
    if (mean.kind == VALUE_poison)
        return mean;
    value_type(a->c, &x, &t);
    axis_of(a, t.rank, &has, &axis);
    if (count_of(t, has, axis) < 2) {
        DIAG_PLAIN(a->c->diags, VARIANCE_ONE, check_span(a->c, a->call));
        return value_poison();
    }
    if (has)
        mean = op1(a, OP_repeat, mean.val, (Imm){.axis = axis, .to = t});
    Value d = apply_op(a->c, a->b, OP_sub, 2, (Value[]){x, mean}, a->call);
    a->at[0] = apply_op(a->c, a->b, OP_square, 1, &d, a->call);
    Value sum = builtin_sum(a);
    return apply_op(a->c, a->b, OP_div, 2, (Value[]){sum, value_int(a->c, count_of(t, has, axis) - 1)}, a->call);
}

/* In a quantity over all states and what shares their steps, elsewhere of one value of one sample. */
static Value builtin_rms(Args *a)
{
    if (!wants(a, 1, 1, NULL) || !a->b)
        return value_poison();
    if (!a->c->internals) {
        a->at[0] = apply_op(a->c, a->b, OP_square, 1, a->at, a->call);
        Value mean = a->at[0].kind == VALUE_poison ? a->at[0] : builtin_mean(a);
        return apply_op(a->c, a->b, OP_sqrt, 1, &mean, a->call);
    }
    int n = a->at[0].kind == VALUE_states ? a->at[0].n : 1;
    Val *x = ARENA_NEW(a->c->arena, Val, n);
    for (int i = 0; i < n; i++) {
        Value *v = a->at[0].kind == VALUE_states ? &a->at[0].many[i] : &a->at[0];
        Type t;
        if (!value_type(a->c, v, &t)) {
            DIAG_AT(a->c->diags, NOT_A_VALUE, check_span(a->c, a->call), "rms", value_text(a->c, v));
            return value_poison();
        }
        x[i] = build_val(a->c, a->b, v);
    }
    return value_val(a->b, build_rms(a->c, a->b, n, x, internals_per_sample(a->b, a->c->internals)));
}

/* scaled(x): x over the tolerance, inside a quantity. */
static Value builtin_scaled(Args *a)
{
    const Internals *in = a->c->internals;
    if (!wants(a, 1, 1, NULL))
        return value_poison();
    if (!in || a->at[0].kind != VALUE_states || !a->b) {
        DIAG_PLAIN(a->c->diags, SCALED, check_span(a->c, a->call));
        return value_poison();
    }
    Value out = a->at[0];
    out.many = ARENA_NEW(a->c->arena, Value, out.n);
    for (int i = 0; i < out.n; i++)
        out.many[i] = value_val(a->b, step_scaled(a->c, a->b, in, i, build_val(a->c, a->b, &a->at[0].many[i])));
    return out;
}

static Value builtin_argmax(Args *a)
{
    Val v;
    if (!wants(a, 1, 1, NULL) || (v = tensor(a, 0)) == NO_VAL)
        return value_poison();
    return op1(a, OP_argmax, v, (Imm){0});
}

static Value builtin_batch_mean(Args *a)
{
    Val v;
    if (!wants(a, 1, 1, NULL) || (v = tensor(a, 0)) == NO_VAL)
        return value_poison();
    if (!type_at(a, v).is_batched)
        return a->at[0];
    if (a->b->keys) {
        DIAG_AT(a->c->diags, NOT_YET, check_span(a->c, a->call), "'batch_mean' inside a fn or an equation");
        return value_poison();
    }
    Value sum = op1(a, OP_bsum, v, (Imm){0});
    Val n = fn_leaf(a->c->module, a->b->fn, OP_batch, 0, type_scalar(false), NULL);
    return apply_op(a->c, a->b, OP_div, 2, (Value[]){sum, value_val(a->b, n)}, a->call);
}

/* ---- shapes ---- */
static bool sizes(Args *a, int first, Type *out)
{
    long size = 1;
    *out = type_scalar(false);
    for (int i = first; i < a->n; i++) {
        long n;
        if (!value_int_of(&a->at[i], &n) || n < 1 || n > MAX_SIZE || out->rank == MAX_RANK || (size *= n) > MAX_SIZE) {
            DIAG_AT(a->c->diags, SIZES, check_span(a->c, a->call), a->name);
            return false;
        }
        out->dim[out->rank++] = (int)n;
    }
    return true;
}

static Value builtin_reshape(Args *a)
{
    Type to;
    Val v;
    if (!wants(a, 2, 1 + MAX_RANK, NULL) || !sizes(a, 1, &to) || (v = tensor(a, 0)) == NO_VAL)
        return value_poison();
    if (type_size(to) == type_size(type_at(a, v)))
        return form(a, OP_reshape, v, to);
    DIAG_AT(a->c->diags, RESHAPE, check_span(a->c, a->call), value_text(a->c, &a->at[0]), type_text(a->c->arena, to));
    return value_poison();
}

static Value builtin_flatten(Args *a)
{
    Val v;
    if (!wants(a, 1, 1, NULL) || (v = tensor(a, 0)) == NO_VAL)
        return value_poison();
    int n = type_size(type_at(a, v));
    return form(a, OP_reshape, v, type_real(false, 1, &n));
}

static Value builtin_transpose(Args *a)
{
    Val v;
    if (!wants(a, 1, 2, NULL) || (v = tensor(a, 0)) == NO_VAL)
        return value_poison();
    Type t = type_at(a, v);
    Imm imm = {0};
    bool seen[MAX_RANK] = {false},
         ok = a->n == 2 ? a->at[1].kind == VALUE_array && a->at[1].type.dim[0] == t.rank : t.rank == 2;
    for (int i = 0; ok && i < t.rank; i++) {
        double p = a->n == 2 ? a->at[1].array[i] : 1 - i;
        ok = p >= 0 && p < t.rank && p == floor(p) && !seen[(int)p];
        if (ok)
            seen[imm.perm[i] = (int)p] = true;
    }
    if (ok)
        return op1(a, OP_permute, v, imm);
    DIAG_AT(a->c->diags, TRANSPOSE, check_span(a->c, a->call), value_text(a->c, &a->at[0]));
    return value_poison();
}

static Value filled(Args *a, double x)
{
    Type t;
    if (!wants(a, 1, MAX_RANK, NULL) || !sizes(a, 0, &t))
        return value_poison();
    double *array = ARENA_NEW(a->c->arena, double, type_size(t));
    for (int i = 0; i < type_size(t); i++)
        array[i] = x;
    return (Value){.kind = VALUE_array, .type = t, .array = array};
}

static Value builtin_zeros(Args *a)
{
    return filled(a, 0);
}

static Value builtin_ones(Args *a)
{
    return filled(a, 1);
}

/* linspace(first, last, n): each value rounded once from the exact rational. */
static Value builtin_linspace(Args *a)
{
    long n;
    if (!wants(a, 3, 3, NULL))
        return value_poison();
    if (a->at[0].kind != VALUE_number || a->at[1].kind != VALUE_number || !value_int_of(&a->at[2], &n) || n < 2 ||
        n > 10000000) {
        DIAG_PLAIN(a->c->diags, LINSPACE, check_span(a->c, a->call));
        return value_poison();
    }
    Arena *arena = a->c->arena;
    const Rat *step = rat_div(arena, rat_sub(arena, a->at[1].num, a->at[0].num), rat_int(arena, n - 1));
    double *array = ARENA_NEW(arena, double, n);
    for (long i = 0; i < n; i++)
        array[i] = rat_to_double(rat_add(arena, a->at[0].num, rat_mul(arena, step, rat_int(arena, i))));
    int size = (int)n;
    return (Value){.kind = VALUE_array, .type = type_real(false, 1, &size), .array = array};
}

static Value builtin_onehot(Args *a)
{
    if (!wants(a, 1, 1, NULL))
        return value_poison();
    if (!a->at[0].classes || !a->b) {
        DIAG_AT(a->c->diags, NOT_A_LABEL, check_span(a->c, a->call), value_text(a->c, &a->at[0]));
        return value_poison();
    }
    Val label = build_val(a->c, a->b, &a->at[0]);
    return form(a, OP_onehot, label, type_real(false, 1, &a->at[0].classes));
}

/* label(x): a label as a number, for comparison with argmax. */
static Value builtin_label(Args *a)
{
    if (!wants(a, 1, 1, NULL))
        return value_poison();
    if (!a->at[0].classes || !a->b) {
        DIAG_AT(a->c->diags, NOT_A_LABEL, check_span(a->c, a->call), value_text(a->c, &a->at[0]));
        return value_poison();
    }
    return value_val(a->b, build_val(a->c, a->b, &a->at[0]));
}

static Value builtin_stack(Args *a)
{
    Val v[8];
    Type first = {0};
    if (!wants(a, 1, 8, NULL))
        return value_poison();
    for (int i = 0; i < a->n; i++) {
        if ((v[i] = tensor(a, i)) == NO_VAL)
            return value_poison();
        Type t = type_at(a, v[i]);
        int dim[MAX_RANK + 1] = {1};
        first = i ? first : t;
        for (int k = 0; k < t.rank; k++)
            dim[k + 1] = t.dim[k];
        if (t.rank == MAX_RANK || !type_same_shape(t, first)) {
            DIAG_AT(a->c->diags, STACK, check_span(a->c, a->call), value_text(a->c, &a->at[0]),
                    value_text(a->c, &a->at[i]));
            return value_poison();
        }
        v[i] = form(a, OP_reshape, v[i], type_real(false, t.rank + 1, dim)).val;
    }
    if (!build_fits(a->c, (double)a->n * type_size(first), check_span(a->c, a->call)))
        return value_poison();
    return value_val(a->b, build_op(a->c, a->b, OP_concat, a->n, v, (Imm){.axis = 0}, check_span(a->c, a->call)));
}

/* broadcast(v, x): v repeated over the leading axes of x. */
static Value builtin_broadcast(Args *a)
{
    Val v, x;
    if (!wants(a, 2, 2, NULL) || (v = tensor(a, 0)) == NO_VAL || (x = tensor(a, 1)) == NO_VAL)
        return value_poison();
    Type t = type_at(a, v), to = type_at(a, x);
    bool ok = t.rank <= to.rank;
    for (int i = 0; ok && i < t.rank; i++)
        ok = t.dim[i] == to.dim[to.rank - t.rank + i];
    if (!ok) {
        DIAG_AT(a->c->diags, BROADCAST, check_span(a->c, a->call), value_text(a->c, &a->at[0]),
                value_text(a->c, &a->at[1]));
        return value_poison();
    }
    for (int k = to.rank - t.rank - 1; k >= 0; k--) {
        Type wider = type_real(false, to.rank - k, to.dim + k);
        wider.is_batched = t.is_batched;
        v = build_op(a->c, a->b, OP_repeat, 1, &v, (Imm){.axis = 0, .to = wider}, check_span(a->c, a->call));
    }
    return value_val(a->b, v);
}

static Value builtin_stop_gradient(Args *a)
{
    Val v;
    if (!wants(a, 1, 1, NULL) || (v = tensor(a, 0)) == NO_VAL)
        return value_poison();
    return op1(a, OP_detach, v, (Imm){.index = a->c->module->n_detach++});
}

/* like(m, x): the scalar m in the shape of x; m itself if it has that shape. */
static Value builtin_like(Args *a)
{
    Val v, x;
    if (!wants(a, 2, 2, NULL) || (v = tensor(a, 0)) == NO_VAL || (x = tensor(a, 1)) == NO_VAL)
        return value_poison();
    if (type_at(a, v).rank == 0 && type_at(a, x).rank > 0)
        return form(a, OP_fill, v, type_at(a, x));
    if (type_same_shape(type_at(a, v), type_at(a, x)))
        return a->at[0];
    DIAG_AT(a->c->diags, SHAPES_DIFFER, check_span(a->c, a->call), "mask", value_text(a->c, &a->at[0]),
            value_text(a->c, &a->at[1]));
    return value_poison();
}

static Value derivative(Args *a, Derivative which, int n)
{
    return wants(a, n, n, NULL) ? derivative_of(a->c, a->b, which, a->at, a->call) : value_poison();
}

static Value builtin_vjp(Args *a)
{
    return derivative(a, DERIVATIVE_vjp, 3);
}

static Value builtin_jvp(Args *a)
{
    return derivative(a, DERIVATIVE_jvp, 3);
}

static Value builtin_divergence(Args *a)
{
    return derivative(a, DERIVATIVE_divergence, 2);
}

/* along(EXPR, n): the n-th derivative along the path of a solve. */
static Value builtin_along(Args *a)
{
    long n;
    if (!wants(a, 2, 2, NULL))
        return value_poison();
    if (!a->c->path_of || !a->b) {
        DIAG_AT(a->c->diags, INTEGRAL_ONLY, check_span(a->c, a->call), a->name);
        return value_poison();
    }
    if (!value_int_of(&a->at[1], &n) || n < 0 || n > 8) {
        DIAG_PLAIN(a->c->diags, ALONG_ORDER, check_span(a->c, a->call));
        return value_poison();
    }
    Val v = tensor(a, 0);
    for (; v != NO_VAL && n > 0; n--)
        v = derivative_along(a->c, a->b, a->c->path_of, v, a->call);
    return v == NO_VAL ? value_poison() : value_val(a->b, v);
}

/* integral(EXPR) is read with its clause. */
static Value builtin_integral(Args *a)
{
    if (a->c->path_of)
        DIAG_PLAIN(a->c->diags, INTEGRAL_TWICE, check_span(a->c, a->call));
    else
        DIAG_AT(a->c->diags, INTEGRAL_ONLY, check_span(a->c, a->call), a->name);
    return value_poison();
}

static Value builtin_npy(Args *a)
{
    if (!wants(a, 1, 1, NULL))
        return value_poison();
    if (a->at[0].kind != VALUE_string) {
        DIAG_AT(a->c->diags, FILE_NAME, check_span(a->c, a->call), "npy");
        return value_poison();
    }
    return npy_value(a->c, a->at[0].text, a->call);
}

static Value not_yet(Args *a)
{
    DIAG_AT(a->c->diags, NOT_YET, check_span(a->c, a->call), str_format(a->c->arena, "'%s'", a->name));
    return value_poison();
}

static const struct {
    const char *name;
    Builtin *call;
} row[] = {{"sum", builtin_sum},
           {"mean", builtin_mean},
           {"variance", builtin_variance},
           {"max", builtin_max},
           {"min", builtin_min},
           {"argmax", builtin_argmax},
           {"rms", builtin_rms},
           {"scaled", builtin_scaled},
           {"batch_mean", builtin_batch_mean},
           {"reshape", builtin_reshape},
           {"flatten", builtin_flatten},
           {"transpose", builtin_transpose},
           {"zeros", builtin_zeros},
           {"ones", builtin_ones},
           {"linspace", builtin_linspace},
           {"onehot", builtin_onehot},
           {"label", builtin_label},
           {"stack", builtin_stack},
           {"broadcast", builtin_broadcast},
           {"stop_gradient", builtin_stop_gradient},
           {"like", builtin_like},
           {"vjp", builtin_vjp},
           {"jvp", builtin_jvp},
           {"divergence", builtin_divergence},
           {"along", builtin_along},
           {"integral", builtin_integral},
           {"map", not_yet},
           {"scan", not_yet},
           {"fold", not_yet},
           {"interpolate", not_yet},
           {"conv", not_yet},
           {"batchnorm", not_yet},
           {"gru", not_yet},
           {"dropout", not_yet},
           {"npy", builtin_npy}};

int builtin_find(const char *name)
{
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (str_eq(row[i].name, name))
            return (int)i;
    return -1;
}

const char *builtin_name(int index)
{
    return row[index].name;
}

Value builtin_call(Check *c, Scope *s, Builder *b, int index, Node *call)
{
    Args a = {c, s, b, call, row[index].name, 0, {{0}}};
    if (row[index].call == not_yet)
        return not_yet(&a);
    for (int i = 1; i < call->n; i++)
        if (call->kid[i]->kind != NODE_GIVEN) {
            if (a.n == 8) {
                DIAG_AT(c->diags, ARGUMENT_COUNT, check_span(c, call), a.name, 8, call->n - 1);
                return value_poison();
            }
            a.at[a.n++] = eval(c, s, b, call->kid[i]);
        }
    return row[index].call(&a);
}
