/* reduce.c: a solve in the cheapest exactly equivalent state.
 *
 * Needs: the field u' = f(u, t) of one state as a function.  Gives, where f(u, t) = sum_j c_j R_j x_j(L u, t) with L
 * and R_j made of parameters alone: the field x of the state s with s' = x, s(0) = 0, u = z0 + R s, where R = [R_1 R_2
 * ..], and L u = L z0 + (L R) s. A bias is the term R = b, x = 1, a column that multiplies the time R = w, x = t.
 * Runge-Kutta methods commute with affine maps, so steps, error estimates and results are those of u in exact
 * arithmetic if the error norm is taken on u. Because L R and L z0 are values of the program, reverse mode gives the
 * gradients of the weights without a rule of its own. Elsewhere: the step in this state, with its norm in the user's
 * (step.c). */
#include "checker.h"

typedef struct Part { /* c R x; R NO_VAL: a vector of parameters, times x */
    Val right, x, factor;
    bool is_negative;
} Part;

typedef struct Reduce {
    Check *c;
    Module *m;
    Builder *main;
    Solve *solve;
    Keys *keys;
    Fn *flat;       /* the field with calls expanded and products of joined vectors split */
    int *depends;   /* 0: on parameters only; 1: also on t or values of a sample; 2: also on the state */
    LIST(Val) left; /* the distinct L */
    LIST(Part) parts;
    const char *why;
    Val *hoisted; /* value of flat -> value of the main program */
} Reduce;

/* ---- preparing the field ---- */
static Val joined_part(Reduce *r, Fn *to, Val w, Val x, int from)
{
    Type tw = fn_type(to, w), tx = fn_type(to, x);
    Imm imm = {.axis = 1, .from = from, .to = tw};
    imm.to.dim[1] = tx.dim[0];
    Val columns = tx.dim[0] == tw.dim[1] ? w : fn_op(r->m, to, OP_slice, 1, &w, imm, to->span);
    return fn_op2(r->m, to, OP_mm_nn, columns, x);
}

/* W @ [a, b] = W_a @ a + W_b @ b */
static Fn *split(Reduce *r, const Fn *fn)
{
    Fn *to = fn_new(r->m, fn->name, fn->span);
    Val *map = ARENA_NEW(r->c->arena, Val, fn->ins.n + 1);
    for (int v = 0; v < fn->ins.n; v++) {
        const Ins *ins = &fn->ins.at[v];
        const Ins *x = ins->op == OP_mm_nn ? &fn->ins.at[ins->arg[1]] : NULL;
        if (ins->op == OP_input)
            map[v] = fn_input(r->m, to, ins->type, ins->name);
        else if (x && x->op == OP_concat && x->type.rank == 1 && !fn_type(fn, ins->arg[0]).is_batched) {
            Val sum = NO_VAL;
            for (int k = 0, from = 0; k < x->n_arg; k++) {
                Val part = joined_part(r, to, map[ins->arg[0]], map[x->arg[k]], from);
                from += fn_type(fn, x->arg[k]).dim[0];
                sum = sum == NO_VAL ? part : fn_op2(r->m, to, OP_add, sum, part);
            }
            map[v] = sum;
        } else
            fn_copy(r->m, to, fn, (Val)v, map, false);
    }
    fn_out(r->m, to, map[fn->out.at[0]], NULL);
    return canon(r->m, to);
}

static Fn *flatten(Reduce *r, const Fn *fn)
{
    Fn *to = fn_new(r->m, fn->name, fn->span);
    Val *map = ARENA_NEW(r->c->arena, Val, fn->ins.n + 1);
    for (int i = 0; i < fn->n_in; i++)
        map[i] = fn_input(r->m, to, fn->ins.at[i].type, fn->ins.at[i].name);
    for (int v = fn->n_in; v < fn->ins.n; v++)
        fn_copy(r->m, to, fn, (Val)v, map, true);
    fn_out(r->m, to, map[fn->out.at[0]], NULL);
    return split(r, canon(r->m, to));
}

/* ---- is it of the form? ---- */
static void mark_depends(Reduce *r)
{
    r->depends = ARENA_NEW(r->c->arena, int, r->flat->ins.n + 1);
    for (int v = 0; v < r->flat->ins.n; v++) {
        const Ins *ins = &r->flat->ins.at[v];
        if (ins->op == OP_input)
            r->depends[v] = v == 0 ? 2 : v == 1 || ins->type.is_batched;
        for (int k = 0; k < ins->n_arg; k++)
            if (r->depends[ins->arg[k]] > r->depends[v])
                r->depends[v] = r->depends[ins->arg[k]];
    }
}

static bool find_left(Reduce *r)
{
    for (int v = 0; v < r->flat->ins.n; v++) {
        const Ins *ins = &r->flat->ins.at[v];
        for (int k = 0; k < ins->n_arg; k++) {
            if (ins->arg[k] != 0)
                continue;
            if (ins->op != OP_mm_nn || k != 1 || r->depends[ins->arg[0]] != 0) {
                r->why = "the state is used other than in W @ z";
                return false;
            }
            bool known = false;
            for (int i = 0; i < r->left.n; i++)
                known |= r->left.at[i] == ins->arg[0];
            if (!known)
                list_push(r->c->arena, r->left, ins->arg[0]);
        }
    }
    if (r->left.n == 0 || r->flat->out.at[0] == 0)
        r->why = "the state is used other than in W @ z";
    return !r->why;
}

/* The result as a sum of terms. */
static bool collect(Reduce *r, Val v, Val factor, bool is_negative)
{
    const Ins *ins = &r->flat->ins.at[v];
    if (r->depends[v] == 0 && ins->type.rank == 1) {
        list_push(r->c->arena, r->parts, ((Part){v, NO_VAL, factor, is_negative}));
        return true;
    }
    if (ins->op == OP_add || ins->op == OP_sub)
        return type_same_shape(fn_type(r->flat, ins->arg[0]), fn_type(r->flat, ins->arg[1])) &&
               collect(r, ins->arg[0], factor, is_negative) &&
               collect(r, ins->arg[1], factor, is_negative ^ (ins->op == OP_sub));
    if (ins->op == OP_neg)
        return collect(r, ins->arg[0], factor, !is_negative);
    if (ins->op == OP_mm_nn && r->depends[ins->arg[0]] == 0 && ins->arg[1] != 0) {
        list_push(r->c->arena, r->parts, ((Part){ins->arg[0], ins->arg[1], factor, is_negative}));
        return true;
    }
    for (int k = 0; ins->op == OP_mul && k < 2; k++)
        if (fn_type(r->flat, ins->arg[k]).rank == 0 && factor == NO_VAL)
            return collect(r, ins->arg[!k], ins->arg[k], is_negative);
    return false;
}

/* ---- does it pay? ---- */
static double multiply_adds(const Fn *fn)
{
    double sum = 0;
    for (int v = 0; v < fn->ins.n; v++) {
        const Ins *ins = &fn->ins.at[v];
        if (op_info[ins->op].op_class == CLASS_product && ins->type.is_batched)
            sum += (double)type_size(ins->type) * fn_type(fn, ins->arg[0]).dim[ins->op == OP_mm_tn ? 0 : 1];
    }
    return sum;
}

static int part_size(const Reduce *r, const Part *p)
{
    return p->x == NO_VAL ? 1 : fn_type(r->flat, p->x).dim[0];
}

/* Multiply-adds of products for a sample, over a solve of some eight steps, before and after. */
static bool pays(Reduce *r, int d, int p, int q)
{
    enum { STEPS = 8, BATCH = 32 };
    double evaluations = r->solve->method->stages - r->solve->method->fsal, before = multiply_adds(r->flat);
    double field = before;
    for (int i = 0; i < r->parts.n; i++)
        if (r->parts.at[i].x != NO_VAL)
            field -= (double)d * part_size(r, &r->parts.at[i]);
    for (int i = 0; i < r->left.n; i++)
        field -= (double)fn_type(r->flat, r->left.at[i]).dim[0] * d;
    field += (double)p * q;
    double norms = r->solve->has_estimate ? 2.0 * d * q : 0;
    double once = (double)p * d + (2.0 + r->solve->n_save) * d * q + (double)p * d * q / BATCH;
    double all_before = STEPS * evaluations * before, all_after = STEPS * (evaluations * field + norms) + once;
    r->solve->reduction =
        str_format(r->c->arena, "%d numbers are integrated for the state's %d: %.2g times %s products", q, d,
                   all_after < all_before ? all_before / all_after : all_after / all_before,
                   all_after < all_before ? "fewer" : "more");
    return all_after < 0.9 * all_before;
}

/* ---- building ---- */
/* A value of parameters alone, in the main program. */
static Val hoist(Reduce *r, Val v)
{
    const Ins *ins = &r->flat->ins.at[v];
    if (r->hoisted[v] != NO_VAL)
        return r->hoisted[v];
    if (ins->op == OP_input)
        return r->hoisted[v] = build_val(r->c, r->main, &r->keys->at.at[v - 2]);
    for (int k = 0; k < ins->n_arg; k++)
        hoist(r, ins->arg[k]);
    fn_copy(r->m, r->main->fn, r->flat, v, r->hoisted, false);
    return r->hoisted[v];
}

static Val join(Reduce *r, int n, const Val *v, int axis)
{
    return n == 1 ? v[0] : fn_op(r->m, r->main->fn, OP_concat, n, v, (Imm){.axis = axis}, r->solve->span);
}

static Val right_of(Reduce *r, const Part *p)
{
    Val v = hoist(r, p->right);
    Type t = fn_type(r->main->fn, v);
    if (t.rank == 2)
        return v;
    return fn_op(r->m, r->main->fn, OP_reshape, 1, &v, (Imm){.to = type_real(false, 2, (int[]){t.dim[0], 1})},
                 r->solve->span);
}

static Value main_value(Reduce *r, Val v)
{
    return value_val(r->main, v);
}

static void build_maps(Reduce *r, Reduction *out, Val start)
{
    Val *right = ARENA_NEW(r->c->arena, Val, r->parts.n), *left = ARENA_NEW(r->c->arena, Val, r->left.n);
    for (int i = 0; i < r->parts.n; i++)
        right[i] = right_of(r, &r->parts.at[i]);
    for (int i = 0; i < r->left.n; i++)
        left[i] = hoist(r, r->left.at[i]);
    Val big_r = join(r, r->parts.n, right, 1), big_l = join(r, r->left.n, left, 0);
    out->right = main_value(r, big_r);
    out->left = main_value(r, big_l);
    out->start = main_value(r, start);
    out->base = main_value(r, fn_op2(r->m, r->main->fn, OP_mm_nn, big_l, start));
    out->mix = main_value(r, fn_op2(r->m, r->main->fn, OP_mm_nn, big_l, big_r));
}

/* L_i u, as rows of base + mix s. */
static Val left_product(Reduce *r, Builder *b, Val all, Val left)
{
    int from = 0, i = 0;
    for (; r->left.at[i] != left; i++)
        from += fn_type(r->flat, r->left.at[i]).dim[0];
    if (r->left.n == 1)
        return all;
    Imm imm = {.axis = 0, .from = from, .to = fn_type(b->fn, all)};
    imm.to.dim[0] = fn_type(r->flat, left).dim[0];
    return fn_op(r->m, b->fn, OP_slice, 1, &all, imm, r->solve->span);
}

static Val part_rate(Reduce *r, Builder *b, const Part *p, const Val *map)
{
    Val x;
    if (p->x == NO_VAL) {
        Val one = fn_const(r->m, b->fn, 1);
        x = fn_op(r->m, b->fn, OP_fill, 1, &one, (Imm){.to = type_real(false, 1, (int[]){1})}, r->solve->span);
    } else
        x = map[p->x];
    if (p->factor != NO_VAL)
        x = fn_op2(r->m, b->fn, OP_mul, x, map[p->factor]);
    return p->is_negative ? fn_op1(r->m, b->fn, OP_neg, x) : x;
}

static Fn *build_field(Reduce *r, const Reduction *out, Keys *keys)
{
    Builder *b = build_new(r->c, str_format(r->c->arena, "%s_reduced", r->solve->name), r->solve->span, r->main, keys);
    Val *map = ARENA_NEW(r->c->arena, Val, r->flat->ins.n + 1), *x = ARENA_NEW(r->c->arena, Val, r->parts.n);
    Val s = build_input(r->c, b, out->type, r->solve->state_name[0]);
    map[1] = build_input(r->c, b, type_scalar(false), "t");
    Val base = build_val(r->c, b, &out->base), mix = build_val(r->c, b, &out->mix);
    Val all = fn_op2(r->m, b->fn, OP_add, base, fn_op2(r->m, b->fn, OP_mm_nn, mix, s));
    for (int i = 0; i < r->keys->at.n; i++)
        map[i + 2] = build_val(r->c, b, &r->keys->at.at[i]);
    for (int v = r->flat->n_in; v < r->flat->ins.n; v++) {
        const Ins *ins = &r->flat->ins.at[v];
        if (ins->op == OP_mm_nn && ins->arg[1] == 0)
            map[v] = left_product(r, b, all, ins->arg[0]);
        else
            fn_copy(r->m, b->fn, r->flat, (Val)v, map, false);
    }
    for (int i = 0; i < r->parts.n; i++)
        x[i] = part_rate(r, b, &r->parts.at[i], map);
    Val rate = r->parts.n == 1 ? x[0] : fn_op(r->m, b->fn, OP_concat, r->parts.n, x, (Imm){.axis = 0}, r->solve->span);
    if (!fn_type(b->fn, rate).is_batched)
        rate = fn_op1(r->m, b->fn, OP_bcast, rate);
    fn_out(r->m, b->fn, rate, "x");
    b->fn->note = "the right-hand side of the reduced state";
    return build_finish(r->c, b);
}

Reduction *reduce_field(Check *c, Builder *main, Solve *solve, Fn *field, Keys *keys, Val start)
{
    Reduce r = {.c = c, .m = c->module, .main = main, .solve = solve, .keys = keys};
    if (c->no_reduce)
        solve->reduction = "switched off";
    else if (solve->n_state != 1 || solve->state_type[0].rank != 1)
        solve->reduction = "only a solve of one vector is reduced";
    if (solve->reduction)
        return NULL;
    r.flat = flatten(&r, field);
    mark_depends(&r);
    if (!find_left(&r) || !collect(&r, r.flat->out.at[0], NO_VAL, false)) {
        solve->reduction = str_format(c->arena, "not possible: %s", r.why ? r.why : "the field does not end in W @ x");
        return NULL;
    }
    int d = solve->state_type[0].dim[0], p = 0, q = 0;
    for (int i = 0; i < r.left.n; i++)
        p += fn_type(r.flat, r.left.at[i]).dim[0];
    for (int i = 0; i < r.parts.n; i++)
        q += part_size(&r, &r.parts.at[i]);
    if (!pays(&r, d, p, q)) {
        solve->reduction = str_format(c->arena, "does not pay: %s", solve->reduction);
        return NULL;
    }
    r.hoisted = ARENA_NEW(c->arena, Val, r.flat->ins.n + 1);
    for (int v = 0; v < r.flat->ins.n; v++)
        r.hoisted[v] = NO_VAL;
    Reduction *out = ARENA_NEW(c->arena, Reduction, 1);
    out->type = type_real(true, 1, &q);
    build_maps(&r, out, start);
    Keys *reduced = ARENA_NEW(c->arena, Keys, 1);
    out->field = build_field(&r, out, reduced);
    *keys = *reduced;
    return out;
}

/* ---- back to the user's state ---- */
Val reduce_lift_rate(Check *c, Builder *b, const Reduction *r, Val x)
{
    Val right = build_val(c, b, &r->right);
    return fn_op2(c->module, b->fn, OP_mm_nn, right, x);
}

Val reduce_lift(Check *c, Builder *b, const Reduction *r, Val s)
{
    Type t = fn_type(b->fn, s);
    Val start = build_val(c, b, &r->start);
    if (t.rank == 1) {
        Val moved = reduce_lift_rate(c, b, r, s);
        return fn_op2(c->module, b->fn, OP_add, start, moved);
    }
    Val right = build_val(c, b, &r->right);
    Val moved = fn_op2(c->module, b->fn, OP_mm_nt, s, right);
    Imm imm = {.axis = 0, .to = fn_type(b->fn, moved)};
    Val rows = fn_op(c->module, b->fn, OP_repeat, 1, &start, imm, b->fn->span);
    return fn_op2(c->module, b->fn, OP_add, rows, moved);
}
