/* field.c: the field within a step: called, or written out where it is small; and how it changes.
 *
 * Needs: the field as a function.  Gives: its value at a stage, and its change from the start of the step. A field that
 * is written out takes part in the fusion of the step, and what depends on parameters and the time alone is worked out
 * once a step and not once a tile. Its inner values that cost more than arithmetic are open then: where stages are
 * formed from differences, the reverse is handed those of the differences, and no stage is evaluated twice. Elsewhere:
 * stages and sums (step.c). */
#include "ad.h"
#include "field.h"

/* A field of more instructions times stages is called. */
enum { MOST_WRITTEN = 1000 };

static void call_field(Check *c, Builder *b, const Problem *p, const Val *u, Val t, Val *du)
{
    int n = p->solve->n_state, n_arg = 0;
    Val *arg = ARENA_NEW(c->arena, Val, n + 1 + p->n_arg);
    for (int i = 0; i < n; i++)
        arg[n_arg++] = u[i];
    arg[n_arg++] = t;
    for (int i = 0; i < p->n_arg; i++)
        arg[n_arg++] = p->arg[i];
    Val call = fn_call(c->module, b->fn, p->field, n_arg, arg, p->solve->span);
    for (int i = 0; i < p->field->out.n; i++)
        du[i] = fn_result(c->module, b->fn, call, i, fn_type(p->field, p->field->out.at[i]));
}

/* ---- opening ---- */
static bool is_output(const Fn *fn, Val v)
{
    for (int i = 0; i < fn->out.n; i++)
        if (fn->out.at[i] == v)
            return true;
    return false;
}

Field field_open(Check *c, const Problem *p)
{
    Field f = {.c = c, .p = p, .fn = p->field};
    Fn *open = fn_flat(c->module, p->field, str_format(c->arena, "%s_open", p->field->name));
    if (open->ins.n * p->solve->method->stages > MOST_WRITTEN)
        return f;
    f.is_written = true;
    f.inner = ARENA_NEW(c->arena, Val, open->ins.n + 1);
    for (int v = open->n_in; p->solve->has_differences && v < open->ins.n; v++)
        if (ad_is_kept(&open->ins.at[v]) && !is_output(open, (Val)v)) {
            f.inner[f.n_inner++] = (Val)v;
            fn_out(c->module, open, (Val)v, open->ins.at[v].name);
        }
    f.fn = module_add(c->module, open);
    return f;
}

/* ---- values ---- */
void field_value(const Field *f, Builder *b, const Problem *p, const Val *u, Val t, const Val *inner, Val *du)
{
    Check *c = f->c;
    int n = p->solve->n_state;
    if (!f->is_written) {
        call_field(c, b, p, u, t, du);
        return;
    }
    Val *map = ARENA_NEW(c->arena, Val, f->fn->ins.n + 1);
    for (int i = 0; i < f->fn->n_in; i++)
        map[i] = i < n ? u[i] : i == n ? t : p->arg[i - n - 1];
    for (int v = f->fn->n_in, k = 0; v < f->fn->ins.n; v++) {
        fn_copy(c->module, b->fn, f->fn, (Val)v, map, false);
        if (k >= f->n_inner || f->inner[k] != (Val)v)
            continue;
        if (inner)
            map[v] = fn_op2(c->module, b->fn, OP_instead, inner[k], map[v]);
        k++;
    }
    for (int i = 0; i < p->field->out.n; i++)
        du[i] = map[f->fn->out.at[i]];
}

void step_field(Check *c, Builder *b, const Problem *p, const Val *u, Val t, Val *du)
{
    const Field f = field_open(c, p);
    field_value(&f, b, p, u, t, NULL, du);
}

/* ---- changes ---- */
static Difference difference(const Field *f)
{
    int n = f->p->solve->n_state;
    bool *changed = ARENA_NEW(f->c->arena, bool, f->fn->n_in + 1);
    for (int i = 0; i <= n; i++)
        changed[i] = true;
    return difference_of(f->c->module, f->fn, changed, f->is_written);
}

/* [value]: is it made with more than arithmetic? */
static bool *costly_values(Check *c, const Fn *fn)
{
    bool *costly = ARENA_NEW(c->arena, bool, fn->ins.n + 1);
    for (int v = fn->n_in; v < fn->ins.n; v++) {
        const Ins *ins = &fn->ins.at[v];
        costly[v] = ad_is_kept(ins);
        for (int k = 0; k < ins->n_arg; k++)
            costly[v] |= costly[ins->arg[k]];
    }
    return costly;
}

Handed field_handed(Check *c, const Problem *p)
{
    Handed h = {0};
    if (!p->solve->has_differences || !p->solve->method->fsal)
        return h;
    Field f = field_open(c, p);
    if (!f.is_written)
        return h;
    Difference d = difference(&f);
    const Fn *fn = d.with_value;
    int first = fn->out.n - d.n_residual;
    bool *costly = costly_values(c, fn), *is_taken = ARENA_NEW(c->arena, bool, fn->ins.n + 1);
    h.residual = ARENA_NEW(c->arena, int, d.n_residual + 1);
    h.type = ARENA_NEW(c->arena, Type, d.n_residual + 1);
    for (int i = 0; i < d.n_take; i++) {
        int r = d.takes[i].index;
        Val v = d.takes[i].kind == TAKES_RESIDUAL ? fn->out.at[first + r] : NO_VAL;
        if (v == NO_VAL || !d.moves[r] || !costly[v] || is_taken[v] || !fn_type(fn, v).is_batched)
            continue;
        is_taken[v] = true;
        h.residual[h.n] = r;
        h.type[h.n++] = fn_type(fn, v);
    }
    return h;
}

/* Values at the start that the last step handed over take the place of those that base forms. */
static void take_handed(const Changes *s, const Fn *base)
{
    const Problem *p = s->p;
    for (int k = 0; p->start && k < p->handed->n; k++)
        for (int i = 0; i < base->out.n; i++)
            if (base->out.at[i] == base->out.at[s->first + p->handed->residual[k]])
                s->base[i] = p->start[k];
}

Changes changes_at(const Field *f, Builder *b, const Problem *p, const Val *u, Val t, bool has_k1)
{
    Check *c = f->c;
    int n = p->solve->n_state, n_in = f->fn->n_in;
    Changes s = {f, b, p, difference(f), ARENA_NEW(c->arena, Val, n_in), NULL, n + f->n_inner};
    for (int i = 0; i < n_in; i++)
        s.arg[i] = i < n ? u[i] : i == n ? t : p->arg[i - n - 1];
    Fn *base = has_k1 && !f->is_written ? s.d.base : s.d.with_value;
    s.first = base == s.d.base ? 0 : s.first;
    s.base = ARENA_NEW(c->arena, Val, base->out.n + 1);
    if (f->is_written) {
        const Val *map = fn_append(c->module, b->fn, base, s.arg, false);
        for (int i = 0; i < base->out.n; i++)
            s.base[i] = map[base->out.at[i]];
        take_handed(&s, base);
        return s;
    }
    Val call = fn_call(c->module, b->fn, base, n_in, s.arg, p->solve->span);
    for (int i = 0; i < base->out.n; i++)
        s.base[i] = fn_result(c->module, b->fn, call, i, fn_type(base, base->out.at[i]));
    return s;
}

Val changes_handed(const Changes *s, int i)
{
    return s->base[s->first + s->p->handed->residual[i]];
}

void changes_of(const Changes *s, const Val *d, Val dt, Val *out, Val *inner, Val *handed)
{
    Check *c = s->field->c;
    Fn *change = s->d.change;
    int n = s->p->solve->n_state;
    Val *arg = ARENA_NEW(c->arena, Val, s->d.n_take + 1);
    for (int i = 0; i < s->d.n_take; i++) {
        Takes t = s->d.takes[i];
        if (t.kind == TAKES_ARG)
            arg[i] = s->arg[t.index];
        else if (t.kind == TAKES_RESIDUAL)
            arg[i] = s->base[s->first + t.index];
        else
            arg[i] = t.index < n ? d[t.index] : dt;
    }
    if (s->field->is_written) {
        const Val *map = fn_append(c->module, s->b->fn, change, arg, false);
        for (int j = 0; j < n; j++)
            out[j] = map[change->out.at[j]];
        for (int k = 0; k < s->field->n_inner; k++)
            inner[k] = fn_op2(c->module, s->b->fn, OP_add, s->base[n + k], map[change->out.at[n + k]]);
        for (int k = 0; handed && k < s->p->handed->n; k++) {
            Val moved = map[change->out.at[s->first + s->p->handed->residual[k]]];
            handed[k] = fn_op2(c->module, s->b->fn, OP_add, changes_handed(s, k), moved);
        }
        return;
    }
    Val call = fn_call(c->module, s->b->fn, change, s->d.n_take, arg, s->p->solve->span);
    for (int j = 0; j < n; j++)
        out[j] = fn_result(c->module, s->b->fn, call, j, fn_type(change, change->out.at[j]));
}
