/* forward.c: tangents, for `adjoint forward`: derivatives of the states that are solved beside them.
 *
 * Needs: the field as a function, the start values and arguments of the solve.  Gives: the field with tangents as
 * further states: for each direction i, an element of an argument p or of a start that parameters reach,
 *     ds_i/dt = (df/du) s_i + (df/dp) e_i,   s_i = 0 at the start, or e_i for an element of the start.
 * A step of this system has for tangents the derivatives of the step of the states, for its stages are linear in them
 * (Bochev & Scovel 1994): the gradient is that of the steps that were taken. So tangents have no part in the error
 * norm, and the steps are those of the states alone. Elsewhere: the gradient from the tangents (ad_solve.c), the clause
 * (adjoint.c). */
#include "ad.h"
#include "block.h"

/* With more of them the reverse is cheaper. */
enum { MOST_DIRECTIONS = 64 };

typedef struct Variation {
    Check *c;
    Module *m;
    Solve *solve;
    const Fn *field; /* without calls */
    int n;           /* states of the field */
} Variation;

static Type operand_type(const Variation *s, Direction d)
{
    return fn_type(s->field, (Val)(d.is_start ? d.index : s->n + 1 + d.index));
}

/* ---- directions ---- */
static void add_direction(Variation *s, bool is_start, int index)
{
    Direction d = {is_start, index, s->solve->n_direction};
    list_push(s->c->arena, s->solve->directions, d);
    s->solve->n_direction += type_size(operand_type(s, d));
}

static void find_directions(Variation *s, Block *k, const Keys *keys)
{
    Val *operand = ARENA_NEW(s->c->arena, Val, s->n + keys->at.n + 1);
    for (int j = 0; j < s->n; j++)
        operand[j] = k->start[j];
    build_keys(s->c, k->main, keys, operand + s->n);
    const bool *is_wanted = adjoint_wants(s->c, k->main->fn, s->field, s->n, keys->at.n, operand);
    for (int i = 0; i < s->field->n_in - 1; i++)
        if (is_wanted[i])
            add_direction(s, i < s->n, i < s->n ? i : i - s->n);
}

/* ---- the field ---- */
/* (inputs of the field.., v of n inputs from the first on..) -> the derivative of each rate along v.. */
static Fn *change_along(const Variation *s, int first, int n)
{
    Module *m = s->m;
    int n_in = s->field->n_in;
    Fn *to = fn_new(m, s->field->name, s->solve->span);
    Val *in = ARENA_NEW(s->c->arena, Val, n_in + n);
    for (int i = 0; i < n_in + n; i++)
        in[i] = fn_input(m, to, fn_type(s->field, (Val)(i < n_in ? i : first + i - n_in)), NULL);
    const Val *map = fn_append(m, to, s->field, in, false);
    Val *sum = ARENA_NEW(s->c->arena, Val, s->n);
    for (int j = 0; j < s->n; j++)
        sum[j] = NO_VAL;
    for (int i = 0; i < n; i++) {
        bool *reached = ARENA_NEW(s->c->arena, bool, to->ins.n);
        reached[in[first + i]] = true;
        ad_depends(m, to, reached);
        for (int j = 0; j < s->n; j++) {
            Val rate = map[s->field->out.at[j]];
            if (!reached[rate])
                continue;
            Val part = ad_push(m, to, in[first + i], rate, in[n_in + i]);
            sum[j] = sum[j] == NO_VAL ? part : fn_op2(m, to, OP_add, sum[j], part);
        }
    }
    for (int j = 0; j < s->n; j++)
        fn_out(m, to, sum[j] == NO_VAL ? sweep_zero(m, to, s->solve->state_type[j]) : sum[j], NULL);
    return canon(m, to);
}

static Val reshaped(const Variation *s, Fn *to, Val v, Type type)
{
    return type_same_shape(fn_type(to, v), type) ? v : fn_op(s->m, to, OP_reshape, 1, &v, (Imm){.to = type}, to->span);
}

static Type vector_type(bool is_batched, int n)
{
    return type_real(is_batched, 1, &n);
}

/* The entries of a vector of tangents that belong to a direction. */
static Val part_of(const Variation *s, Fn *to, Val tangents, int direction, Type type)
{
    Imm imm = {.axis = 0, .from = direction * type_size(type), .to = vector_type(true, type_size(type))};
    return reshaped(s, to, fn_op(s->m, to, OP_slice, 1, &tangents, imm, to->span), type);
}

/* 1 at an element, 0 at the others: for the whole batch, of any shape. */
static Val unit(const Variation *s, Fn *to, Type type, int element)
{
    double *array = ARENA_NEW(s->c->arena, double, type_size(type));
    array[element] = 1;
    type.is_batched = false;
    if (type.rank == 0)
        return fn_const(s->m, to, 1);
    return build_val(s->c, &(Builder){.fn = to}, &(Value){.kind = VALUE_array, .type = type, .array = array});
}

/* Adds to the rates of a direction's tangents. */
static void add_rates(const Variation *s, Fn *to, const Fn *along, const Val *in, Val *rate)
{
    const Val *map = fn_append(s->m, to, along, in, false);
    for (int j = 0; j < s->n; j++) {
        Val v = map[along->out.at[j]];
        rate[j] = rate[j] == NO_VAL ? v : fn_op2(s->m, to, OP_add, rate[j], v);
    }
}

/* rate[j][i] of state j along each element i of a direction; in: inputs of the field, tangents[j]. */
static void rates_along(const Variation *s, Fn *to, const Fn *along, Direction d, Val *in, const Val *tangents,
                        Val *const *rate)
{
    Type type = operand_type(s, d);
    int n_in = s->field->n_in;
    const Fn *by_argument = d.is_start ? NULL : change_along(s, s->n + 1 + d.index, 1);
    Val *one = ARENA_NEW(s->c->arena, Val, s->n);
    for (int e = 0; e < type_size(type); e++) {
        for (int j = 0; j < s->n; j++) {
            one[j] = NO_VAL;
            in[n_in + j] = part_of(s, to, tangents[j], d.first + e, s->solve->state_type[j]);
        }
        add_rates(s, to, along, in, one);
        if (by_argument) {
            in[n_in] = unit(s, to, type, e);
            add_rates(s, to, by_argument, in, one);
        }
        for (int j = 0; j < s->n; j++)
            rate[j][d.first + e] = reshaped(s, to, one[j], vector_type(true, type_size(s->solve->state_type[j])));
    }
}

/* (u.., tangents.., t, p..) -> (u'.., tangents'..) */
static Fn *make_field(const Variation *s)
{
    Module *m = s->m;
    const Solve *solve = s->solve;
    Fn *to = fn_new(m, str_format(s->c->arena, "%s_field_tangents", solve->name), solve->span);
    Val *in = ARENA_NEW(s->c->arena, Val, s->field->n_in + s->n), *tangents = ARENA_NEW(s->c->arena, Val, s->n);
    Val **rate = ARENA_NEW(s->c->arena, Val *, s->n);
    for (int j = 0; j < s->n; j++)
        in[j] = fn_input(m, to, solve->state_type[j], solve->state_name[j]);
    for (int j = 0; j < s->n; j++)
        tangents[j] = fn_input(m, to, solve->state_type[s->n + j], solve->state_name[s->n + j]);
    for (int i = s->n; i < s->field->n_in; i++)
        in[i] = fn_input(m, to, fn_type(s->field, (Val)i), s->field->ins.at[i].name);
    for (int j = 0; j < s->n; j++)
        rate[j] = ARENA_NEW(s->c->arena, Val, solve->n_direction);
    const Val *map = fn_append(m, to, s->field, in, false);
    const Fn *along = change_along(s, 0, s->n);
    for (int i = 0; i < solve->directions.n; i++)
        rates_along(s, to, along, solve->directions.at[i], in, tangents, rate);
    for (int j = 0; j < s->n; j++)
        fn_out(m, to, map[s->field->out.at[j]], s->field->out_name.at[j]);
    for (int j = 0; j < s->n; j++) {
        Val all = solve->n_direction == 1
                      ? rate[j][0]
                      : fn_op(m, to, OP_concat, solve->n_direction, rate[j], (Imm){.axis = 0}, to->span);
        if (!fn_type(to, all).is_batched)
            all = fn_op1(m, to, OP_bcast, all);
        fn_out(m, to, all, str_format(s->c->arena, "d%s", solve->state_name[s->n + j]));
    }
    to->note = "the right-hand side, and that of the tangents";
    return module_add(m, canon(m, to));
}

/* ---- states ---- */
/* The tangents of state j at the start. */
static Val start_of(const Variation *s, Block *k, int j)
{
    Fn *main = k->main->fn;
    int size = type_size(s->solve->state_type[j]), n = s->solve->n_direction * size;
    double *array = ARENA_NEW(s->c->arena, double, n);
    bool is_zero = true;
    for (int i = 0; i < s->solve->directions.n; i++) {
        Direction d = s->solve->directions.at[i];
        for (int e = 0; e < size && d.is_start && d.index == j; e++) {
            array[(d.first + e) * size + e] = 1;
            is_zero = false;
        }
    }
    if (is_zero)
        return sweep_zero(s->m, main, vector_type(true, n));
    Value v = {.kind = VALUE_array, .type = vector_type(false, n), .array = array};
    return fn_op1(s->m, main, OP_bcast, build_val(s->c, k->main, &v));
}

static void add_states(Variation *s, Block *k)
{
    Solve *solve = s->solve;
    Arena *a = s->c->arena;
    const char **name = ARENA_NEW(a, const char *, 2 * s->n);
    Type *type = ARENA_NEW(a, Type, 2 * s->n);
    Val *start = ARENA_NEW(a, Val, 2 * s->n);
    for (int j = 0; j < s->n; j++) {
        name[j] = solve->state_name[j];
        type[j] = solve->state_type[j];
        start[j] = k->start[j];
        name[s->n + j] = str_format(a, "tangents_%s", name[j]);
        type[s->n + j] = vector_type(true, solve->n_direction * type_size(type[j]));
        start[s->n + j] = start_of(s, k, j);
    }
    solve->state_name = name;
    solve->state_type = type;
    k->start = start;
    solve->n_tangent = s->n;
    solve->n_state = 2 * s->n;
}

bool forward_add(Block *k, const Keys *keys, Problem *p)
{
    Check *c = k->c;
    Solve *solve = p->solve;
    if (!c->training || solve->adjoint != ADJOINT_forward)
        return false;
    Variation s = {.c = c, .m = c->module, .solve = solve, .n = solve->n_state};
    s.field = fn_flat(c->module, p->field, p->field->name);
    find_directions(&s, k, keys);
    if (solve->n_direction > MOST_DIRECTIONS) {
        DIAG_AT(c->diags, FORWARD_SIZE, k->adjoint->span, solve->name, solve->n_direction, MOST_DIRECTIONS);
        diag_help(c->diags, "'adjoint discrete' costs the same for any number");
    }
    if (solve->n_direction == 0 || solve->n_direction > MOST_DIRECTIONS)
        return false;
    Solve *core = ARENA_NEW(c->arena, Solve, 1);
    *core = *solve;
    k->core = *p;
    k->core.solve = core;
    add_states(&s, k);
    p->field = make_field(&s);
    solve->reduction = "none: the tangents of 'adjoint forward' are those of the states as written";
    return true;
}
