/* integral.c: quantities that are integrated along the path of a solve: further states of its system.
 *
 * They are ordinary states: every method and adjoint has them, and they take part in the error norm, because training
 * would find steps between which an integral is large if nobody looked at its error. The model does not see them, nor
 * do quantities of a step. Elsewhere: the clause and its weight (regularize.c), derivatives along the path
 * (derivative.c). */
#include "checker.h"

static const Node *callee_of(const Node *e)
{
    return e->kind == NODE_CALL && e->kid[0]->kind == NODE_NAME ? e->kid[0] : NULL;
}

static bool is_integral_call(const Node *e)
{
    const Node *name = callee_of(e);
    return name && str_eq(name->text, "integral");
}

bool integral_is(Scope *s, const Node *quantity)
{
    const Node *name = quantity->kind == NODE_NAME ? quantity : callee_of(quantity);
    const Symbol *symbol = name ? scope_lookup(s, name->text) : NULL;
    if (symbol)
        return symbol->value.kind == VALUE_quantity && !scope_lookup(symbol->scope, "integral") &&
               is_integral_call(symbol->value.symbol->node->kid[0]);
    return is_integral_call(quantity);
}

/* Declares what a quantity says of the path: `state` and `rate` of the state that the clause is about, and `t`. */
static bool declare_path(Check *c, Scope *inner, Builder *b, const Solve *solve, const Path *path, const Term *term,
                         const Node *e)
{
    int state = path->n == 1 ? 0 : -1;
    for (int j = 0; term->of && j < path->n; j++)
        if (str_eq(solve->state_name[j], term->of->text))
            state = j;
    if (term->of && !str_eq(solve->state_name[state < 0 ? 0 : state], term->of->text)) {
        DIAG_AT(c->diags, INTEGRAL_OF, term->of->span, solve->name, term->of->text);
        return false;
    }
    if (state < 0 && (ast_mentions(e, "state") || ast_mentions(e, "rate"))) {
        DIAG_AT(c->diags, INTEGRAL_STATE, term->quantity->span, solve->name);
        diag_help(c->diags, "say which, as in  regularize kinetic of %s", solve->state_name[0]);
        return false;
    }
    Span place = term->quantity->span;
    if (state >= 0) {
        scope_add(c, inner, "state", place, value_val(b, path->u[state]), NULL);
        scope_add(c, inner, "rate", place, value_val(b, path->du[state]), NULL);
    }
    scope_add(c, inner, "t", place, value_val(b, path->t), NULL);
    return true;
}

Val integral_rate(Check *c, Scope *s, Builder *b, const Solve *solve, const Path *path, const Term *term)
{
    Node *e;
    Scope *inner;
    if (!quantity_open(c, s, b, term->quantity, &e, &inner))
        return NO_VAL;
    if (e->n != 2) {
        DIAG_AT(c->diags, ARGUMENT_COUNT, check_span(c, e), "integral", 1, e->n - 1);
        return NO_VAL;
    }
    if (!declare_path(c, inner, b, solve, path, term, e))
        return NO_VAL;
    Span site = c->site;
    c->path_of = path;
    if (e->span.source->is_prelude)
        c->site = term->quantity->span;
    Val v = eval_tensor(c, inner, b, e->kid[1], "what is integrated");
    c->path_of = NULL;
    c->site = site;
    if (v == NO_VAL)
        return NO_VAL;
    if (fn_type(b->fn, v).rank > 0) {
        DIAG_AT(c->diags, QUANTITY_SCALAR, term->quantity->span, type_text(c->arena, fn_type(b->fn, v)));
        return NO_VAL;
    }
    return fn_type(b->fn, v).is_batched ? v : fn_op1(c->module, b->fn, OP_bcast, v);
}

Val integral_value(Check *c, const SolveInfo *info, const Term *term)
{
    Module *m = c->module;
    Builder *b = info->home;
    const Solve *s = info->solve;
    Value from = {.kind = VALUE_setting, .index = s->set_t0}, to = {.kind = VALUE_setting, .index = s->set_t1};
    Val length = info->clock ? build_val(c, b, &info->clock->length)
                             : fn_op2(m, b->fn, OP_sub, build_val(c, b, &to), build_val(c, b, &from));
    Val way = fn_op1(m, b->fn, OP_sign, length);
    Val sum = fn_op1(m, b->fn, OP_bsum, solve_result(c, info, solve_end(s, term->first), term->first));
    Val mean = fn_op2(m, b->fn, OP_div, sum, fn_leaf(m, b->fn, OP_batch, 0, type_scalar(false), NULL));
    return fn_op2(m, b->fn, OP_mul, way, mean);
}
