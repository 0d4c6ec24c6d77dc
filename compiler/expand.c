/* expand.c: puts the body of a callee in the place of its call, where the call cannot stay.
 *
 * Needs: a canonical function, planned callees (plan_callee).  Gives: the function without the calls of callees that
 * need the whole of a sum over the batch, and in top-level functions of those that set a shared result; every remaining
 * call has a value for each of its results, and per-sample parameters get per-sample arguments. Elsewhere: which
 * callees these are (plan.c). */
#include "plan.h"

#include <ctype.h>

typedef struct Expand {
    Plan *p;
    const Fn *from;
    Fn *to;
    Val *map;   /* value of from -> value of to */
    Val **outs; /* of a call that was expanded: the values of its outputs; else NULL */
} Expand;

static Val append(Expand *e, Ins ins, const Val *map)
{
    Val *arg = ARENA_NEW(e->p->m->arena, Val, ins.n_arg + 1);
    for (int i = 0; i < ins.n_arg; i++)
        arg[i] = map[ins.arg[i]];
    ins.arg = arg;
    list_push(e->p->m->arena, e->to->ins, ins);
    return (Val)(e->to->ins.n - 1);
}

/* A shared argument of a per-sample parameter is the same for each sample. */
static void spread(Expand *e, Val call, int k)
{
    Val arg = e->to->ins.at[call].arg[k];
    Ins ins = {.op = OP_bcast, .type = fn_type(e->to, arg), .n_arg = 1, .arg = &arg, .span = e->to->ins.at[call].span};
    Ins last = e->to->ins.at[call];
    ins.type.is_batched = true;
    e->to->ins.n--;
    Val *copy = ARENA_NEW(e->p->m->arena, Val, 1);
    copy[0] = arg;
    ins.arg = copy;
    list_push(e->p->m->arena, e->to->ins, ins);
    last.arg[k] = (Val)(e->to->ins.n - 1);
    list_push(e->p->m->arena, e->to->ins, last);
}

static Val append_region(Expand *e, Ins ins)
{
    Val v = append(e, ins, e->map);
    for (int k = 0; k < ins.n_arg; k++) {
        Type want = ins.op == OP_call ? fn_type(ins.imm.fn, (Val)k) : fn_type(e->to, e->to->ins.at[v].arg[k]);
        if (ins.op != OP_call && k < ins.imm.solve->n_state)
            want.is_batched = true;
        bool is_batched = fn_type(e->to, e->to->ins.at[v].arg[k]).is_batched;
        if (is_batched && !want.is_batched)
            BUG("'%s': argument %d of '%s' is per sample, its parameter is shared", e->from->name, k + 1,
                ins.op == OP_call ? ins.imm.fn->name : ins.imm.solve->name);
        if (!is_batched && want.is_batched) {
            spread(e, v, k);
            v++;
        }
    }
    return v;
}

static void expand_call(Expand *e, Val v, const Fn *callee)
{
    const Ins *call = &e->from->ins.at[v];
    Val *map = ARENA_NEW(e->p->m->arena, Val, callee->ins.n);
    for (int w = 0; w < callee->ins.n; w++) {
        Ins ins = callee->ins.at[w];
        map[w] = w < callee->n_in ? e->map[call->arg[w]] : append(e, ins, map);
        if (w < callee->n_in && ins.type.is_batched && !fn_type(e->to, map[w]).is_batched)
            map[w] = append(
                e, (Ins){.op = OP_bcast, .type = ins.type, .n_arg = 1, .arg = &(Val){(Val)w}, .span = ins.span}, map);
    }
    e->outs[v] = ARENA_NEW(e->p->m->arena, Val, callee->out.n + 1);
    for (int i = 0; i < callee->out.n; i++)
        e->outs[v][i] = map[callee->out.at[i]];
}

/* A top-level function has no place for a shared result that each tile sets: such a call is expanded there. */
static bool must_expand(Plan *p, const Ins *ins, bool is_top)
{
    if (!plan_is_tile_call(ins))
        return false;
    const PlanFn *callee = plan_callee(p, ins->imm.fn);
    bool sets_shared = false;
    for (int i = 0; i < callee->fn->out.n; i++)
        sets_shared |= !fn_type(callee->fn, callee->fn->out.at[i]).is_batched && !callee->out_is_sum[i];
    return callee->needs_inline || (is_top && sets_shared);
}

/* Does the value of a row depend on operand k, or only its derivative? */
static bool is_read(Op op, int k)
{
    const char *s = op_info[op].value;
    for (int i = 0; s[i]; i++)
        if (s[i] == 'a' + k && (i == 0 || !isalnum((unsigned char)s[i - 1])) && !isalnum((unsigned char)s[i + 1]))
            return true;
    return false;
}

/* An operand that only the derivative reads need not be computed any more. */
static Val append_map(Expand *e, Ins ins)
{
    Val v = append(e, ins, e->map), *arg = e->to->ins.at[v].arg;
    int first = 0;
    while (first < ins.n_arg && !is_read(ins.op, first))
        first++;
    for (int k = 0; k < ins.n_arg && first < ins.n_arg; k++)
        if (!is_read(ins.op, k))
            arg[k] = arg[first];
    return v;
}

static void expand_ins(Expand *e, Val v, bool is_top)
{
    const Ins *ins = &e->from->ins.at[v];
    if (ins->op == OP_result && e->outs[ins->arg[0]]) {
        Val w = e->outs[ins->arg[0]][ins->imm.index];
        e->map[v] = w;
        if (ins->name && !e->to->ins.at[w].name)
            e->to->ins.at[w].name = ins->name;
    } else if (must_expand(e->p, ins, is_top)) {
        expand_call(e, v, plan_callee(e->p, ins->imm.fn)->fn);
    } else if (plan_is_region(ins->op)) {
        e->map[v] = append_region(e, *ins);
    } else if (op_info[ins->op].op_class == CLASS_map) {
        e->map[v] = append_map(e, *ins);
    } else {
        e->map[v] = append(e, *ins, e->map);
    }
}

static Expand expand_begin(Plan *p, const Fn *fn)
{
    Fn *to = fn_new(p->m, fn->name, fn->span);
    to->note = fn->note;
    to->n_in = fn->n_in;
    return (Expand){p, fn, to, ARENA_NEW(p->m->arena, Val, fn->ins.n + 1),
                    ARENA_NEW(p->m->arena, Val *, fn->ins.n + 1)};
}

static Fn *expand_end(Expand *e)
{
    for (int i = 0; i < e->from->out.n; i++)
        fn_out(e->p->m, e->to, e->map[e->from->out.at[i]], e->from->out_name.at[i]);
    return e->to;
}

/* Every output of a call is a value, so that each has a place to be written to. */
static const Fn *with_results(Plan *p, const Fn *fn)
{
    Expand e = expand_begin(p, fn);
    for (Val v = 0; v < (Val)fn->ins.n; v++) {
        const Ins *ins = &fn->ins.at[v];
        if (ins->op == OP_result && e.outs[ins->arg[0]]) {
            e.map[v] = e.outs[ins->arg[0]][ins->imm.index];
            e.to->ins.at[e.map[v]].name = ins->name;
            continue;
        }
        e.map[v] = append(&e, *ins, e.map);
        if (ins->op != OP_call)
            continue;
        const Fn *callee = ins->imm.fn;
        e.outs[v] = ARENA_NEW(p->m->arena, Val, callee->out.n + 1);
        for (int i = 0; i < callee->out.n; i++) {
            Val call = v;
            Ins result = {.op = OP_result, .type = fn_type(callee, callee->out.at[i]), .n_arg = 1, .arg = &call};
            result.imm.index = i;
            result.span = ins->span;
            e.outs[v][i] = append(&e, result, e.map);
        }
    }
    return expand_end(&e);
}

const Fn *plan_expand(Plan *p, const Fn *fn, bool is_top)
{
    for (bool is_done = false; !is_done;) { /* what was expanded may hold calls itself */
        Expand e = expand_begin(p, fn);
        is_done = true;
        for (int v = 0; v < fn->ins.n; v++) {
            is_done &= !must_expand(p, &fn->ins.at[v], is_top);
            expand_ins(&e, (Val)v, is_top);
        }
        fn = canon(p->m, expand_end(&e));
    }
    return with_results(p, fn);
}
