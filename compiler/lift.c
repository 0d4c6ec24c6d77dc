/* lift.c: a reduced solve: its maps in the main program, its field, and the way back to the user's states.
 *
 * Needs: what reduce.c chose; the words are explained there.  Gives: z, L, R, L z, L R as values of the main program,
 * the field of the integrated states, u for any s.
 * Elsewhere: the step (step.c). */
#include "reduce.h"

#include <string.h>

/* ---- numbers of a vector ---- */
/* n of x along an axis, from `from` on. */
static Val numbers(Check *c, Builder *b, Val x, int axis, int from, int n)
{
    Imm imm = {.axis = axis, .from = from, .to = fn_type(b->fn, x)};
    if (n == imm.to.dim[axis])
        return x;
    imm.to.dim[axis] = n;
    return fn_op(c->module, b->fn, OP_slice, 1, &x, imm, b->fn->span);
}

static Val shaped(Check *c, Builder *b, Val x, Type to)
{
    return fn_op(c->module, b->fn, OP_reshape, 1, &x, (Imm){.to = to}, b->fn->span);
}

static Val number(Check *c, Builder *b, Val x, int at)
{
    return shaped(c, b, numbers(c, b, x, 0, at, 1), type_scalar(false));
}

static Val plus(Check *c, Builder *b, Val sum, Val x)
{
    return sum == NO_VAL ? x : fn_op2(c->module, b->fn, OP_add, sum, x);
}

/* ---- the maps, in the main program ---- */
/* A value of parameters alone, there. */
static Val hoist(Reduce *r, Val v)
{
    const Ins *ins = &r->flat->ins.at[v];
    if (r->hoisted[v] != NO_VAL)
        return r->hoisted[v];
    if (ins->op == OP_input)
        return r->hoisted[v] = build_val(r->c, r->main, &r->keys->at.at[(int)v - r->n - 1]);
    for (int k = 0; k < ins->n_arg; k++)
        hoist(r, ins->arg[k]);
    fn_copy(r->m, r->main->fn, r->flat, v, r->hoisted, false);
    return r->hoisted[v];
}

static Val join(Reduce *r, Builder *b, int n, const Val *v, int axis)
{
    return n == 1 ? v[0] : fn_op(r->m, b->fn, OP_concat, n, v, (Imm){.axis = axis}, r->solve->span);
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

static Value right_value(Reduce *r, const Reduction *out, int i)
{
    LIST(Val) right = {0};
    for (int k = 0; k < i; k++) /* q' = v: one matrix, hence one gradient, for both */
        if (out->state[k].n_right && !memcmp(r->choice.block[k], r->choice.block[i], sizeof(bool) * (size_t)r->n))
            return out->state[k].right;
    for (int j = 0; j < r->n; j++)
        for (int k = 0; r->choice.block[i][j] && k < r->rate[j].parts.n; k++)
            list_push(r->c->arena, right, right_of(r, &r->rate[j].parts.at[k]));
    return right.n ? value_val(r->main, join(r, r->main, right.n, right.at, 1)) : value_poison();
}

static void build_left(Reduce *r, int i, Lift *out)
{
    const Lefts *left = &r->choice.left[i];
    Val *rows = ARENA_NEW(r->c->arena, Val, left->at.n + 1);
    for (int k = 0; k < left->at.n; k++)
        rows[k] = hoist(r, left->at.at[k]);
    if (left->at.n == 0)
        return;
    Val all = join(r, r->main, left->at.n, rows, 0);
    out->left = value_val(r->main, all);
    if (out->n_right)
        out->mix = value_val(r->main, fn_op2(r->m, r->main->fn, OP_mm_nn, all, out->right.val));
}

static void build_maps(Reduce *r, Reduction *out, const Val *start)
{
    for (int i = 0; i < r->n; i++) {
        Lift *lift = &out->state[i];
        lift->is_reduced = r->choice.is_reduced[i];
        lift->start = value_val(r->main, start[i]);
        lift->type = r->solve->state_type[i];
        if (!lift->is_reduced)
            continue;
        int size = reduce_origin_at(r, i, r->n);
        lift->type = type_real(true, 1, &size);
        lift->n_right = reduce_block_at(r, i, r->n);
        lift->right = right_value(r, out, i);
        build_left(r, i, lift);
        for (int k = 0; k < r->n; k++)
            if (r->choice.origin[i][k])
                list_push(r->c->arena, lift->origin, k);
    }
}

/* L_i z_i and all L_i z_k: what changes when the solve starts elsewhere. */
static void build_bases(Reduce *r, Reduction *out)
{
    for (int i = 0; i < r->n; i++) {
        const Lift *lift = &out->state[i];
        for (int k = 0; k < r->n && r->choice.left[i].size; k++) {
            if (!lift->is_reduced || (k != i && !r->choice.origin[i][k]))
                continue;
            Val z = fn_op2(r->m, r->main->fn, OP_mm_nn, lift->left.val, out->state[k].start.val);
            list_push(r->c->arena, out->base, ((Base){i, k, value_val(r->main, z)}));
        }
    }
}

/* ---- the reduced field ---- */
typedef struct Build {
    Reduce *r;
    const Reduction *out;
    Builder *b;
    Val *s;    /* [state]: what is integrated */
    Val *left; /* [state]: all L u of it */
    Val *map;  /* value of flat -> value here */
} Build;

static void read_bases(Build *f)
{
    Reduce *r = f->r;
    Module *m = r->m;
    for (int k = 0; k < f->out->base.n; k++) {
        const Base *base = &f->out->base.at[k];
        Val z = build_val(r->c, f->b, &base->value), *sum = &f->left[base->state];
        if (base->state == base->of)
            *sum = plus(r->c, f->b, *sum, z);
        if (r->choice.origin[base->state][base->of]) {
            Val w = number(r->c, f->b, f->s[base->state], reduce_origin_at(r, base->state, base->of));
            *sum = plus(r->c, f->b, *sum, fn_op2(m, f->b->fn, OP_mul, w, z));
        }
    }
    for (int i = 0; i < r->n; i++)
        if (f->left[i] != NO_VAL && f->out->state[i].n_right) {
            Val s = numbers(r->c, f->b, f->s[i], 0, 0, f->out->state[i].n_right);
            Val mixed = fn_op2(m, f->b->fn, OP_mm_nn, build_val(r->c, f->b, &f->out->state[i].mix), s);
            f->left[i] = fn_op2(m, f->b->fn, OP_add, f->left[i], mixed);
        }
}

/* L u_i, some rows of all. */
static Val left_product(const Build *f, int i, Val left)
{
    const Lefts *all = &f->r->choice.left[i];
    int from = 0;
    for (int k = 0; all->at.at[k] != left; k++)
        from += fn_type(f->r->flat, all->at.at[k]).dim[0];
    return numbers(f->r->c, f->b, f->left[i], 0, from, fn_type(f->r->flat, left).dim[0]);
}

static Val scaled(const Build *f, Val x, const Factor *factor, bool is_negative)
{
    Reduce *r = f->r;
    for (; factor; factor = factor->next)
        x = fn_op2(r->m, f->b->fn, factor->divides ? OP_div : OP_mul, x, f->map[factor->scalar]);
    return is_negative ? fn_op1(r->m, f->b->fn, OP_neg, x) : x;
}

static Val one(const Build *f)
{
    Val one = fn_const(f->r->m, f->b->fn, 1);
    return fn_op(f->r->m, f->b->fn, OP_fill, 1, &one, (Imm){.to = type_real(false, 1, (int[]){1})}, f->r->solve->span);
}

/* s_ij' */
static Val block_rate(const Build *f, int i, int j)
{
    Reduce *r = f->r;
    const Rate *rate = &r->rate[i];
    Val *x = ARENA_NEW(r->c->arena, Val, rate->parts.n + 1), sum = NO_VAL;
    for (int k = 0; i == j && k < rate->parts.n; k++) {
        const Part *p = &rate->parts.at[k];
        x[k] = scaled(f, p->x == NO_VAL ? one(f) : f->map[p->x], p->factor, p->is_negative);
    }
    if (i == j)
        sum = join(r, f->b, rate->parts.n, x, 0);
    for (int k = 0; k < rate->wholes.n; k++) {
        const Whole *w = &rate->wholes.at[k];
        if (r->choice.block[w->state][j]) {
            Val other = numbers(r->c, f->b, f->s[w->state], 0, reduce_block_at(r, w->state, j), r->rate[j].size);
            sum = plus(r->c, f->b, sum, scaled(f, other, w->factor, w->is_negative));
        }
    }
    return sum;
}

/* w_ik' */
static Val origin_rate(const Build *f, int i, int k)
{
    Reduce *r = f->r;
    const Rate *rate = &r->rate[i];
    Val sum = NO_VAL;
    for (int n = 0; n < rate->wholes.n; n++) {
        const Whole *w = &rate->wholes.at[n];
        if (w->state == k)
            sum = plus(r->c, f->b, sum, scaled(f, one(f), w->factor, w->is_negative));
        if (r->choice.origin[w->state][k]) {
            Val other = numbers(r->c, f->b, f->s[w->state], 0, reduce_origin_at(r, w->state, k), 1);
            sum = plus(r->c, f->b, sum, scaled(f, other, w->factor, w->is_negative));
        }
    }
    return sum;
}

static Val state_rate(const Build *f, int i)
{
    Reduce *r = f->r;
    if (!r->choice.is_reduced[i])
        return f->map[r->flat->out.at[i]];
    LIST(Val) x = {0};
    for (int j = 0; j < r->n; j++)
        if (r->choice.block[i][j])
            list_push(r->c->arena, x, block_rate(f, i, j));
    for (int k = 0; k < r->n; k++)
        if (r->choice.origin[i][k])
            list_push(r->c->arena, x, origin_rate(f, i, k));
    Val rate = join(r, f->b, x.n, x.at, 0);
    return fn_type(f->b->fn, rate).is_batched ? rate : fn_op1(r->m, f->b->fn, OP_bcast, rate);
}

/* The field of what is integrated, whose arguments take the place of r->keys. */
static Fn *build_field(Reduce *r, const Reduction *out, const char *name, const char *note)
{
    Keys *keys = ARENA_NEW(r->c->arena, Keys, 1);
    Builder *b = build_new(r->c, name, r->solve->span, r->main, keys);
    Build f = {r,
               out,
               b,
               ARENA_NEW(r->c->arena, Val, r->n),
               ARENA_NEW(r->c->arena, Val, r->n),
               ARENA_NEW(r->c->arena, Val, r->flat->ins.n + 1)};
    for (int i = 0; i < r->n; i++) {
        f.left[i] = NO_VAL;
        f.s[i] = f.map[i] = build_input(r->c, b, out->state[i].type, r->solve->state_name[i]);
    }
    f.map[r->n] = build_input(r->c, b, type_scalar(r->solve->is_per_sample), "t");
    read_bases(&f); /* the first keys: step_start puts others in their place */
    for (int v = r->n + 1; v < r->flat->ins.n; v++) {
        const Ins *ins = &r->flat->ins.at[v];
        if (!r->choice.is_read[v])
            continue;
        if (v < r->flat->n_in)
            f.map[v] = build_val(r->c, b, &r->keys->at.at[v - r->n - 1]);
        else if (reduce_is_left(r, (Val)v) && r->choice.is_reduced[ins->arg[1]])
            f.map[v] = left_product(&f, (int)ins->arg[1], ins->arg[0]);
        else if (ins->op == OP_slice && r->depends[v] == 0) {
            Value part = value_val(r->main, hoist(r, (Val)v)); /* of a parameter: once a solve, not at each stage */
            f.map[v] = build_val(r->c, b, &part);
        } else
            fn_copy(r->m, b->fn, r->flat, (Val)v, f.map, false);
    }
    for (int i = 0; i < r->n; i++)
        fn_out(r->m, b->fn, state_rate(&f, i), str_format(r->c->arena, "x_%s", r->solve->state_name[i]));
    b->fn->note = note;
    Fn *field = build_finish(r->c, b);
    *r->keys = *keys;
    return field;
}

static void begin_hoisting(Reduce *r)
{
    r->hoisted = ARENA_NEW(r->c->arena, Val, r->flat->ins.n + 1);
    memset(r->hoisted, 0xff, sizeof(Val) * (size_t)r->flat->ins.n);
}

Fn *reduce_split(Reduce *r)
{
    Reduction out = {.n = r->n, .state = ARENA_NEW(r->c->arena, Lift, r->n)};
    r->choice = (Choice){.is_reduced = ARENA_NEW(r->c->arena, bool, r->n),
                         .is_read = ARENA_NEW(r->c->arena, bool, r->flat->ins.n + 1)};
    memset(r->choice.is_read, true, sizeof(bool) * (size_t)r->flat->ins.n);
    for (int i = 0; i < r->n; i++)
        out.state[i].type = r->solve->state_type[i];
    begin_hoisting(r);
    return build_field(r, &out, r->field->name, r->field->note);
}

Reduction *reduce_build(Reduce *r, const Val *start)
{
    Check *c = r->c;
    Reduction *out = ARENA_NEW(c->arena, Reduction, 1);
    begin_hoisting(r);
    *out =
        (Reduction){.n = r->n, .state = ARENA_NEW(c->arena, Lift, r->n), .user_field = r->field, .user_keys = *r->keys};
    build_maps(r, out, start);
    build_bases(r, out);
    out->field = build_field(r, out, str_format(c->arena, "%s_reduced", r->solve->name),
                             "the right-hand side of the reduced states");
    return out;
}

/* ---- back to the user's states ---- */
Val *reduce_origin(Check *c, Builder *b, const Reduction *r)
{
    Val *z = ARENA_NEW(c->arena, Val, r->n);
    for (int i = 0; i < r->n; i++)
        z[i] = r->state[i].is_reduced ? build_val(c, b, &r->state[i].start) : NO_VAL;
    return z;
}

Val reduce_lift_rate(Check *c, Builder *b, const Reduction *r, int state, const Val *z, Val x)
{
    const Lift *lift = &r->state[state];
    Val sum = NO_VAL;
    if (lift->n_right) {
        Val s = numbers(c, b, x, 0, 0, lift->n_right);
        sum = fn_op2(c->module, b->fn, OP_mm_nn, build_val(c, b, &lift->right), s);
    }
    for (int k = 0; k < lift->origin.n; k++) {
        Val w = number(c, b, x, lift->n_right + k);
        sum = plus(c, b, sum, fn_op2(c->module, b->fn, OP_mul, w, z[lift->origin.at[k]]));
    }
    return sum;
}

Val reduce_lift(Check *c, Builder *b, const Reduction *r, int state, const Val *z, Val s)
{
    if (!r->state[state].is_reduced)
        return s;
    return fn_op2(c->module, b->fn, OP_add, z[state], reduce_lift_rate(c, b, r, state, z, s));
}

/* x in each of n rows (axis 0) or columns (axis 1). */
static Val spread(Check *c, Builder *b, Val x, int axis, Type to)
{
    return fn_op(c->module, b->fn, OP_repeat, 1, &x, (Imm){.axis = axis, .to = to}, b->fn->span);
}

Val reduce_lift_series(Check *c, Builder *b, const Reduction *r, int state, const Val *z, Val s)
{
    const Lift *lift = &r->state[state];
    if (!lift->is_reduced)
        return s;
    Type to = fn_type(b->fn, s);
    to.dim[1] = fn_type(b->fn, z[state]).dim[0];
    Val sum = spread(c, b, z[state], 0, to);
    if (lift->n_right) {
        Val rows = numbers(c, b, s, 1, 0, lift->n_right);
        sum = plus(c, b, sum, fn_op2(c->module, b->fn, OP_mm_nt, rows, build_val(c, b, &lift->right)));
    }
    for (int k = 0; k < lift->origin.n; k++) {
        Val w = shaped(c, b, numbers(c, b, s, 1, lift->n_right + k, 1), type_real(false, 1, to.dim));
        Val rows = spread(c, b, z[lift->origin.at[k]], 0, to);
        sum = plus(c, b, sum, fn_op2(c->module, b->fn, OP_mul, spread(c, b, w, 1, to), rows));
    }
    return sum;
}
