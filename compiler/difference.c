/* difference.c: the third mode: what a function changes by, evaluated from the changes of its inputs.
 *
 * Needs: the rows of difference.def.  Gives: f(a + da) - f(a) as a function of da and of what is known at a, operator
 * by operator, so that the difference of nearly equal stages keeps its relative accuracy. Rounding of an embedded error
 * estimate made of such differences falls from O(h) to O(h^2).
 * Elsewhere: where a step uses it (step.c); handing values from one part to the other (ad.c). */
#include "ad.h"
#include "ast.h"

#include <string.h>

static const struct {
    Op op;
    const char *text;
} row[] = {
#define DIFFERENCE(id, text) {OP_##id, text},
#include "difference.def"
#undef DIFFERENCE
};
enum { N_ROW = sizeof row / sizeof *row };

struct DifferenceRules {
    const Node *rule[OP_COUNT];
};

static const DifferenceRules *rules(Module *m)
{
    if (m->difference)
        return m->difference;
    DifferenceRules *r = ARENA_NEW(m->arena, DifferenceRules, 1);
    for (int i = 0; i < N_ROW; i++) {
        Source *source = ARENA_NEW(m->arena, Source, 1);
        *source = (Source){"difference.def", row[i].text, strlen(row[i].text), true};
        int before = diag_errors(m->diags);
        r->rule[row[i].op] = parse_expr(m->arena, source, m->diags);
        if (diag_errors(m->diags) > before)
            BUG("difference.def: '%s' does not parse", row[i].text);
    }
    return m->difference = r;
}

/* The change of value v; zero if it does not change. */
static Val change(Sweep *s, Val v)
{
    Type t = fn_type(s->from, v);
    if (s->cotangent[v] != NO_VAL)
        return s->cotangent[v];
    return sweep_zero(s->m, s->to, t);
}

/* ---- operators ---- */
typedef struct Names {
    Sweep *s;
    const Ins *ins;
    Val v;
} Names;

static Val name_of(void *context, const char *name)
{
    const Names *n = context;
    bool is_change = name[0] == 'd' && name[1];
    if (str_eq(name, "y"))
        return sweep_use(n->s, n->v);
    Val arg = n->ins->arg[name[is_change] - 'a'];
    if (!is_change)
        return sweep_use(n->s, arg);
    return n->s->cotangent[arg] != NO_VAL ? n->s->cotangent[arg] : fn_const(n->s->m, n->s->to, 0);
}

/* op(a + da, ..) - y */
static Val subtracted(Sweep *s, const Ins *ins, Val v)
{
    Val *arg = ARENA_NEW(s->m->arena, Val, ins->n_arg + 1);
    for (int k = 0; k < ins->n_arg; k++) {
        arg[k] = sweep_use(s, ins->arg[k]);
        if (s->cotangent[ins->arg[k]] != NO_VAL)
            arg[k] = fn_op2(s->m, s->to, OP_add, arg[k], s->cotangent[ins->arg[k]]);
    }
    Val moved = fn_op(s->m, s->to, ins->op, ins->n_arg, arg, ins->imm, ins->span);
    return fn_op2(s->m, s->to, OP_sub, moved, sweep_use(s, v));
}

/* a db + da (b + db) */
static Val of_product(Sweep *s, const Ins *ins)
{
    Val da = s->cotangent[ins->arg[0]], db = s->cotangent[ins->arg[1]], sum = NO_VAL;
    if (db != NO_VAL)
        sum = fn_op2(s->m, s->to, ins->op, sweep_use(s, ins->arg[0]), db);
    if (da == NO_VAL)
        return sum;
    Val b = sweep_use(s, ins->arg[1]);
    if (db != NO_VAL)
        b = fn_op2(s->m, s->to, OP_add, b, db);
    Val left = fn_op2(s->m, s->to, ins->op, da, b);
    return sum == NO_VAL ? left : fn_op2(s->m, s->to, OP_add, sum, left);
}

static bool is_linear(Op op)
{
    OpClass kind = op_info[op].op_class;
    return (kind == CLASS_form && op != OP_onehot) || kind == CLASS_batch || op == OP_sum || op == OP_sum_axis;
}

static Val of_operator(Sweep *s, const Ins *ins, Val v)
{
    if (op_info[ins->op].op_class == CLASS_product)
        return of_product(s, ins);
    if (is_linear(ins->op)) {
        Val *arg = ARENA_NEW(s->m->arena, Val, ins->n_arg + 1);
        for (int k = 0; k < ins->n_arg; k++)
            arg[k] = change(s, ins->arg[k]);
        return fn_op(s->m, s->to, ins->op, ins->n_arg, arg, ins->imm, ins->span);
    }
    const Node *rule = rules(s->m)->rule[ins->op];
    if (!rule)
        return subtracted(s, ins, v);
    Names names = {s, ins, v};
    Val d = op_formula(s->m, s->to, rule, ins, name_of, &names);
    if (ins->type.rank > 0 && fn_type(s->to, d).rank == 0)
        d = fn_op(s->m, s->to, OP_fill, 1, &d, (Imm){.to = ins->type}, ins->span);
    return d;
}

/* ---- calls ---- */
static Pair *pair_of(Module *m, const Fn *fn, const bool *changed, bool of_residuals);

static void of_call(Sweep *s, Val v)
{
    const Ins ins = s->from->ins.at[v];
    bool *changed = ARENA_NEW(s->m->arena, bool, ins.n_arg + 1);
    for (int k = 0; k < ins.n_arg; k++)
        changed[k] = s->cotangent[ins.arg[k]] != NO_VAL;
    Pair *p = pair_of(s->m, ins.imm.fn, changed, false);
    s->pair[v] = p;
    s->from->ins.at[v].imm.fn = p->fwd;
    Val *arg = ARENA_NEW(s->m->arena, Val, p->takes.n + 1);
    for (int i = 0; i < p->takes.n; i++)
        arg[i] =
            p->takes.at[i].kind == TAKES_SEED ? s->cotangent[ins.arg[p->takes.at[i].index]] : sweep_operand(s, v, p, i);
    s->cotangent[v] = fn_call(s->m, s->to, p->bwd, p->takes.n, arg, ins.span);
}

static bool changes(const Sweep *s, const Ins *ins)
{
    for (int k = 0; k < ins->n_arg; k++)
        if (s->cotangent[ins->arg[k]] != NO_VAL)
            return true;
    return false;
}

static void sweep_forward(Sweep *s)
{
    for (int v = 0; v < s->n; v++) {
        const Ins ins = s->from->ins.at[v]; /* a copy: the list may grow */
        if (ins.op == OP_input || !changes(s, &ins))
            continue;
        if (ins.op == OP_call)
            of_call(s, (Val)v);
        else if (ins.op == OP_result) {
            const Pair *p = s->pair[ins.arg[0]];
            Type t = fn_type(p->bwd, p->bwd->out.at[ins.imm.index]);
            s->cotangent[v] = fn_result(s->m, s->to, s->cotangent[ins.arg[0]], ins.imm.index, t);
        } else
            s->cotangent[v] = of_operator(s, &ins, (Val)v);
    }
}

/* ---- pairs ---- */
static Pair *pair_make(Module *m, const Fn *fn, const bool *changed, bool of_residuals)
{
    Pair *p = ARENA_NEW(m->arena, Pair, 1);
    p->fn = fn;
    p->is_difference = true;
    p->want = ARENA_NEW(m->arena, bool, fn->n_in + 1);
    memcpy(p->want, changed, sizeof(bool) * (size_t)fn->n_in);
    Fn *fwd = sweep_copy(m, fn, str_format(m->arena, "%s_base", fn->name));
    Fn *bwd = fn_new(m, str_format(m->arena, "%s_change", fn->name), fn->span);
    Sweep s = sweep_new(m, fwd, bwd);
    s.result = p;
    for (int i = 0; i < fn->n_in; i++)
        if (changed[i])
            s.cotangent[i] = sweep_take(&s, TAKES_SEED, i, fn_type(fn, (Val)i),
                                        str_format(m->arena, "d_%s", fn->ins.at[i].name ? fn->ins.at[i].name : "in"));
    sweep_forward(&s);
    for (int i = 0; i < fn->out.n; i++)
        fn_out(m, bwd, change(&s, fn->out.at[i]), fn->out_name.at[i]);
    if (of_residuals) {
        p->moves = ARENA_NEW(m->arena, bool, s.residual.n + 1);
        for (int r = 0; r < s.residual.n; r++) {
            Val v = s.residual.at[r];
            p->moves[r] = s.cotangent[v] != NO_VAL;
            fn_out(m, bwd, change(&s, v), NULL);
        }
    }
    fwd->note = str_format(m->arena, "%s, and what its change needs", fn->name);
    p->fwd = module_add(m, canon(m, fwd));
    bwd = canon(m, sweep_inputs_first(m, bwd, p));
    bwd->note = str_format(m->arena, "what %s changes by when its inputs change by d_..", fn->name);
    p->bwd = module_add(m, bwd);
    return p;
}

static Pair *pair_of(Module *m, const Fn *fn, const bool *changed, bool of_residuals)
{
    for (int i = 0; i < m->pairs.n; i++) {
        Pair *p = m->pairs.at[i];
        if (p->is_difference && p->fn == fn && memcmp(p->want, changed, sizeof(bool) * (size_t)fn->n_in) == 0 &&
            (p->moves != NULL) == of_residuals)
            return p;
    }
    Pair *p = pair_make(m, fn, changed, of_residuals);
    list_push(m->arena, m->pairs, p);
    return p;
}

Difference difference_of(Module *m, const Fn *fn, const bool *changed, bool of_residuals)
{
    Pair *p = pair_of(m, fn, changed, of_residuals);
    Fn *base = sweep_copy(m, p->fwd, str_format(m->arena, "%s_only", p->fwd->name));
    base->out.n = base->out_name.n = 0;
    for (int i = fn->out.n; i < p->fwd->out.n; i++)
        fn_out(m, base, p->fwd->out.at[i], p->fwd->out_name.at[i]);
    base->note = str_format(m->arena, "what the change of %s needs", fn->name);
    return (Difference){.base = module_add(m, canon(m, base)),
                        .with_value = p->fwd,
                        .change = p->bwd,
                        .n_take = p->takes.n,
                        .n_residual = p->fwd->out.n - fn->out.n,
                        .takes = p->takes.at,
                        .moves = p->moves};
}
