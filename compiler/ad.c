/* ad.c: reverse mode: one backward sweep over a straight line, and the rules of the regions.
 *
 * Needs: verified functions; a rule for each operator (op.def).  Gives: the derivative as ordinary functions of the
 * same IR, so it can be differentiated again.
 *
 * A callee is differentiated once for each set of wanted inputs and seeded outputs, as a pair: `fwd`, the function with
 * further outputs (residuals: what the reverse needs to know), and `bwd`, from residuals and cotangents to gradients.
 * Cotangents always have the type of their value: where a per-sample contribution reaches a shared value a sum over the
 * batch is put in, and a broadcast the other way round (acc).
 * Elsewhere: the reverse of a solve (ad_solve.c). */
#include "ad.h"

#include <string.h>

/* ---- what depends on what ---- */
static bool passes(Op op, int k)
{
    const char *rule = op_info[op].rule;
    for (int i = 0; rule && i < k && op_info[op].n_arg >= 0; i++)
        rule = strchr(rule, ';') + 1;
    while (rule && *rule == ' ')
        rule++;
    return rule && !(rule[0] == '0' && (rule[1] == 0 || rule[1] == ';'));
}

void ad_depends(Module *m, const Fn *fn, bool *value)
{
    for (int v = 0; v < fn->ins.n; v++) {
        const Ins *ins = &fn->ins.at[v];
        if (op_info[ins->op].op_class == CLASS_region && ins->op != OP_result) {
            for (int k = 0; k < ins->n_arg; k++)
                value[v] |= value[ins->arg[k]];
        } else if (ins->op == OP_result && value[ins->arg[0]]) {
            const Ins *region = &fn->ins.at[ins->arg[0]];
            value[v] = true;
            if (region->op == OP_call) {
                bool *want = ARENA_NEW(m->arena, bool, region->n_arg + 1);
                bool *out = ARENA_NEW(m->arena, bool, region->imm.fn->out.n + 1);
                for (int k = 0; k < region->n_arg; k++)
                    want[k] = value[region->arg[k]];
                ad_reach(m, region->imm.fn, want, NULL, out, NULL);
                value[v] = out[ins->imm.index];
            } else if (region->op == OP_solve) {
                const Solve *s = region->imm.solve;
                int i = ins->imm.index, first = solve_drawn(s, 0, 0);
                value[v] = i < solve_evaluations(s) &&
                           !(i >= first && i < solve_quantity(s, 0) && (i - first) % (s->n_state + 3) >= s->n_state);
            }
        } else
            for (int k = 0; k < ins->n_arg; k++)
                value[v] |= value[ins->arg[k]] && passes(ins->op, k);
    }
}

static void mark_live(Module *m, const Fn *fn, const Active *a)
{
    for (int v = fn->ins.n - 1; v >= 0; v--) {
        const Ins *ins = &fn->ins.at[v];
        if (!a->live[v] || !a->value[v])
            continue;
        if (ins->op != OP_call) {
            for (int k = 0; k < ins->n_arg; k++)
                a->live[ins->arg[k]] |=
                    a->value[ins->arg[k]] && (op_info[ins->op].op_class == CLASS_region || passes(ins->op, k));
            continue;
        }
        bool *want = ARENA_NEW(m->arena, bool, ins->n_arg + 1), *in = ARENA_NEW(m->arena, bool, ins->n_arg + 1);
        bool *seed = ARENA_NEW(m->arena, bool, ins->imm.fn->out.n + 1);
        for (int k = 0; k < ins->n_arg; k++)
            want[k] = a->value[ins->arg[k]];
        for (int w = v + 1; w < fn->ins.n; w++)
            if (fn->ins.at[w].op == OP_result && fn->ins.at[w].arg[0] == (Val)v && a->live[w] && a->value[w])
                seed[fn->ins.at[w].imm.index] = true;
        ad_reach(m, ins->imm.fn, want, seed, NULL, in);
        for (int k = 0; k < ins->n_arg; k++)
            a->live[ins->arg[k]] |= in[k];
    }
}

void ad_reach(Module *m, const Fn *fn, const bool *want, const bool *seed, bool *out, bool *in)
{
    Active a = {ARENA_NEW(m->arena, bool, fn->ins.n + 1), ARENA_NEW(m->arena, bool, fn->ins.n + 1)};
    for (int i = 0; i < fn->n_in; i++)
        a.value[i] = want[i];
    ad_depends(m, fn, a.value);
    for (int i = 0; out && i < fn->out.n; i++)
        out[i] = a.value[fn->out.at[i]];
    if (!in)
        return;
    for (int i = 0; i < fn->out.n; i++)
        a.live[fn->out.at[i]] |= seed[i];
    mark_live(m, fn, &a);
    for (int i = 0; i < fn->n_in; i++)
        in[i] = a.live[i] && a.value[i];
}

/* ---- the sweep ---- */
static Pair *pair_of(Module *m, const Fn *fn, const bool *want, const bool *seed);

Val sweep_zero(Module *m, Fn *to, Type t)
{
    Val zero = fn_const(m, to, 0);
    if (t.rank > 0)
        zero = fn_op(m, to, OP_fill, 1, &zero, (Imm){.to = t}, to->span);
    return t.is_batched ? fn_op1(m, to, OP_bcast, zero) : zero;
}

static void acc(Sweep *s, Val v, Val g)
{
    Type t = fn_type(s->from, v), tg = fn_type(s->to, g);
    if (t.rank == 0 && tg.rank != 0)
        g = fn_op1(s->m, s->to, OP_sum, g);
    else if (t.rank != 0 && tg.rank == 0)
        g = fn_op(s->m, s->to, OP_fill, 1, &g, (Imm){.to = t}, s->to->span);
    else if (!type_same_shape(t, tg)) /* in products a vector is a matrix of one column */
        g = fn_op(s->m, s->to, OP_reshape, 1, &g, (Imm){.to = t}, s->to->span);
    if (!t.is_batched && tg.is_batched && !s->is_each)
        g = fn_op1(s->m, s->to, OP_bsum, g);
    if (t.is_batched && !tg.is_batched && !s->is_each)
        g = fn_op1(s->m, s->to, OP_bcast, g);
    Val *sum = &s->cotangent[v];
    *sum = *sum == NO_VAL ? g : fn_op2(s->m, s->to, OP_add, *sum, g);
}

/* ---- forward values where the reverse stands ---- */
/* Always formed again: what moves data, and shared values, since a callee runs once a tile. */
static bool is_free(const Ins *ins)
{
    if (!ins->type.is_batched)
        return true;
    return op_info[ins->op].op_class == CLASS_form && ins->op != OP_detach && ins->op != OP_onehot;
}

/* A map that is written with operators alone, and no function. */
static bool is_arithmetic(const Ins *ins)
{
    const char *value = op_info[ins->op].value;
    return op_info[ins->op].op_class == CLASS_map && value && !strchr(value, '(');
}

bool ad_is_kept(const Ins *ins)
{
    return !is_free(ins) && !is_arithmetic(ins);
}

static Val written(const Sweep *s, Val v)
{
    while (s->from->ins.at[v].op == OP_instead)
        v = s->from->ins.at[v].arg[1];
    return v;
}

/* Counts what forming v again takes: instructions, and values that would be handed over for nothing else. */
static void search(Sweep *s, Val v, int *n_ins, int *n_more)
{
    const Ins *ins = &s->from->ins.at[v = written(s, v)];
    if (ins->op == OP_input || s->copy[v] != NO_VAL || s->seen[v] == s->search)
        return;
    s->seen[v] = s->search;
    if (ad_is_kept(ins)) {
        *n_more += !s->is_needed[v];
        return;
    }
    *n_ins += ins->type.is_batched;
    for (int k = 0; k < ins->n_arg; k++)
        search(s, ins->arg[k], n_ins, n_more);
}

/* Arithmetic on what is there in any case costs less than memory. */
static bool is_formed_again(Sweep *s, Val v)
{
    enum { MOST = 40 };
    const Ins *ins = &s->from->ins.at[v];
    if (is_free(ins))
        return true;
    if (!s->is_needed || !is_arithmetic(ins))
        return false;
    int n_ins = 0, n_more = 0;
    s->search++;
    search(s, v, &n_ins, &n_more);
    return n_ins <= MOST && n_more == 0;
}

Val sweep_take(Sweep *s, TakesKind kind, int index, Type type, const char *name)
{
    Ins ins = {.op = OP_input, .type = type, .span = s->from->span, .name = name, .imm = {.index = s->result->takes.n}};
    list_push(s->m->arena, s->result->takes, ((Takes){kind, index}));
    list_push(s->m->arena, s->to->ins, ins);
    return (Val)(s->to->ins.n - 1);
}

static Val residual(Sweep *s, Val v)
{
    const Ins ins = s->from->ins.at[v];
    Val out = sweep_take(s, TAKES_RESIDUAL, s->residual.n, ins.type, ins.name);
    list_push(s->m->arena, s->residual, v);
    fn_out(s->m, s->from, (int)v < s->n && s->stand_in[v] != NO_VAL ? s->stand_in[v] : v, ins.name);
    return out;
}

/* Places for v and all before it. */
static void make_places(Sweep *s, int v)
{
    int before = s->room;
    if (v < before)
        return;
    while (v >= s->room)
        s->room *= 2;
    Val *copy = ARENA_NEW(s->m->arena, Val, s->room);
    int *seen = ARENA_NEW(s->m->arena, int, s->room);
    bool *is_needed = ARENA_NEW(s->m->arena, bool, s->room);
    memset(copy, 0xff, sizeof(Val) * (size_t)s->room);
    memcpy(copy, s->copy, sizeof(Val) * (size_t)before);
    memcpy(seen, s->seen, sizeof(int) * (size_t)before);
    if (s->is_needed)
        s->is_needed = memcpy(is_needed, s->is_needed, sizeof(bool) * (size_t)before);
    s->copy = copy;
    s->seen = seen;
}

/* The forward value v where the reverse code stands. */
Val sweep_use(void *context, Val v)
{
    Sweep *s = context;
    if (s->to == s->from)
        return (int)v < s->n && s->stand_in[v] != NO_VAL ? s->stand_in[v] : v;
    v = written(s, v);
    make_places(s, (int)v);
    if (s->copy[v] != NO_VAL)
        return s->copy[v];
    const Ins ins = s->from->ins.at[v];
    Val out;
    if (ins.op == OP_input)
        out = sweep_take(s, TAKES_ARG, (int)v, ins.type, ins.name);
    else if (is_formed_again(s, v)) {
        Ins again = ins;
        again.arg = ARENA_NEW(s->m->arena, Val, ins.n_arg + 1);
        for (int k = 0; k < ins.n_arg; k++)
            again.arg[k] = sweep_use(s, ins.arg[k]);
        list_push(s->m->arena, s->to->ins, again);
        out = (Val)(s->to->ins.n - 1);
    } else
        out = residual(s, v);
    return s->copy[v] = out;
}

Val sweep_operand(Sweep *s, Val v, const Pair *p, int i)
{
    Takes t = p->takes.at[i];
    if (t.kind == TAKES_ARG)
        return sweep_use(s, s->from->ins.at[v].arg[t.index]);
    int index = p->fn->out.n + t.index;
    return sweep_use(s, fn_result(s->m, s->from, v, index, fn_type(p->fwd, p->fwd->out.at[index])));
}

/* One result may stand in several instructions: a canonical form is not asked for. */
static void add_seed(Sweep *s, Val *sum, Val g)
{
    if (g != NO_VAL)
        *sum = *sum == NO_VAL ? g : fn_op2(s->m, s->to, OP_add, *sum, g);
}

static void sweep_call(Sweep *s, Val v)
{
    const Ins ins = s->from->ins.at[v];
    Pair *p = s->pair[v];
    Val *arg = ARENA_NEW(s->m->arena, Val, p->takes.n + 1);
    const Fn *callee = p->fn;
    Val *seed = ARENA_NEW(s->m->arena, Val, callee->out.n + 1);
    for (int i = 0; i < callee->out.n; i++)
        seed[i] = NO_VAL;
    for (int w = (int)v + 1; w < s->n; w++)
        if (s->from->ins.at[w].op == OP_result && s->from->ins.at[w].arg[0] == v)
            add_seed(s, &seed[s->from->ins.at[w].imm.index], s->cotangent[w]);
    for (int i = 0; i < p->takes.n; i++) {
        Takes t = p->takes.at[i];
        if (t.kind != TAKES_SEED)
            arg[i] = sweep_operand(s, v, p, i);
        else
            arg[i] = seed[t.index] != NO_VAL ? seed[t.index]
                                             : sweep_zero(s->m, s->to, fn_type(callee, callee->out.at[t.index]));
    }
    Val call = fn_call(s->m, s->to, p->bwd, p->takes.n, arg, ins.span);
    for (int k = 0, n = 0; k < callee->n_in; k++)
        if (p->want[k]) {
            acc(s, ins.arg[k], fn_result(s->m, s->to, call, n, fn_type(p->bwd, p->bwd->out.at[n])));
            n++;
        }
}

/* The reverse of a solve with tangents: g of its results. */
static void sweep_tangents(Sweep *s, Val v, const Val *g)
{
    const Ins ins = s->from->ins.at[v];
    const Solve *solve = ins.imm.solve;
    Val all = ad_solve_forward(s->m, s->to, v, g);
    for (int i = 0; i < solve->directions.n && all != NO_VAL; i++) {
        Direction d = solve->directions.at[i];
        Val operand = ins.arg[d.is_start ? d.index : solve->n_state + d.index];
        int n = type_size(fn_type(s->from, operand));
        Imm imm = {.axis = 0, .from = d.first, .to = type_real(true, 1, &n)};
        acc(s, operand, fn_op(s->m, s->to, OP_slice, 1, &all, imm, ins.span));
    }
}

static void sweep_solve(Sweep *s, Val v)
{
    const Ins ins = s->from->ins.at[v];
    const Solve *solve = ins.imm.solve;
    if (s->to != s->from)
        BUG("'%s': a solve inside a called function cannot be differentiated", s->from->name);
    int n_result = solve_n_result(solve), n_arg = ins.n_arg;
    bool *want = ARENA_NEW(s->m->arena, bool, n_arg + 1), *seed = ARENA_NEW(s->m->arena, bool, n_result);
    Val *g = ARENA_NEW(s->m->arena, Val, n_result), *arg = ARENA_NEW(s->m->arena, Val, n_arg + n_result);
    for (int i = 0; i < n_result; i++)
        g[i] = NO_VAL;
    for (int w = (int)v + 1; w < s->n; w++)
        if (s->from->ins.at[w].op == OP_result && s->from->ins.at[w].arg[0] == v && s->cotangent[w] != NO_VAL) {
            seed[s->from->ins.at[w].imm.index] = true;
            add_seed(s, &g[s->from->ins.at[w].imm.index], s->cotangent[w]);
        }
    for (int k = 0; k < n_arg; k++) {
        want[k] = s->a.value[ins.arg[k]];
        arg[k] = ins.arg[k];
    }
    if (solve->adjoint == ADJOINT_forward) {
        sweep_tangents(s, v, g);
        return;
    }
    for (int i = 0; i < n_result; i++)
        if (seed[i])
            arg[n_arg++] = g[i];
    SolveVjp *vjp = (solve->backward ? ad_solve_backward : ad_solve_reverse)(s->m, solve, want, seed);
    list_push(s->m->arena, s->m->vjps, vjp);
    Val call = fn_op(s->m, s->to, OP_solve_vjp, n_arg, arg, (Imm){.solve = (Solve *)solve, .index = s->m->vjps.n - 1},
                     ins.span);
    for (int k = 0, n = 0; k < ins.n_arg; k++)
        if (want[k])
            acc(s, ins.arg[k], fn_result(s->m, s->to, call, n++, fn_type(s->from, ins.arg[k])));
}

static void sweep_back(Sweep *s)
{
    for (int v = s->n - 1; v >= 0; v--) {
        const Ins ins = s->from->ins.at[v]; /* a copy: the list may grow */
        if (!s->a.value[v] || !s->a.live[v])
            continue;
        if (ins.op == OP_call && s->pair[v])
            sweep_call(s, (Val)v);
        else if (ins.op == OP_solve)
            sweep_solve(s, (Val)v);
        else if (ins.op == OP_solve_vjp)
            BUG("second derivatives through a solve");
        else if (op_info[ins.op].op_class != CLASS_region && s->cotangent[v] != NO_VAL)
            for (int k = 0; k < ins.n_arg; k++)
                if (s->a.value[ins.arg[k]]) {
                    Val g = op_rule(s->m, s->to, s->from, (Val)v, k, s->cotangent[v], sweep_use, s);
                    if (g != NO_VAL)
                        acc(s, ins.arg[k], g);
                }
    }
}

/* Replaces each active call of s->from by its fwd. */
static void augment(Sweep *s)
{
    for (int v = 0; v < s->n; v++) {
        Ins *ins = &s->from->ins.at[v];
        if (ins->op != OP_call || !s->a.value[v] || !s->a.live[v])
            continue;
        bool *want = ARENA_NEW(s->m->arena, bool, ins->n_arg + 1), any = false;
        bool *seed = ARENA_NEW(s->m->arena, bool, ins->imm.fn->out.n + 1);
        for (int w = v + 1; w < s->n; w++)
            if (s->from->ins.at[w].op == OP_result && s->from->ins.at[w].arg[0] == (Val)v && s->a.live[w] &&
                s->a.value[w])
                any = seed[s->from->ins.at[w].imm.index] = true;
        if (!any)
            continue;
        for (int k = 0; k < ins->n_arg; k++)
            want[k] = s->a.value[ins->arg[k]];
        ad_reach(s->m, ins->imm.fn, want, seed, NULL, want);
        s->pair[v] = pair_of(s->m, ins->imm.fn, want, seed);
        s->from->ins.at[v].imm.fn = s->pair[v]->fwd;
    }
}

Sweep sweep_new(Module *m, Fn *from, Fn *to)
{
    int n = from->ins.n;
    Sweep s = {.m = m, .from = from, .to = to, .n = n, .room = 2 * n + 64};
    s.a = (Active){ARENA_NEW(m->arena, bool, n), ARENA_NEW(m->arena, bool, n)};
    s.pair = ARENA_NEW(m->arena, Pair *, n);
    s.cotangent = ARENA_NEW(m->arena, Val, n);
    s.stand_in = ARENA_NEW(m->arena, Val, n + 1);
    memset(s.cotangent, 0xff, sizeof(Val) * (size_t)n);
    memset(s.stand_in, 0xff, sizeof(Val) * (size_t)n);
    for (int v = 0; v < n; v++)
        if (from->ins.at[v].op == OP_instead)
            s.stand_in[from->ins.at[v].arg[1]] = from->ins.at[v].arg[0];
    if (to != from) {
        s.copy = ARENA_NEW(m->arena, Val, s.room);
        s.seen = ARENA_NEW(m->arena, int, s.room);
        memset(s.copy, 0xff, sizeof(Val) * (size_t)s.room);
    }
    return s;
}

Fn *sweep_copy(Module *m, const Fn *fn, const char *name)
{
    Fn *to = fn_new(m, name, fn->span);
    to->note = fn->note;
    to->n_in = fn->n_in;
    for (int v = 0; v < fn->ins.n; v++)
        list_push(m->arena, to->ins, fn->ins.at[v]);
    for (int i = 0; i < fn->out.n; i++)
        fn_out(m, to, fn->out.at[i], fn->out_name.at[i]);
    return to;
}

/* ---- pairs ---- */
static bool same_mask(const bool *a, const bool *b, int n)
{
    return memcmp(a, b, sizeof(bool) * (size_t)n) == 0;
}

/* bwd with its inputs in front and without those that it does not read. */
Fn *sweep_inputs_first(Module *m, const Fn *fn, Pair *p)
{
    bool *is_read = ARENA_NEW(m->arena, bool, fn->ins.n + 1);
    Val *map = ARENA_NEW(m->arena, Val, fn->ins.n + 1), *stack = ARENA_NEW(m->arena, Val, fn->ins.n + 1);
    int depth = 0;
    for (int i = 0; i < fn->out.n; i++)
        if (!is_read[fn->out.at[i]])
            is_read[stack[depth++] = fn->out.at[i]] = true;
    while (depth > 0) {
        const Ins *ins = &fn->ins.at[stack[--depth]];
        for (int k = 0; k < ins->n_arg; k++)
            if (!is_read[ins->arg[k]])
                is_read[stack[depth++] = ins->arg[k]] = true;
    }
    Fn *to = fn_new(m, fn->name, fn->span);
    Pair old = *p;
    p->takes.n = 0;
    p->takes.at = NULL;
    p->takes.room = 0;
    for (int v = 0; v < fn->ins.n; v++)
        if (fn->ins.at[v].op == OP_input && is_read[v]) {
            map[v] = fn_input(m, to, fn->ins.at[v].type, fn->ins.at[v].name);
            list_push(m->arena, p->takes, old.takes.at[fn->ins.at[v].imm.index]);
        }
    for (int v = 0; v < fn->ins.n; v++) {
        Ins ins = fn->ins.at[v];
        if (ins.op == OP_input || !is_read[v])
            continue;
        ins.arg = ARENA_NEW(m->arena, Val, ins.n_arg + 1);
        for (int k = 0; k < ins.n_arg; k++)
            ins.arg[k] = map[fn->ins.at[v].arg[k]];
        list_push(m->arena, to->ins, ins);
        map[v] = (Val)(to->ins.n - 1);
    }
    for (int i = 0; i < fn->out.n; i++)
        fn_out(m, to, map[fn->out.at[i]], fn->out_name.at[i]);
    return to;
}

static Pair *pair_new(Module *m, const Fn *fn, const bool *want, const bool *seed)
{
    Pair *p = ARENA_NEW(m->arena, Pair, 1);
    p->fn = fn;
    p->want = ARENA_NEW(m->arena, bool, fn->n_in + 1);
    p->seed = ARENA_NEW(m->arena, bool, fn->out.n + 1);
    memcpy(p->want, want, sizeof(bool) * (size_t)fn->n_in);
    memcpy(p->seed, seed, sizeof(bool) * (size_t)fn->out.n);
    return p;
}

/* One sweep from a copy of p's function to a new one. before: the sweep before, or NULL. */
static Sweep pair_sweep(Module *m, Pair *p, const Sweep *before)
{
    const Fn *fn = p->fn;
    Fn *fwd = sweep_copy(m, fn, str_format(m->arena, "%s_fwd", fn->name));
    Fn *bwd = fn_new(m, str_format(m->arena, "%s_vjp", fn->name), fn->span);
    Sweep s = sweep_new(m, fwd, bwd);
    s.result = p;
    if (before) {
        make_places(&s, before->room - 1);
        s.is_needed = ARENA_NEW(m->arena, bool, s.room);
        for (int i = 0; i < before->residual.n; i++)
            s.is_needed[before->residual.at[i]] = true;
    }
    p->takes.n = p->n_want = 0;
    for (int i = 0; i < fn->n_in; i++)
        s.a.value[i] = p->want[i];
    ad_depends(m, fwd, s.a.value);
    for (int i = 0; i < fn->out.n; i++)
        s.a.live[fn->out.at[i]] |= p->seed[i];
    mark_live(m, fwd, &s.a);
    augment(&s);
    for (int i = 0; i < fn->out.n; i++)
        if (p->seed[i])
            acc(&s, fn->out.at[i], sweep_take(&s, TAKES_SEED, i, fn_type(fn, fn->out.at[i]), "g"));
    sweep_back(&s);
    for (int i = 0; i < fn->n_in; i++)
        if (p->want[i]) {
            Val g = s.cotangent[i] != NO_VAL ? s.cotangent[i] : sweep_zero(m, bwd, fn_type(fn, (Val)i));
            fn_out(m, bwd, g, fn->ins.at[i].name ? str_format(m->arena, "g_%s", fn->ins.at[i].name) : NULL);
            p->n_want++;
        }
    return s;
}

/* The sweep is done twice: only the second time is it known which values are handed over in any case. */
Pair *ad_pair(Module *m, const Fn *fn, const bool *want, const bool *seed)
{
    Pair *p = pair_new(m, fn, want, seed);
    Sweep s = pair_sweep(m, p, NULL);
    s = pair_sweep(m, p, &s);
    s.from->note = str_format(m->arena, "%s, and what its reverse needs", fn->name);
    p->fwd = module_add(m, canon(m, s.from));
    Fn *bwd = canon(m, sweep_inputs_first(m, s.to, p));
    bwd->note = str_format(m->arena, "reverse of %s: from the cotangents g to gradients", fn->name);
    p->bwd = module_add(m, bwd);
    return p;
}

static Pair *pair_of(Module *m, const Fn *fn, const bool *want, const bool *seed)
{
    for (int i = 0; i < m->pairs.n; i++) {
        Pair *p = m->pairs.at[i];
        if (!p->is_difference && p->fn == fn && same_mask(p->want, want, fn->n_in) &&
            same_mask(p->seed, seed, fn->out.n))
            return p;
    }
    Pair *p = ad_pair(m, fn, want, seed);
    list_push(m->arena, m->pairs, p);
    return p;
}

/* ---- whole functions ---- */
Fn *ad_vjp(Module *m, const Fn *fn, const char *name, const bool *wanted, const bool *seeded, bool with_value)
{
    Fn *to = fn_new(m, name, fn->span);
    Val *map = ARENA_NEW(m->arena, Val, fn->ins.n + 1), *g = ARENA_NEW(m->arena, Val, fn->out.n + 1);
    for (int i = 0; i < fn->n_in; i++)
        map[i] = fn_input(m, to, fn->ins.at[i].type, fn->ins.at[i].name);
    for (int i = 0; i < fn->out.n; i++)
        if (seeded[i])
            g[i] = fn_input(m, to, fn_type(fn, fn->out.at[i]),
                            str_format(m->arena, "g_%s", fn->out_name.at[i] ? fn->out_name.at[i] : "out"));
    for (int v = fn->n_in; v < fn->ins.n; v++) {
        Ins ins = fn->ins.at[v];
        ins.arg = ARENA_NEW(m->arena, Val, ins.n_arg + 1);
        for (int k = 0; k < ins.n_arg; k++)
            ins.arg[k] = map[fn->ins.at[v].arg[k]];
        list_push(m->arena, to->ins, ins);
        map[v] = (Val)(to->ins.n - 1);
    }
    Sweep s = sweep_new(m, to, to);
    for (int i = 0; i < fn->n_in; i++)
        s.a.value[i] = wanted[i];
    ad_depends(m, to, s.a.value);
    for (int i = 0; i < fn->out.n; i++)
        s.a.live[map[fn->out.at[i]]] |= seeded[i];
    mark_live(m, to, &s.a);
    augment(&s);
    for (int i = 0; i < fn->out.n; i++)
        if (seeded[i])
            acc(&s, map[fn->out.at[i]], g[i]);
    sweep_back(&s);
    for (int i = 0; with_value && i < fn->out.n; i++)
        fn_out(m, to, map[fn->out.at[i]], fn->out_name.at[i]);
    for (int i = 0; i < fn->n_in; i++)
        if (wanted[i])
            fn_out(m, to, s.cotangent[i] != NO_VAL ? s.cotangent[i] : sweep_zero(m, to, fn_type(fn, (Val)i)),
                   fn->ins.at[i].name ? str_format(m->arena, "g_%s", fn->ins.at[i].name) : NULL);
    return canon(m, to);
}

void ad_gradient(Module *m, Fn *fn, Val loss, int n_param, const bool *wanted, Val *grad)
{
    Sweep s = sweep_new(m, fn, fn);
    for (int v = 0; v < s.n; v++)
        s.a.value[v] = fn->ins.at[v].op == OP_param && wanted[fn->ins.at[v].imm.index];
    ad_depends(m, fn, s.a.value);
    s.a.live[loss] = true;
    mark_live(m, fn, &s.a);
    augment(&s);
    acc(&s, loss, fn_const(m, fn, 1));
    sweep_back(&s);
    for (int i = 0; i < n_param; i++)
        grad[i] = NO_VAL;
    for (int v = 0; v < s.n; v++)
        if (fn->ins.at[v].op == OP_param && s.cotangent[v] != NO_VAL) {
            Val *g = &grad[fn->ins.at[v].imm.index];
            *g = *g == NO_VAL ? s.cotangent[v] : fn_op2(m, fn, OP_add, *g, s.cotangent[v]);
        }
}

Val ad_pull(Module *m, Fn *fn, Val x, Val y, Val g)
{
    Sweep s = sweep_new(m, fn, fn);
    s.is_each = true;
    s.a.value[x] = true;
    ad_depends(m, fn, s.a.value);
    s.a.live[y] = true;
    mark_live(m, fn, &s.a);
    acc(&s, y, g);
    sweep_back(&s);
    if (s.cotangent[x] != NO_VAL)
        return s.cotangent[x];
    Type t = fn_type(fn, x);
    t.is_batched = false;
    return sweep_zero(m, fn, t);
}

/* J v from w |-> J' w, which is linear: the derivative of v . J' w with respect to w, at any w. */
Val ad_push(Module *m, Fn *fn, Val x, Val y, Val v)
{
    Type t = fn_type(fn, y);
    Val w = fn_const(m, fn, 0);
    if (t.rank > 0)
        w = fn_op(m, fn, OP_fill, 1, &w, (Imm){.to = t}, fn->span);
    Val back = ad_pull(m, fn, x, y, w);
    return ad_pull(m, fn, w, back, v);
}

Fn *ad_finish(Module *m, const Fn *fn)
{
    Fn *to = sweep_copy(m, fn, fn->name);
    Val *map = ARENA_NEW(m->arena, Val, fn->ins.n + 1);
    bool any = false;
    for (int v = 0; v < fn->ins.n; v++) {
        const Ins *ins = &fn->ins.at[v];
        Val *arg = ARENA_NEW(m->arena, Val, ins->n_arg + 1);
        for (int k = 0; k < ins->n_arg; k++)
            arg[k] = map[ins->arg[k]];
        to->ins.at[v].arg = arg;
        map[v] = ins->op == OP_instead ? arg[0] : (Val)v;
        any |= ins->op == OP_instead;
    }
    for (int i = 0; i < to->out.n; i++)
        to->out.at[i] = map[to->out.at[i]];
    return any ? module_add(m, canon(m, to)) : (Fn *)fn;
}
