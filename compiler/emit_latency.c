/* emit_latency.c: the latency form of a solve: one C function from the start to the end of the span, for one sample.
 *
 * Needs: the functions of latency.c.  Gives: loads of the arguments and everything that is the same in all steps, the
 * start, the loop over steps, saved times, results. State and stages are local variables of this one function.
 * Elsewhere: the values themselves (emit_sample.c), the choice of steps (runtime/nde_latency.h). */
#include "emit_sample.h"

#include <string.h>

typedef struct Form {
    Emit *e;
    Arena *a;
    const Solve *s;
    Latency l;
    Text *to, head, body;
    Weights weights;
    Rep *arg, *state; /* p..; u.. and c.. */
} Form;

static int size_of(const Fn *fn, Val v)
{
    return type_size(fn_type(fn, v));
}

/* ---- arguments and state ---- */
/* Argument k of the solve, loaded before the first step. */
static Rep load(Form *f, Type type, const char *name, int k)
{
    int n = type_size(type);
    if (!type.is_batched && n == 1) {
        text_line(&f->head, "const double %s = *(const double *)in[%d].at;", name, k);
        return rep_number(name, str_format(f->a, "(Real)%s", name));
    }
    if (!type.is_batched) {
        text_line(&f->head, "const Real *const %s = in[%d].at;", name, k);
        return rep_named(REP_raw, name);
    }
    if (n > LATENCY_SCALARS) {
        text_line(&f->head, "Vec %s[VECS(%d)];", name, n);
        text_line(&f->head, "l_pack(%s, in[%d].at, 1, %d, 0, TILE);", name, k, n);
        return rep_named(REP_array, name);
    }
    for (int i = 0; i < n; i++)
        text_line(&f->head, "Real %s_%d = l_get(&in[%d], %d);", name, i, k, i);
    return rep_scalars(f->a, n, name);
}

/* A carry, which the start sets. */
static Rep make_room(Form *f, Type type, const char *name)
{
    int n = type_size(type);
    if (n > LATENCY_SCALARS) {
        text_line(&f->head, "Vec %s[VECS(%d)];", name, n);
        return rep_named(REP_array, name);
    }
    for (int i = 0; i < n; i++)
        text_line(&f->head, "Real %s_%d;", name, i);
    return rep_scalars(f->a, n, name);
}

static bool is_used(const Fn *fn, int input)
{
    for (int i = 0; i < fn->out.n; i++)
        if (fn->out.at[i] == (Val)input)
            return true;
    for (int v = fn->n_in; v < fn->ins.n; v++)
        for (int k = 0; k < fn->ins.at[v].n_arg; k++)
            if (fn->ins.at[v].arg[k] == (Val)input)
                return true;
    return false;
}

static void load_all(Form *f)
{
    const Solve *s = f->s;
    int n = s->n_state + s->n_carry;
    f->state = ARENA_NEW(f->a, Rep, n + 1);
    f->arg = ARENA_NEW(f->a, Rep, s->n_arg + 1);
    for (int i = 0; i < s->n_state; i++)
        f->state[i] = load(f, s->state_type[i], str_format(f->a, "u%d", i), i);
    for (int i = 0; i < s->n_carry; i++)
        f->state[s->n_state + i] = make_room(f, fn_type(f->l.step, (Val)(s->n_state + i)), str_format(f->a, "c%d", i));
    for (int i = 0; i < s->n_arg; i++)
        if (is_used(f->l.step, n + 2 + i) || is_used(f->l.start, s->n_state + 2 + i))
            f->arg[i] = load(f, fn_type(f->l.step, (Val)(n + 2 + i)), str_format(f->a, "p%d", i), s->n_state + i);
}

/* ---- functions ---- */
static void give_up(Form *f)
{
    text_line(&f->body, "return false;");
    f->body.depth--;
}

static Sample *begin(Form *f, const Fn *fn, const char *prefix)
{
    return sample_new(f->e, fn, prefix, &f->head, &f->weights, latency_depth(f->e->p->model, fn));
}

/* The two numbers in the middle of the argument list, then p... */
static void give_rest(Form *f, Sample *s, int at, Rep first, Rep second)
{
    sample_input(s, at, first, false);
    sample_input(s, at + 1, second, false);
    for (int i = 0; i < f->s->n_arg && at + 2 + i < s->fn->n_in; i++)
        sample_input(s, at + 2 + i, f->arg[i], true);
}

/* Values from .. of the outputs become variables: all are read before one is set. */
static void assign(Form *f, Sample *s, int from, int n, const Rep *to)
{
    text_open(&f->body, "{");
    for (int i = 0; i < n; i++) {
        Val v = s->fn->out.at[from + i];
        int size = size_of(s->fn, v);
        for (int e = 0; to[i].kind == REP_scalars && e < size; e++)
            text_line(&f->body, "const Real next%d_%d = %s;", i, e, sample_element(s, v, e));
        if (to[i].kind == REP_array)
            (void)sample_array(s, v);
    }
    for (int i = 0; i < n; i++) {
        Val v = s->fn->out.at[from + i];
        int size = size_of(s->fn, v);
        for (int e = 0; to[i].kind == REP_scalars && e < size; e++)
            text_line(&f->body, "%s = next%d_%d;", to[i].element[e], i, e);
        if (to[i].kind == REP_array)
            text_line(&f->body, "l_move(%s, %s, VECS(%d));", to[i].name, sample_array(s, v), size);
    }
    text_close(&f->body, "}");
}

static void emit_start(Form *f)
{
    const Solve *s = f->s;
    Sample *start = begin(f, f->l.start, "a");
    int n_out = f->l.start->out.n;
    for (int i = 0; i < s->n_state; i++)
        sample_input(start, i, f->state[i], false);
    give_rest(f, start, s->n_state, rep_number("at->t0", "(Real)at->t0"),
              rep_number("(at->t1 - at->t0)", "(Real)(at->t1 - at->t0)"));
    text_open(&f->body, "{");
    sample_emit(start, &f->body, 0, n_out);
    assign(f, start, 0, s->n_carry, f->state + s->n_state);
    if (f->l.is_guessed)
        text_line(&f->body, "pace.h = %s;", sample_double(start, f->l.start->out.at[s->n_carry]));
    text_close(&f->body, "}");
    if (!f->l.is_guessed && s->set_fixed < 0) {
        text_line(&f->body, "pace.h = pace.way * %s;",
                  s->set_initial >= 0 ? "at->initial" : "fabs(at->t1 - at->t0) / 100");
    }
    if (s->set_fixed >= 0)
        return;
    text_open(&f->body, "if (!(fabs(pace.h) > 0 && fabs(pace.h) < HUGE_VAL))");
    give_up(f);
}

/* ---- saved times ---- */
/* Entry `saved` of each series from values of s. */
static void put_saved(Form *f, Sample *s, int from)
{
    for (int i = 0; i < f->s->n_state; i++) {
        Val v = s->fn->out.at[from + i];
        int n = size_of(s->fn, v), series = f->s->n_state + i;
        text_open(&f->body, "if (out[%d].at) {", series);
        for (int e = 0; n <= LATENCY_SCALARS && e < n; e++)
            text_line(&f->body, "l_put(&out[%d], saved * %d + %d, %s);", series, n, e, sample_element(s, v, e));
        if (n > LATENCY_SCALARS) {
            const char *from_array = sample_array(s, v);
            text_open(&f->body, "for (int i = 0; i < %d; i++)", n);
            text_line(&f->body, "l_put(&out[%d], saved * %d + i, ELEMENT(%s, i));", series, n, from_array);
            f->body.depth--;
        }
        text_close(&f->body, "}");
    }
}

static void save_start(Form *f)
{
    text_line(&f->body, "int saved = 0;");
    text_open(&f->body, "for (; saved < %d && at->save[saved] == at->t0; saved++) {", f->s->n_save);
    for (int i = 0; i < f->s->n_state; i++) {
        int n = type_size(f->s->state_type[i]), series = f->s->n_state + i;
        text_open(&f->body, "for (int i = 0; out[%d].at && i < %d; i++)", series, n);
        text_line(&f->body, "l_put(&out[%d], saved * %d + i, l_get(&in[%d], i));", series, n, i);
        f->body.depth--;
    }
    text_close(&f->body, "}");
}

static void interpolate(Form *f, Sample *step)
{
    const Solve *s = f->s;
    Sample *dense = begin(f, f->l.dense, "d");
    int n = s->n_state, first_d = n + s->n_carry + 1;
    for (int i = 0; i < n; i++) {
        sample_input(dense, i, f->state[i], false);
        sample_input(dense, n + i, step->rep[f->l.step->out.at[i]], false);
    }
    for (int i = 0; i < s->n_dense; i++)
        sample_input(dense, 2 * n + i, step->rep[f->l.step->out.at[first_d + i]], false);
    text_line(&f->body, "const double theta = (at->save[saved] - t) / h;");
    sample_input(dense, 2 * n + s->n_dense, rep_number("h", "h_r"), false);
    sample_input(dense, 2 * n + s->n_dense + 1, rep_number("theta", "(Real)theta"), false);
    sample_emit(dense, &f->body, 0, n);
    put_saved(f, dense, 0);
}

static void save_in_step(Form *f, Sample *step)
{
    const Solve *s = f->s;
    text_open(&f->body, "while (saved < %d && (pace.t - at->save[saved]) * pace.way >= 0) {", s->n_save);
    if (f->l.needs_dense)
        text_open(&f->body, "if (at->save[saved] == pace.t) {");
    put_saved(f, step, 0);
    if (f->l.needs_dense) {
        text_close(&f->body, "} else {");
        f->body.depth++;
        interpolate(f, step);
        text_close(&f->body, "}");
    }
    text_line(&f->body, "saved++;");
    text_close(&f->body, "}");
}

/* What only dense output needs is computed where a time lies in the step; names that this makes end there. */
static void emit_saves(Form *f, Sample *step)
{
    int n = f->s->n_state + f->s->n_carry;
    Rep *outside = step->rep;
    if (!f->l.needs_dense) {
        save_in_step(f, step);
        return;
    }
    step->rep = ARENA_NEW(f->a, Rep, step->fn->ins.n + 1);
    memcpy(step->rep, outside, sizeof *outside * (size_t)step->fn->ins.n);
    text_open(&f->body, "if (saved < %d && (pace.t - at->save[saved]) * pace.way >= 0) {", f->s->n_save);
    sample_emit(step, &f->body, n + 1, f->s->n_dense);
    save_in_step(f, step);
    text_close(&f->body, "}");
    step->rep = outside;
}

/* ---- steps ---- */
/* Coefficient times step size: its value, or 0 if v is no such product. */
static double multiple_of(const Fn *fn, Val v, Val h)
{
    const Ins *ins = &fn->ins.at[v];
    for (int k = 0; ins->op == OP_mul && k < 2; k++) {
        const Ins *c = &fn->ins.at[ins->arg[k]];
        if (c->op == OP_const && ins->arg[1 - k] == h)
            return c->imm.num;
    }
    return 0;
}

/* Multiples of the step size that one or two numbers are multiplied by are formed in vectors and read from memory: in
 * registers they displace stages. Those of stages 2 to 4 are awaited, and stay products where they are used; so do all
 * if there are so many that the first stage would wait for them. */
static void share_multiples(Form *f, Sample *step, Val h)
{
    enum { NUMBERS = 2, AWAITED = 6, MOST = 32 };
    int numbers = 0, n = 0;
    for (int i = 0; i < f->s->n_state; i++)
        numbers += type_size(f->s->state_type[i]);
    for (int v = 0; v < step->fn->ins.n; v++)
        n += multiple_of(step->fn, (Val)v, h) != 0;
    if (numbers > NUMBERS || n <= AWAITED || n > MOST)
        return;
    const char **item = ARENA_NEW(f->a, const char *, n);
    n = 0;
    for (int v = 0; v < step->fn->ins.n; v++) {
        double c = multiple_of(step->fn, (Val)v, h);
        int i = n - AWAITED;
        n += c != 0;
        if (c == 0 || i < 0)
            continue;
        item[i] = emit_literal(f->e, c, true);
        step->rep[v] =
            rep_number(str_format(f->a, "(double)ELEMENT(of_h, %d)", i), str_format(f->a, "ELEMENT(of_h, %d)", i));
        step->is_done[v] = true;
    }
    n -= AWAITED;
    text_line(&f->head, "static const Real multiple[VECS(%d) * LANES] = {", n);
    text_line(&f->head, "%s", emit_join(f->e, "    ", n, item, "};"));
    text_line(&f->body, "Vec of_h[VECS(%d)];", n);
    text_line(&f->body, "l_multiples(of_h, multiple, VECS(%d), h_r);", n);
}

static void emit_step(Form *f)
{
    const Solve *s = f->s;
    int n = s->n_state + s->n_carry;
    const char *stop =
        s->saves_exactly && s->n_save ? str_format(f->a, "saved < %d ? at->save[saved] : at->t1", s->n_save) : "at->t1";
    Sample *step = begin(f, f->l.step, "s");
    for (int i = 0; i < n; i++)
        sample_input(step, i, f->state[i], false);
    give_rest(f, step, n, rep_number("t", "(Real)t"), rep_number("h", "h_r"));
    text_open(&f->body, "while (pace.t != at->t1) {");
    text_open(&f->body, "if (!l_choose%s(at, &pace, %s))", s->set_fixed < 0 ? "" : "_fixed", stop);
    give_up(f);
    text_line(&f->body, "const double t = pace.t, h = pace.h;");
    text_line(&f->body, "const Real h_r = (Real)h;");
    text_line(&f->body, "(void)t;");
    share_multiples(f, step, (Val)(n + 1));
    sample_emit(step, &f->body, 0, n + (s->set_fixed < 0));
    if (s->set_fixed < 0) {
        const char *scale = "1";
        if (f->l.scale >= 0) {
            sample_emit(step, &f->body, f->l.scale, 1);
            scale = sample_double(step, f->l.step->out.at[f->l.scale]);
        }
        text_open(&f->body, "if (!l_judge(at, &pace, %s, %s)) {", sample_double(step, f->l.step->out.at[n]), scale);
        text_open(&f->body, "if (pace.is_lost)");
        give_up(f);
        text_line(&f->body, "continue;");
        text_close(&f->body, "}");
    } else {
        text_line(&f->body, "pace.t = pace.end;");
    }
    if (s->n_save)
        emit_saves(f, step);
    assign(f, step, 0, n, f->state);
    text_close(&f->body, "}");
}

static void put_end(Form *f, int result, const Rep *u, int n)
{
    text_open(&f->body, "if (out[%d].at) {", result);
    for (int e = 0; u->kind == REP_scalars && e < n; e++)
        text_line(&f->body, "l_put(&out[%d], %d, %s);", result, e, u->element[e]);
    if (u->kind == REP_array) {
        text_open(&f->body, "for (int i = 0; i < %d; i++)", n);
        text_line(&f->body, "l_put(&out[%d], i, ELEMENT(%s, i));", result, u->name);
        f->body.depth--;
    }
    text_close(&f->body, "}");
}

static void put_ends(Form *f)
{
    const Solve *s = f->s;
    for (int i = 0; i < s->n_state; i++)
        put_end(f, i, &f->state[i], type_size(s->state_type[i]));
    for (int i = 0; s->lifted && i < s->n_state; i++)
        if (s->lifted[i] >= 0)
            put_end(f, solve_lifted(s, i), &f->state[s->n_state + s->lifted[i]], type_size(s->user_type[i]));
}

static void emit_weights(Form *f, const char *name)
{
    text_open(f->to, "struct weights_%s {", name);
    for (int i = 0; i < f->weights.at.n; i++)
        text_line(f->to, "Vec w%d[%d][VECS(%d)];", i, f->weights.at.at[i].m, f->weights.at.at[i].n);
    text_close(f->to, "};");
    text_add(f->to, "\n");
}

static double setting(const Form *f, int index, double otherwise)
{
    return index < 0 ? otherwise : f->e->p->model->settings.at[index].value;
}

static int longest_of(const Fn *step)
{
    int longest = 0;
    for (int v = 0; v < step->ins.n; v++) {
        Type t = step->ins.at[v].type;
        if (t.is_batched && type_size(t) > longest)
            longest = type_size(t);
    }
    return longest;
}

LatencyCode emit_latency(Emit *e, const Solve *s, Text *to)
{
    Form f = {.e = e, .a = e->a, .s = s, .l = latency_of(e->p->model, s), .to = to};
    LatencyCode code = {"NULL", "0", 0};
    if (f.l.refusal || e->p->is_double != e->p->model->is_double)
        return code;
    const char *name = str_format(e->a, "latency_%s", emit_solve_name(e, s) + 10);
    code.name = name;
    code.longest = longest_of(f.l.step);
    f.head = text_new(e->a);
    f.body = text_new(e->a);
    f.head.depth = f.body.depth = 1;
    load_all(&f);
    double t0 = setting(&f, s->set_t0, 0), t1 = setting(&f, s->set_t1, 1);
    text_line(&f.body, "Pace pace = l_begin(at, %d, %.17g);", t1 < t0 ? -1 : 1, f.l.count);
    text_open(&f.body, "if (at->t1 %s at->t0)", t1 < t0 ? ">" : "<");
    give_up(&f);
    if (s->n_save) {
        text_open(&f.body, "if (!l_are_ordered(at, %d, pace.way))", s->n_save);
        give_up(&f);
        save_start(&f);
    }
    emit_start(&f);
    emit_step(&f);
    put_ends(&f);
    text_line(&f.body, "l_end(at, &pace);");
    text_line(&f.body, "return true;");
    if (f.weights.at.n) {
        emit_weights(&f, name);
        code.weights = str_format(e->a, "sizeof(struct weights_%s)", name);
    }
    text_line(to, "/* %s for one sample, from the start of the span to its end. */", s->name);
    text_line(to, "static bool %s(const NdeRun *run, const NdeRef *in, const NdeRef *out, NdeLatency *at)", name);
    text_open(to, "{");
    if (f.weights.at.n)
        text_line(to, "struct weights_%s *const weights = at->work;", name);
    text_line(to, "(void)run;");
    to->depth = 0;
    text_add(to, "%s%s", f.head.at, f.body.at);
    to->depth = 1;
    text_close(to, "}");
    text_add(to, "\n");
    return code;
}
