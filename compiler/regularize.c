/* regularize.c: regularisation terms: quantities of one step, at drawn times (local) or over all accepted steps
 * (global).
 *
 * Local (Pal, Edelman & Rackauckas 2023): at a drawn time t_r of the solve, with the state u_r there, one step of the
 * method is taken with the automatic initial step for (t_r, t1). u_r and the step size are constants of the gradient.
 * `through state` lets it pass into u_r, `at accepted` takes the solver's own step, and `hold slope` makes the first
 * stage derivative k_1 a constant too, as the published code does (compiler/README.md says why that is not the
 * default). Global (Pal, Ma, Shah & Rackauckas 2021): the quantity of each accepted step, added up by the solve. Where
 * each sample has its own steps, times are drawn and quantities formed for each, and the term is their mean.
 * Elsewhere: the step (step.c), the draw (runtime/solve.c). */
#include "checker.h"

/* ---- reading the clause ---- */
static bool read_sampling(Check *c, Scope *s, Node *at, Term *term)
{
    Node *name = at->kind == NODE_CALL ? at->kid[0] : at;
    long n = 1;
    if (name->kind != NODE_NAME)
        return false;
    if (str_eq(name->text, "global")) {
        static const char *const how[] = {"sum", "mean", "max"};
        term->draws = 0;
        if (at->kind == NODE_NAME)
            return true;
        for (int i = 0; i < 3; i++)
            if (at->n == 2 && at->kid[1]->kind == NODE_NAME && str_eq(at->kid[1]->text, how[i])) {
                term->how = i;
                return true;
            }
        return false;
    }
    term->is_biased = str_eq(name->text, "biased");
    if (!term->is_biased && !str_eq(name->text, "unbiased"))
        return false;
    if (at->kind == NODE_CALL &&
        (at->n != 2 || !eval_int(c, s, at->kid[1], "a number of draws", &n) || n < 1 || n > 100))
        return false;
    term->draws = (int)n;
    return true;
}

static void read_option(Check *c, Scope *s, Node *at, Term *term)
{
    bool known = true;
    if (at->kind != NODE_WORD && term->is_integral) {
        DIAG_PLAIN(c->diags, INTEGRAL_SAMPLING, at->span);
        return;
    }
    if (at->kind != NODE_WORD)
        known = read_sampling(c, s, at, term);
    else if (str_eq(at->text, "weight") && at->n)
        term->weight = at->kid[0];
    else if (str_eq(at->text, "of") && at->n && at->kid[0]->kind == NODE_NAME && term->is_integral)
        term->of = at->kid[0];
    else if (term->is_integral)
        known = false;
    else if (str_eq(at->text, "through") || str_eq(at->text, "state"))
        term->through_state = true;
    else if (str_eq(at->text, "at") || str_eq(at->text, "accepted"))
        term->at_accepted = true;
    else if (str_eq(at->text, "hold") || str_eq(at->text, "slope"))
        term->holds_slope = true;
    else
        known = false;
    if (!known)
        DIAG_AT(c->diags, CLAUSE_VALUE, at->span, "regularize",
                term->is_integral ? "regularize kinetic of z, weight 0.01" : "regularize error, unbiased, weight 2.5");
}

void regularize_read(Check *c, Scope *s, Solve *solve, Node *clause, Terms *terms)
{
    Term term = {.clause = clause, .draws = 1};
    if (!clause->n || !clause->kid[0]->n) {
        DIAG_AT(c->diags, CLAUSE_VALUE, clause->span, "regularize", "regularize error, unbiased, weight 2.5");
        return;
    }
    term.quantity = clause->kid[0]->kid[0];
    term.is_integral = integral_is(s, term.quantity);
    for (int g = 0; g < clause->n; g++)
        for (int i = g == 0; i < clause->kid[g]->n; i++)
            read_option(c, s, clause->kid[g]->kid[i], &term);
    if (term.is_integral) {
        term.draws = 0;
        solve->n_integral++;
    } else if (term.draws == 0) {
        if (solve->n_quantity == 8) {
            DIAG_AT(c->diags, NOT_YET, clause->span, "more than 8 global terms");
            return;
        }
        term.first = solve->n_quantity;
        solve->quantity_how[solve->n_quantity++] = term.how;
    } else {
        term.first = term.is_biased ? solve->n_draw : solve->n_unbiased;
        for (int i = 0; i < terms->at.n && !term.is_biased; i++) /* unbiased draws come first */
            terms->at.at[i].first += terms->at.at[i].is_biased ? term.draws : 0;
        solve->n_draw += term.draws;
        solve->n_unbiased += term.is_biased ? 0 : term.draws;
    }
    list_push(c->arena, terms->at, term);
}

/* ---- quantities ---- */
static Value states(Check *c, Builder *b, int n, const Val *v)
{
    Value out = {.kind = VALUE_states, .n = n, .many = ARENA_NEW(c->arena, Value, n)};
    for (int i = 0; i < n; i++)
        out.many[i] = value_val(b, v[i]);
    return out;
}

/* Those that the model has written. */
static Value stages(Check *c, Builder *b, const Internals *in, Val *const *of)
{
    Value out = {.kind = VALUE_stages, .n = in->method->stages, .many = ARENA_NEW(c->arena, Value, in->method->stages)};
    for (int i = 0; i < out.n; i++)
        out.many[i] = states(c, b, in->n_written, of[i]);
    return out;
}

/* What the quantity needs and the method does not have. */
static bool can(Check *c, const Internals *in, const Node *at, const Node *e)
{
    const Tableau *m = in->method;
    if (!in->err && (ast_mentions(e, "err") || ast_mentions(e, "estimate"))) {
        DIAG_AT(c->diags, QUANTITY_ESTIMATE, at->span, m->name);
        return false;
    }
    if (!in->err2 && ast_mentions(e, "err2")) {
        DIAG_AT(c->diags, QUANTITY_SECOND, at->span, m->name);
        return false;
    }
    if (ast_mentions(e, "stability") && m->stability <= 0) {
        DIAG_AT(c->diags, QUANTITY_STABILITY, at->span, m->name);
        return false;
    }
    if (ast_mentions(e, "stability") && (m->stages < 2 || m->c[m->stages - 1] != m->c[m->stages - 2])) {
        DIAG_AT(c->diags, QUANTITY_STAGES, at->span, m->name);
        return false;
    }
    return true;
}

static void internal(Check *c, Scope *s, const char *name, Span span, Value v)
{
    scope_add(c, s, name, span, v, NULL);
}

bool quantity_open(Check *c, Scope *s, Builder *b, Node *quantity, Node **e, Scope **inner)
{
    const Node *name = quantity->kind == NODE_CALL ? quantity->kid[0] : quantity;
    Symbol *symbol = name->kind == NODE_NAME ? scope_lookup(s, name->text) : NULL;
    *e = quantity;
    *inner = scope_new(c, s, SCOPE_block);
    if (quantity->kind == NODE_NAME && !scope_find(c, s, name->text, name->span))
        return false;
    if (!symbol || symbol->value.kind != VALUE_quantity)
        return true;
    Node *decl = symbol->value.symbol->node, no_head = {.kind = NODE_HEAD};
    symbol->is_used = true;
    *e = decl->kid[0];
    *inner = scope_new(c, symbol->scope, SCOPE_body);
    return bind_arguments(c, s, b, name->text, decl->n > 1 ? decl->kid[1] : &no_head, quantity, *inner, NULL);
}

Val regularize_quantity(Check *c, Scope *s, Builder *b, const Internals *in, Node *quantity)
{
    Node *e;
    Scope *inner;
    int n_state = in->n_written;
    if (!quantity_open(c, s, b, quantity, &e, &inner))
        return fn_const(c->module, b->fn, 0);
    if (!can(c, in, quantity, e))
        return fn_const(c->module, b->fn, 0);
    const Internals seen = span_internals(c, b, in);
    in = &seen;
    internal(c, inner, "k", quantity->span, stages(c, b, in, in->k));
    internal(c, inner, "stage", quantity->span, stages(c, b, in, in->stage));
    internal(c, inner, "u0", quantity->span, states(c, b, n_state, in->u0));
    internal(c, inner, "u1", quantity->span, states(c, b, n_state, in->u1));
    if (in->err)
        internal(c, inner, "err", quantity->span, states(c, b, n_state, in->err));
    if (in->err2)
        internal(c, inner, "err2", quantity->span, states(c, b, n_state, in->err2));
    if (in->err)
        internal(c, inner, "estimate", quantity->span, value_val(b, step_error(c, b, in)));
    internal(c, inner, "h", quantity->span, value_val(b, fn_op1(c->module, b->fn, OP_abs, in->h)));
    internal(c, inner, "t", quantity->span, value_val(b, in->t));
    internal(c, inner, "stages", quantity->span, value_int(c, in->method->stages));
    internal(c, inner, "stability", quantity->span, value_num(rat_double(c->arena, in->method->stability)));
    const Internals *before = c->internals;
    Span site = c->site;
    c->internals = in;
    if (e->span.source->is_prelude)
        c->site = quantity->span;
    Val v = eval_tensor(c, inner, b, e, "a quantity");
    c->internals = before;
    c->site = site;
    if (v == NO_VAL)
        return fn_const(c->module, b->fn, 0);
    if (fn_type(b->fn, v).rank > 0) {
        DIAG_AT(c->diags, QUANTITY_SCALAR, quantity->span, type_text(c->arena, fn_type(b->fn, v)));
        return fn_const(c->module, b->fn, 0);
    }
    return internals_per_sample(b, in) ? v : build_batch_mean(c, b, v);
}

/* ---- local terms ---- */
/* The solve as written: for a slope that is held. Left in a reduced form it would pass gradient into the R of k = R x.
 */
static Problem unreduced(Check *c, Builder *b, const Problem *p)
{
    const Reduction *r = p->reduction;
    if (!r)
        return *p;
    Val *arg = ARENA_NEW(c->arena, Val, r->user_keys.at.n + 1);
    Problem user = {.solve = p->solve, .field = r->user_field, .arg = arg, .clock = p->clock};
    user.n_arg = build_keys(c, b, &r->user_keys, arg);
    return user;
}

static Val local_term(Check *c, Scope *s, SolveInfo *info, const Problem *p, const Term *term, int draw)
{
    Builder *b = info->home;
    const Solve *solve = info->solve;
    int n = p->solve->n_state; /* tangents are no part of it */
    Val *u = ARENA_NEW(c->arena, Val, n), *held = ARENA_NEW(c->arena, Val, n);
    Val t = solve_result(c, info, solve_drawn_time(solve, draw), -1),
        left = solve_result(c, info, solve_drawn_left(solve, draw), -1);
    for (int j = 0; j < n; j++) {
        u[j] = solve_result(c, info, solve_drawn(solve, draw, j), j);
        if (!term->through_state)
            u[j] = build_detached(c, b, u[j]);
    }
    Problem form = term->holds_slope && !step_can_hold(p) ? unreduced(c, b, p) : *p, there;
    Start at = step_start(c, b, &form, u, t, &there);
    for (int j = 0; j < n; j++)
        held[j] = term->holds_slope ? build_detached(c, b, at.user_k[j]) : at.user_k[j];
    Val h = term->at_accepted ? solve_result(c, info, solve_drawn_step(solve, draw), -1)
                              : step_guess(c, b, &there, &at, t, left);
    Internals in = step_local(c, b, &there, &at, term->holds_slope ? held : NULL, t, build_detached(c, b, h));
    return regularize_quantity(c, s, b, &in, term->quantity);
}

static Val weight(Check *c, Scope *s, Builder *b, const SolveInfo *info, const Term *term, int which)
{
    if (!term->weight)
        return fn_const(c->module, b->fn, 1);
    const char *number = which ? str_format(c->arena, "%d", which + 1) : "";
    const char *key = str_format(c->arena, "%s.regularize%s.weight", info->solve->name, number);
    Val w = eval_settings(c, s, b, term->weight, key, "a weight");
    return w == NO_VAL ? fn_const(c->module, b->fn, 1) : w;
}

void regularize_add(Check *c, Scope *s, SolveInfo *info, const Problem *p, const Terms *terms)
{
    Builder *b = info->home;
    for (int i = 0; i < terms->at.n; i++) {
        const Term *term = &terms->at.at[i];
        Val value = NO_VAL;
        for (int d = 0; d < term->draws; d++) {
            Val one = local_term(c, s, info, p, term, term->first + d);
            value = value == NO_VAL ? one : fn_op2(c->module, b->fn, OP_add, value, one);
        }
        if (term->draws > 1)
            value = fn_op2(c->module, b->fn, OP_div, value, fn_const(c->module, b->fn, term->draws));
        if (term->is_integral)
            value = integral_value(c, info, term);
        else if (term->draws == 0)
            value = solve_result(c, info, solve_quantity(info->solve, term->first), -1);
        value = build_batch_mean(c, b, value);
        value = fn_op2(c->module, b->fn, OP_mul, weight(c, s, b, info, term, i), value);
        list_push(c->arena, c->penalties, value);
    }
}
