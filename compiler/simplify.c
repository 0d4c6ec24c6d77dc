/* simplify.c: the rewrite rules of simplify.def, matched against one instruction and its operands.
 *
 * Needs: the parser (both sides are expressions of the language).  Gives: at most one rewrite.
 * Elsewhere: when it is tried (canon.c). */
#include "canon.h"

#include <string.h>

static const struct {
    const char *left, *right;
} row[] = {
#define SIMPLIFY(left, right) {left, right},
#include "simplify.def"
#undef SIMPLIFY
};
enum { N_ROW = sizeof row / sizeof *row };

struct SimplifyRules {
    const Node *left[N_ROW], *right[N_ROW];
    int op[N_ROW]; /* outermost operator of the left side */
};

static const Node *side(Module *m, const char *text)
{
    Source *source = ARENA_NEW(m->arena, Source, 1);
    *source = (Source){text, text, strlen(text), true};
    int before = diag_errors(m->diags);
    const Node *e = parse_expr(m->arena, source, m->diags);
    if (diag_errors(m->diags) > before)
        BUG("simplify.def: '%s' does not parse", text);
    return e;
}

/* A number, or its negative. */
static bool number(Module *m, const Node *e, double *x)
{
    if (e->kind == NODE_NEG && e->kid[0]->kind == NODE_NUMBER) {
        *x = -rat_to_double(rat_parse(m->arena, e->kid[0]->text));
        return true;
    }
    if (e->kind == NODE_NUMBER)
        *x = rat_to_double(rat_parse(m->arena, e->text));
    return e->kind == NODE_NUMBER;
}

static int operator_of(const Node *e)
{
    static const char *const text[] = {"+", "-", "*", "/"};
    static const Op op[] = {OP_add, OP_sub, OP_mul, OP_div};
    if (e->kind == NODE_NEG)
        return OP_neg;
    if (e->kind == NODE_CALL)
        return op_find(e->kid[0]->text);
    for (int i = 0; e->kind == NODE_BINARY && i < 4; i++)
        if (str_eq(e->text, text[i]))
            return op[i];
    return -1;
}

static const SimplifyRules *rules(Module *m)
{
    if (!m->simplify) {
        SimplifyRules *r = ARENA_NEW(m->arena, SimplifyRules, 1);
        for (int i = 0; i < N_ROW; i++) {
            r->left[i] = side(m, row[i].left);
            r->right[i] = side(m, row[i].right);
            r->op[i] = operator_of(r->left[i]);
        }
        m->simplify = r;
    }
    return m->simplify;
}

static Node *operand(const Node *e, int i)
{
    return e->kid[e->kind == NODE_CALL ? i + 1 : i];
}

typedef struct Match {
    Module *m;
    Fn *fn;
    Val bound[26];
} Match;

static bool match_ins(Match *c, const Node *e, const Ins *ins);

static bool match(Match *c, const Node *e, Val v)
{
    double x;
    const Ins *ins = &c->fn->ins.at[v];
    if (number(c->m, e, &x))
        return ins->op == OP_const && ins->imm.num == x;
    if (e->kind == NODE_NAME) {
        Val *bound = &c->bound[e->text[0] - 'a'];
        if (*bound == NO_VAL)
            *bound = v;
        return *bound == v;
    }
    return match_ins(c, e, ins);
}

static bool match_ins(Match *c, const Node *e, const Ins *ins)
{
    if ((int)ins->op != operator_of(e))
        return false;
    for (int i = 0; i < ins->n_arg; i++)
        if (!match(c, operand(e, i), ins->arg[i]))
            return false;
    return true;
}

static Val leaf(Match *c, const Node *e)
{
    double x;
    return number(c->m, e, &x) ? fn_const(c->m, c->fn, x) : c->bound[e->text[0] - 'a'];
}

/* The right side as a rewrite of ins; neither flag set if the types would differ. */
static Rewrite build(Match *c, const Node *e, const Ins *ins)
{
    Rewrite r = {0};
    double x;
    int op = operator_of(e);
    if (e->kind == NODE_NAME || number(c->m, e, &x)) {
        if (e->kind != NODE_NAME && !type_equal(ins->type, type_scalar(false)))
            return r;
        r.value = leaf(c, e);
        r.is_value = type_equal(fn_type(c->fn, r.value), ins->type);
        return r;
    }
    Type type[MAX_ARG], result;
    char why[256];
    r.ins = *ins;
    r.ins.op = (Op)op;
    r.ins.n_arg = op_info[op].n_arg;
    r.ins.arg = ARENA_NEW(c->m->arena, Val, MAX_ARG);
    for (int i = 0; i < r.ins.n_arg; i++) {
        r.ins.arg[i] = leaf(c, operand(e, i));
        type[i] = fn_type(c->fn, r.ins.arg[i]);
    }
    r.is_ins = op_type((Op)op, r.ins.n_arg, type, &ins->imm, &result, why) && type_equal(result, ins->type);
    return r;
}

Rewrite simplify(Module *m, Fn *fn, const Ins *ins)
{
    const SimplifyRules *all = rules(m);
    for (int i = 0; i < N_ROW; i++) {
        Match c = {m, fn, {0}};
        if ((int)ins->op != all->op[i])
            continue;
        memset(c.bound, 0xff, sizeof c.bound);
        if (!match_ins(&c, all->left[i], ins))
            continue;
        Rewrite r = build(&c, all->right[i], ins);
        if (r.is_value || r.is_ins)
            return r;
    }
    return (Rewrite){0};
}
