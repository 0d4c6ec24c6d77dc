/* derivative.c: vjp, jvp and divergence: derivatives that a model asks for, where it asks for them.
 *
 * Needs: a function under construction.  Gives: further instructions of it: what lies between x and the expression is
 * cut out as a function of one sample without calls, differentiated, and put behind what is there. Equal instructions
 * become one when the function is finished, so what the expression and its derivative share is worked out once.
 * Elsewhere: reverse mode itself (ad.c); training differentiates the result like anything else. */
#include "checker.h"

/* A divergence with more components is to be estimated. */
enum { MOST_COMPONENTS = 64 };

/* What lies between x and the expression. */
typedef struct Cut {
    Check *c;
    Builder *b;
    Node *call;
    bool *is_reached; /* depends on x.. */
    bool *is_used;    /* ..and the expression on it */
    bool has_calls;
    Fn *fn;           /* inputs: x, the vector if there is one, what else is used */
    LIST(Val) arg;    /* values of the builder for these inputs */
    Val x, y, vector; /* values of fn */
} Cut;

static bool is_leaf(const Ins *ins)
{
    return op_info[ins->op].op_class == CLASS_leaf && ins->op != OP_input;
}

/* A leaf with a name is an instruction at each place that names it. */
static bool is_x(const Fn *fn, Val v, Val x)
{
    const Ins *a = &fn->ins.at[v], *b = &fn->ins.at[x];
    bool is_named = is_leaf(b) && b->op != OP_const && b->op != OP_array;
    return v == x || (is_named && a->op == b->op && a->imm.index == b->imm.index);
}

static bool is_reached(Cut *cut, Val x, Val y)
{
    const Fn *fn = cut->b->fn;
    cut->is_reached = ARENA_NEW(cut->c->arena, bool, fn->ins.n);
    cut->is_used = ARENA_NEW(cut->c->arena, bool, fn->ins.n);
    for (int v = 0; v < fn->ins.n; v++) {
        const Ins *ins = &fn->ins.at[v];
        cut->is_reached[v] = is_x(fn, (Val)v, x);
        for (int k = 0; k < ins->n_arg; k++)
            cut->is_reached[v] |= cut->is_reached[ins->arg[k]];
    }
    cut->is_used[y] = true;
    for (int v = (int)y; v >= 0; v--)
        for (int k = 0; cut->is_used[v] && !is_x(fn, (Val)v, x) && k < fn->ins.at[v].n_arg; k++)
            cut->is_used[fn->ins.at[v].arg[k]] = true;
    return cut->is_reached[y];
}

static bool is_inside(const Cut *cut, int v)
{
    return cut->is_reached[v] && cut->is_used[v];
}

/* What one sample by itself has no derivative of. */
static bool is_possible(Cut *cut)
{
    const Fn *fn = cut->b->fn;
    for (int v = 0; v < fn->ins.n; v++) {
        const Ins *ins = &fn->ins.at[v];
        if (!is_inside(cut, v))
            continue;
        cut->has_calls |= ins->op == OP_call;
        const char *what = ins->op == OP_solve                        ? "the derivative of a solve's result"
                           : op_info[ins->op].op_class == CLASS_batch ? "the derivative of a mean over the batch"
                                                                      : NULL;
        if (what) {
            DIAG_AT(cut->c->diags, NOT_YET, check_span(cut->c, cut->call), what);
            return false;
        }
    }
    return true;
}

static Val input(Cut *cut, Val v)
{
    list_push(cut->c->arena, cut->arg, v);
    return fn_input(cut->c->module, cut->fn, fn_type(cut->b->fn, v), cut->b->fn->ins.at[v].name);
}

/* vector: a value of the builder, or NO_VAL. */
static void cut_out(Cut *cut, Val x, Val y, Val vector)
{
    Module *m = cut->c->module;
    const Fn *from = cut->b->fn;
    Val *map = ARENA_NEW(cut->c->arena, Val, from->ins.n);
    bool *is_outside = ARENA_NEW(cut->c->arena, bool, from->ins.n);
    cut->fn = fn_new(m, "derivative", check_span(cut->c, cut->call));
    cut->x = input(cut, x);
    cut->vector = vector == NO_VAL ? NO_VAL : input(cut, vector);
    for (int v = 0; v < from->ins.n; v++)
        for (int k = 0; is_inside(cut, v) && !is_x(from, (Val)v, x) && k < from->ins.at[v].n_arg; k++)
            is_outside[from->ins.at[v].arg[k]] |= !is_inside(cut, (int)from->ins.at[v].arg[k]);
    for (int v = 0; v < from->ins.n; v++)
        if (is_outside[v] && !is_leaf(&from->ins.at[v]))
            map[v] = input(cut, (Val)v);
    for (int v = 0; v < from->ins.n; v++)
        if (is_inside(cut, v) && is_x(from, (Val)v, x))
            map[v] = cut->x;
        else if (is_inside(cut, v) || (is_outside[v] && is_leaf(&from->ins.at[v])))
            fn_copy(m, cut->fn, from, (Val)v, map, true);
    cut->y = map[y];
}

static Val unit(Cut *cut, Type t, int i)
{
    double *array = ARENA_NEW(cut->c->arena, double, type_size(t));
    array[i] = 1;
    t.is_batched = false;
    if (t.rank == 0)
        return fn_const(cut->c->module, cut->fn, 1);
    return build_val(cut->c, &(Builder){.fn = cut->fn}, &(Value){.kind = VALUE_array, .type = t, .array = array});
}

static Val slice(Cut *cut, Val v, int axis, int from)
{
    Imm imm = {.axis = axis, .from = from, .to = fn_type(cut->fn, v)};
    imm.to.dim[axis] = 1;
    return fn_op(cut->c->module, cut->fn, OP_slice, 1, &v, imm, cut->fn->span);
}

/* Entry i of a vector, as one with one entry; of a product A' b only that is formed. */
static Val entry(Cut *cut, Val v, int i)
{
    Module *m = cut->c->module;
    const Ins ins = cut->fn->ins.at[v];
    if (ins.op == OP_add && fn_type(cut->fn, ins.arg[0]).rank == 1 && fn_type(cut->fn, ins.arg[1]).rank == 1)
        return fn_op2(m, cut->fn, OP_add, entry(cut, ins.arg[0], i), entry(cut, ins.arg[1], i));
    if (ins.op == OP_slice)
        return entry(cut, ins.arg[0], ins.imm.from + i);
    if (ins.op == OP_mm_tn && fn_type(cut->fn, ins.arg[0]).rank == 2 && fn_type(cut->fn, ins.arg[1]).rank == 1)
        return fn_op2(m, cut->fn, OP_mm_tn, slice(cut, ins.arg[0], 1, i), ins.arg[1]);
    return slice(cut, v, 0, i);
}

/* The sum over i of (e_i' J)_i. */
static Val trace(Cut *cut)
{
    Module *m = cut->c->module;
    Type t = fn_type(cut->fn, cut->y);
    Val sum = NO_VAL;
    for (int i = 0, n = type_size(t); i < n; i++) {
        Val row = ad_pull(m, cut->fn, cut->x, cut->y, unit(cut, t, i));
        if (t.rank != 1)
            row = fn_op(m, cut->fn, OP_reshape, 1, &row, (Imm){.to = type_real(false, 1, &n)}, cut->fn->span);
        row = entry(cut, row, i);
        row = fn_op(m, cut->fn, OP_reshape, 1, &row, (Imm){.to = type_scalar(false)}, cut->fn->span);
        sum = sum == NO_VAL ? row : fn_op2(m, cut->fn, OP_add, sum, row);
    }
    return sum;
}

/* After is_reached; NO_VAL after a message. */
static Val differentiate(Cut *cut, Derivative which, Val x, Val y, Val vector)
{
    Module *m = cut->c->module;
    if (!is_possible(cut))
        return NO_VAL;
    cut_out(cut, x, y, vector);
    fn_out(m, cut->fn,
           which == DERIVATIVE_vjp   ? ad_pull(m, cut->fn, cut->x, cut->y, cut->vector)
           : which == DERIVATIVE_jvp ? ad_push(m, cut->fn, cut->x, cut->y, cut->vector)
                                     : trace(cut),
           NULL);
    const Fn *fn = canon(m, cut->fn);
    const Val *map = fn_append(m, cut->b->fn, fn, cut->arg.at, false);
    cut->b->is_flat |= cut->has_calls;
    return map[fn->out.at[0]];
}

/* ---- arguments ---- */
static Val tensor_of(Check *c, Builder *b, Value v, const char *what, Node *node)
{
    Type t;
    if (v.kind == VALUE_states && v.n == 1)
        v = v.many[0];
    if (value_type(c, &v, &t) && !v.classes)
        return build_val(c, b, &v);
    DIAG_AT(c->diags, NOT_A_VALUE, check_span(c, node), str_format(c->arena, "an argument of '%s'", what),
            value_text(c, &v));
    return NO_VAL;
}

/* The vector in the shape of what it belongs to; a number fills it. */
static Val vector_of(Check *c, Builder *b, Value v, const char *name, const char *like, Type want, Node *node)
{
    Val vector = tensor_of(c, b, v, name, node);
    if (vector == NO_VAL)
        return NO_VAL;
    Type t = fn_type(b->fn, vector);
    if (type_same_shape(t, want))
        return vector;
    if (t.rank == 0)
        return fn_op(c->module, b->fn, OP_fill, 1, &vector, (Imm){.to = want}, check_span(c, node));
    DIAG_AT(c->diags, DERIVATIVE_SHAPE, check_span(c, node), name, like, type_text(c->arena, want),
            type_text(c->arena, t));
    return NO_VAL;
}

static bool has_trace(Check *c, Builder *b, Val x, Val y, Node *call)
{
    Type tx = fn_type(b->fn, x), ty = fn_type(b->fn, y);
    if (!type_same_shape(tx, ty))
        DIAG_AT(c->diags, DIVERGENCE_SHAPE, check_span(c, call), type_text(c->arena, ty), type_text(c->arena, tx));
    else if (type_size(tx) > MOST_COMPONENTS) {
        DIAG_AT(c->diags, DIVERGENCE_SIZE, check_span(c, call), type_size(tx), MOST_COMPONENTS);
        diag_help(c->diags, "dot(e, vjp(f, x, e)) has the same mean for a noise e of mean 0 and variance 1");
    } else
        return true;
    return false;
}

Value derivative_of(Check *c, Builder *b, Derivative which, const Value *at, Node *call)
{
    static const char *const name[] = {"vjp", "jvp", "divergence"};
    const Node *x_node = call->kid[2];
    Cut cut = {.c = c, .b = b, .call = call};
    if (!b) {
        DIAG_PLAIN(c->diags, NOT_STATIC, check_span(c, call));
        return value_poison();
    }
    if (x_node->kind != NODE_NAME && !(x_node->kind == NODE_MEMBER && at[1].kind == VALUE_param)) {
        DIAG_AT(c->diags, DERIVATIVE_NAME, check_span(c, x_node), name[which]);
        return value_poison();
    }
    Val y = tensor_of(c, b, at[0], name[which], call), x = tensor_of(c, b, at[1], name[which], call), v = NO_VAL;
    if (y == NO_VAL || x == NO_VAL || (which == DERIVATIVE_divergence && !has_trace(c, b, x, y, call)))
        return value_poison();
    if (which != DERIVATIVE_divergence) {
        bool is_back = which == DERIVATIVE_vjp;
        v = vector_of(c, b, at[2], name[which], is_back ? "the expression" : str_format(c->arena, "'%s'", x_node->text),
                      fn_type(b->fn, is_back ? y : x), call->kid[3]);
        if (v == NO_VAL)
            return value_poison();
    }
    if (value_is_static(&at[1]) || !is_reached(&cut, x, y)) {
        DIAG_AT(c->diags, DERIVATIVE_NONE, check_span(c, call), x_node->text);
        return value_poison();
    }
    Val out = differentiate(&cut, which, x, y, v);
    return out == NO_VAL ? value_poison() : value_val(b, out);
}

Val derivative_along(Check *c, Builder *b, const Path *path, Val y, Node *call)
{
    Val sum = NO_VAL;
    for (int j = 0; j <= path->n; j++) {
        Val x = j < path->n ? path->u[j] : path->t;
        Val v = j < path->n ? path->du[j] : fn_const(c->module, b->fn, 1);
        Cut cut = {.c = c, .b = b, .call = call};
        if (!is_reached(&cut, x, y))
            continue;
        Val part = differentiate(&cut, DERIVATIVE_jvp, x, y, v);
        if (part == NO_VAL)
            return NO_VAL;
        sum = sum == NO_VAL ? part : fn_op2(c->module, b->fn, OP_add, sum, part);
    }
    if (sum != NO_VAL)
        return sum;
    Type t = fn_type(b->fn, y);
    Val zero = fn_const(c->module, b->fn, 0);
    return t.rank ? fn_op(c->module, b->fn, OP_fill, 1, &zero, (Imm){.to = t}, check_span(c, call)) : zero;
}
