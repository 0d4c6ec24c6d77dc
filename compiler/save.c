/* save.c: saved times that are values of the program: `time 0 .. 1 save when`, with `when` a parameter or made of
 * parameters.
 *
 * A saved time t moves the state u(t) along the interpolant of the step that holds it. With u(t + theta h) = dense, the
 * step sizes being held as they are for every gradient,
 *   dL/dt = g . u'(t),   u'(t + theta h) = (d dense/d theta) / h,
 * g being the cotangent of the saved state; at an end of a step theta is 1, at the start of the span 0. The solve gives
 * u' beside the states, worked out by forward mode of dense, and the program says u + t [u'] for the derivative only,
 * [ ] being held constant. So no reverse of a solve has part in it, and every adjoint has this gradient. In a learned
 * span t is the part (time - start) / length, which a bound moves even where the time is a constant.
 * Needs: the interpolant of a solve.  Gives: its rate, the saved times as an argument, series with the gradient.
 * Elsewhere: the clause (clause.c), parts of a span (span.c), which step holds a time (runtime/moment.c,
 * runtime/solve_sample.c). */
#include "ad.h"
#include "block.h"

bool save_is_shared(const Check *c, const Value *v)
{
    Type t;
    return !value_is_static(v) && value_type(c, v, &t) && t.rank == 1 && !t.is_batched && !v->classes;
}

int save_key(Block *k, Keys *keys)
{
    Check *c = k->c;
    Solve *s = k->solve;
    Value v = k->info->save;
    bool is_shared = save_is_shared(c, &v), is_static = !is_shared && !value_is_of_sample(c, &v);
    const Clock *clock = k->info->clock; /* moves the part of the span at which a time is */
    bool is_moved = clock && (span_depends(c, &clock->start) || span_depends(c, &clock->length));
    s->saves_rates = c->training && s->n_save > 0 && (is_moved || span_depends(c, &v));
    if (is_static)
        return -1;
    if (is_shared && s->is_per_sample)
        v = value_val(k->main, fn_op1(c->module, k->main->fn, OP_bcast, build_val(c, k->main, &v)));
    return build_key(c, keys, &v);
}

Fn *save_rate(Check *c, const Solve *s)
{
    Module *m = c->module;
    const Fn *dense = s->dense;
    Fn *to = fn_new(m, str_format(c->arena, "%s_dense_rate", s->name), s->span);
    Val *in = ARENA_NEW(c->arena, Val, dense->n_in), *out = ARENA_NEW(c->arena, Val, s->n_state);
    int n = solve_written(s); /* nobody asks for integrals and tangents at saved times */
    for (int i = 0; i < dense->n_in; i++)
        in[i] = fn_input(m, to, fn_type(dense, (Val)i), dense->ins.at[i].name);
    Val h = in[dense->n_in - 2], theta = in[dense->n_in - 1], one = fn_const(m, to, 1);
    const Val *map = fn_append(m, to, dense, in, false);
    for (int j = 0; j < n; j++)
        out[j] = ad_push(m, to, theta, map[dense->out.at[j]], one);
    for (int j = 0; j < n; j++)
        fn_out(m, to, fn_op2(m, to, OP_div, out[j], h), str_format(c->arena, "d%s", s->state_name[j]));
    to->note = "how the state inside a step changes with the time";
    return module_add(m, canon(m, to));
}

/* The saved times as a vector; the settings that they are if they are static. */
static Val times(Check *c, const SolveInfo *info)
{
    Builder *b = info->home;
    const Solve *s = info->solve;
    if (s->set_save0 < 0)
        return build_val(c, b, &info->save);
    Val *entry = ARENA_NEW(c->arena, Val, s->n_save);
    for (int i = 0; i < s->n_save; i++) {
        Val number = build_val(c, b, &(Value){.kind = VALUE_setting, .index = s->set_save0 + i});
        Imm imm = {.to = type_real(false, 1, (int[]){1})};
        entry[i] = fn_op(c->module, b->fn, OP_reshape, 1, &number, imm, s->span);
    }
    return fn_op(c->module, b->fn, OP_concat, s->n_save, entry, (Imm){.axis = 0}, s->span);
}

Val save_series(Check *c, const SolveInfo *info, int state, Val series)
{
    Builder *b = info->home;
    Module *m = c->module;
    Type t = fn_type(b->fn, series);
    Val time = times(c, info);
    Val rate = fn_result(m, b->fn, info->ins, solve_saved_rate(info->solve, state), t);
    if (info->clock)
        time = span_part(c, b, info->clock, time);
    for (int axis = 1; axis < t.rank; axis++)
        time = fn_op(m, b->fn, OP_repeat, 1, &time, (Imm){.axis = axis, .to = type_real(true, axis + 1, t.dim)},
                     info->solve->span);
    Val way = fn_op2(m, b->fn, OP_mul, time, build_detached(c, b, rate));
    return fn_op2(m, b->fn, OP_instead, series, fn_op2(m, b->fn, OP_add, series, way));
}
