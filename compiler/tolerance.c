/* tolerance.c: the absolute and the relative tolerance: one number, or one for each component of the states.
 *
 * Needs: static expressions (expr.c).  Gives: their settings, and as instructions what an error is divided by.  A
 * vector has an entry for each component of the states as written, state by state in the order of the equations; an
 * integral of a regulariser, which is one more state, goes by its first entry.
 * Elsewhere: the error norm (step.c). */
#include "block.h"

static int components(const Solve *s)
{
    int n = 0;
    for (int j = 0; j < solve_written(s); j++)
        n += type_size(s->user_type[j]);
    return n;
}

/* NAME.1, NAME.2, ..: a setting for each entry. */
static Tolerance read_entries(Block *k, Node *node, const char *name)
{
    Check *c = k->c;
    Value v = eval(c, k->outer, NULL, node);
    Tolerance out = {.set = -1, .span = node->span};
    if (v.kind == VALUE_poison)
        return out;
    Type t;
    if (v.kind != VALUE_array && value_type(c, &v, &t)) {
        DIAG_PLAIN(c->diags, NOT_STATIC, node->span);
        return out;
    }
    if (v.kind != VALUE_array || v.type.rank != 1) {
        DIAG_AT(c->diags, TOLERANCE_KIND, node->span, value_text(c, &v));
        return out;
    }
    out.n = v.type.dim[0];
    for (int i = 0; i < out.n; i++)
        if (!(v.array[i] > 0)) {
            DIAG_AT(c->diags, NOT_POSITIVE, node->span, num_text(c->arena, v.array[i], false));
            return (Tolerance){.set = -1};
        }
    out.set = setting_add_entries(c, name, out.n, v.array, node->span);
    return out;
}

static Tolerance read_tolerance(Block *k, Node *node, const char *name)
{
    Value v = eval(k->c, k->outer, NULL, node);
    if (v.kind != VALUE_number)
        return read_entries(k, node, name);
    Tolerance out = {.n = 1, .span = node->span};
    out.set = setting_add(k->c, name, rat_to_double(v.num), false, node->span);
    if (rat_sign(v.num) <= 0)
        DIAG_AT(k->c->diags, NOT_POSITIVE, node->span, num_text(k->c->arena, rat_to_double(v.num), false));
    return out;
}

void tolerance_read(Block *k, Node *clause)
{
    Solve *s = k->solve;
    if (clause->n == 0)
        DIAG_AT(k->c->diags, CLAUSE_VALUE, clause->span, "tolerance", "tolerance 1e-4");
    for (int g = 0; g < clause->n; g++)
        for (int i = 0; i < clause->kid[g]->n; i++) {
            Node *at = clause->kid[g]->kid[i];
            bool is_word = at->kind == NODE_WORD;
            if (is_word && !at->n) {
                DIAG_AT(k->c->diags, CLAUSE_VALUE, at->span, "tolerance", "tolerance abs 1e-6 rel 1e-3");
                return;
            }
            const char *name =
                str_format(k->c->arena, "%s.tolerance%s%s", s->name, is_word ? "." : "", is_word ? at->text : "");
            Tolerance t = read_tolerance(k, is_word ? at->kid[0] : at, name);
            if (!is_word || str_eq(at->text, "abs"))
                s->atol = t;
            if (!is_word || str_eq(at->text, "rel"))
                s->rtol = t;
        }
}

static bool fits(Block *k, const Tolerance *t)
{
    int n = components(k->solve);
    if (t->n <= 1 || t->n == n)
        return true;
    DIAG_AT(k->c->diags, TOLERANCE_LENGTH, t->span, t->n, k->solve->name, n);
    return false;
}

bool tolerance_fits(Block *k)
{
    const Solve *s = k->solve;
    return fits(k, &s->atol) && (s->rtol.set == s->atol.set || fits(k, &s->rtol));
}

double tolerance_least(const Check *c, const Tolerance *t)
{
    double least = c->model->settings.at[t->set].value;
    for (int i = 1; i < t->n; i++)
        if (c->model->settings.at[t->set + i].value < least)
            least = c->model->settings.at[t->set + i].value;
    return least;
}

Val tolerance_least_value(Check *c, Builder *b, const Tolerance *t)
{
    Val least = NO_VAL;
    for (int i = 0; i < t->n; i++) {
        Value v = {.kind = VALUE_setting, .index = t->set + i};
        Val x = build_val(c, b, &v);
        least = i == 0 ? x : fn_op2(c->module, b->fn, OP_min, least, x);
    }
    return least;
}

/* The entries from number `first` on, in the shape of a state. */
static Val entries(Check *c, Builder *b, const Tolerance *t, int first, Type shape)
{
    Module *m = c->module;
    int n = type_size(shape);
    Val *entry = ARENA_NEW(c->arena, Val, n);
    for (int i = 0; i < n; i++) {
        Value v = {.kind = VALUE_setting, .index = t->set + first + i};
        entry[i] = build_val(c, b, &v);
        if (shape.rank > 0)
            entry[i] = fn_op(m, b->fn, OP_reshape, 1, &entry[i], (Imm){.to = type_real(false, 1, (int[]){1})}, t->span);
    }
    Val all = n > 1 ? fn_op(m, b->fn, OP_concat, n, entry, (Imm){.axis = 0}, t->span) : entry[0];
    shape.is_batched = false;
    return shape.rank > 1 ? fn_op(m, b->fn, OP_reshape, 1, &all, (Imm){.to = shape}, t->span) : all;
}

static void make_arrays(Check *c, const Solve *s, Tolerance *t)
{
    t->array = ARENA_NEW(c->arena, Val, s->n_state);
    for (int j = 0, first = 0; j < solve_written(s); j++) {
        t->array[j] = entries(c, c->main, t, first, s->user_type[j]);
        first += type_size(s->user_type[j]);
    }
}

Val *tolerance_values(Check *c, Builder *b, const Solve *s, Tolerance *t)
{
    Val *out = ARENA_NEW(c->arena, Val, s->n_state);
    if (t->n > 1 && !t->array)
        make_arrays(c, s, t);
    for (int j = 0; j < s->n_state; j++) {
        Value v = {.kind = VALUE_setting, .index = t->set};
        if (t->n > 1 && j < solve_written(s))
            v = value_val(c->main, t->array[j]);
        out[j] = build_val(c, b, &v);
    }
    return out;
}
