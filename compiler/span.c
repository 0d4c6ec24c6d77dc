/* span.c: time spans with a bound that is learned: `time 0 .. T` with T a parameter, or made of parameters.
 *
 * What is integrated runs over parts of the span, from 0 to 1: with t = t0 + (t1 - t0) x,
 *   dz/dx = (t1 - t0) f(z, t0 + (t1 - t0) x),
 * so that both bounds are arguments of the field like any other, and every adjoint gives their gradients. What the
 * model sees of time is in its own units: t in equations and quantities, h and the stage derivatives of quantities, the
 * automatic initial step; the runtime turns step sizes, traces and messages.
 * Needs: the bounds as values.  Gives: the clock of a solve, and what is measured by it.
 * Elsewhere: spans that the settings say (clause.c), the runtime's part (nde_span_of in runtime/solve.c). */
#include "block.h"
#include "canon.h"

static Val op2(Check *c, Builder *b, Op op, Val x, Val y)
{
    return fn_op2(c->module, b->fn, op, x, y);
}

/* ---- bounds ---- */
bool span_is_learned(const Check *c, const Value *v)
{
    Type t;
    return !value_is_static(v) && value_type(c, v, &t) && type_equal(t, type_scalar(false));
}

static bool same_val(const Fn *fn, Val a, Val b)
{
    Ins x = fn->ins.at[a];
    const Ins *y = &fn->ins.at[b];
    if (a == b)
        return true;
    bool is_same = x.n_arg == y->n_arg;
    for (int i = 0; is_same && i < x.n_arg; i++)
        is_same = same_val(fn, x.arg[i], y->arg[i]);
    x.arg = y->arg;
    return is_same && ins_equal(&x, y);
}

bool span_same_bound(const Value *a, const Value *b)
{
    if (a->kind == VALUE_number && b->kind == VALUE_number)
        return rat_to_double(a->num) == rat_to_double(b->num);
    if (a->kind == VALUE_tensor && b->kind == VALUE_tensor)
        return a->home == b->home && same_val(a->home->fn, a->val, b->val);
    return a->kind == b->kind && a->index == b->index &&
           (a->kind == VALUE_data || a->kind == VALUE_sample || a->kind == VALUE_param || a->kind == VALUE_leaf);
}

/* A bound as a value of the program: a setting if it is static. */
static Value bound(const Value *v, int set)
{
    return v->kind == VALUE_number ? (Value){.kind = VALUE_setting, .index = set} : *v;
}

bool span_depends(Check *c, const Value *v)
{
    if (v->kind != VALUE_tensor)
        return v->kind == VALUE_param;
    const Fn *fn = v->home->fn;
    bool *is_asked = ARENA_NEW(c->arena, bool, v->val + 1);
    is_asked[v->val] = true;
    for (Val i = v->val + 1; i-- > 0;) {
        const Ins *ins = &fn->ins.at[i];
        if (is_asked[i] && ins->op == OP_param)
            return true;
        for (int a = 0; is_asked[i] && ins->op != OP_detach && a < ins->n_arg; a++)
            is_asked[ins->arg[a]] = true;
    }
    return false;
}

void span_clock(Block *k)
{
    Check *c = k->c;
    SolveInfo *info = k->info;
    Solve *s = k->solve;
    if (info->from.kind == VALUE_poison || info->to.kind == VALUE_poison)
        return;
    /* An end of each sample that depends on no parameter is data, which the runtime reads as it is. */
    if (value_is_static(&info->from) && !span_is_learned(c, &info->to) && !span_depends(c, &info->to))
        return;
    Clock *clock = info->clock = ARENA_NEW(c->arena, Clock, 1);
    clock->start = bound(&info->from, s->set_t0);
    Value end = bound(&info->to, s->set_t1);
    Val first = build_val(c, k->main, &clock->start), last = build_val(c, k->main, &end);
    clock->length = value_val(k->main, op2(c, k->main, OP_sub, last, first));
    s->is_learned = true;
    s->set_t0 = s->set_t1 = -1; /* 0 and 1 */
}

/* ---- in the units of the model ---- */
Val span_time(Check *c, Builder *b, const Clock *clock, Val part)
{
    if (!clock)
        return part;
    Val way = op2(c, b, OP_mul, build_val(c, b, &clock->length), part);
    return op2(c, b, OP_add, build_val(c, b, &clock->start), way);
}

Val span_rate(Check *c, Builder *b, const Clock *clock, Val rate)
{
    return clock ? op2(c, b, OP_mul, build_val(c, b, &clock->length), rate) : rate;
}

/* The length, and 1 in place of 0: in a span without length all rates are 0. */
static Val divisor(Check *c, Builder *b, const Clock *clock)
{
    Val length = build_val(c, b, &clock->length), one = fn_const(c->module, b->fn, 1);
    Val is_empty = op2(c, b, OP_eq, length, fn_const(c->module, b->fn, 0));
    return build_op(c, b, OP_where, 3, (Val[]){is_empty, one, length}, (Imm){0}, b->fn->span);
}

Val span_part(Check *c, Builder *b, const Clock *clock, Val time)
{
    Val from = op2(c, b, OP_sub, time, build_val(c, b, &clock->start));
    return op2(c, b, OP_div, from, build_val(c, b, &clock->length));
}

Val span_unit(Check *c, Builder *b, const Clock *clock)
{
    return clock ? fn_op1(c->module, b->fn, OP_abs, divisor(c, b, clock)) : fn_const(c->module, b->fn, 1);
}

Internals span_internals(Check *c, Builder *b, const Internals *in)
{
    Internals out = *in;
    int stages = in->method->stages;
    if (!in->clock)
        return out;
    Val length = divisor(c, b, in->clock);
    out.t = span_time(c, b, in->clock, in->t);
    out.h = span_rate(c, b, in->clock, in->h);
    out.k = ARENA_NEW(c->arena, Val *, stages);
    for (int i = 0; i < stages; i++) {
        out.k[i] = ARENA_NEW(c->arena, Val, in->n_state);
        for (int j = 0; j < in->n_state; j++)
            out.k[i][j] = op2(c, b, OP_div, in->k[i][j], length);
    }
    return out;
}
