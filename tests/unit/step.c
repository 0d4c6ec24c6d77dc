/* step.c: one step of each method of the prelude, for a small neural field, against plain loops over its tableau.
 *
 * Elsewhere: that a tableau is what it claims (tableau.c), that steps of it converge (tests/order). */
#include "compile.h"
#include "interpret.h"

#include <check.h>
#include <math.h>
#include <string.h>

/* Two states of different shapes; the field uses time, shared weights, a value of the sample and a schedule. */
static const char model_text[] =
    "precision f64\n"
    "data x : real[3]\ndata c : real[2]\nparam k : real = 0.7\n"
    "fn rate(z : real[3], y : real[2], t : real) -> real[3] {\n"
    "  layer hidden = dense(4, tanh)\n  layer out = dense(3)\n  return out([hidden([z, y, t]), t])\n}\n"
    "solve flow {\n"
    "  dz = rate(z, y, t) * c[1] dt\n"
    "  dy = (k * sin(t + y) - c * z[0]) dt\n"
    "  z(0) = x\n  y(0) = 2 * c\n"
    "  time 0 .. 1 save linspace(0.1, 0.9, 3)\n  tolerance abs 1e-2 rel 3e-2\n"
    "  method %s\n  step %s\n%s"
    "}\n"
    "loss sum(flow.z(1)^2) + sum(flow.y(1)) + rms(flow.z(linspace(0.1, 0.9, 3)))\n";
enum { N_STATE = 2 };
static const char global_terms[] = "  regularize error, global, weight 0.1\n  regularize rms(k[1]) + h, global(max)\n";

static Arena *a;
static const Model *model;
static const Solve *solve;
static const Tableau *method;
static const Fn *field;
static World world;
static double setting[64];

static void set_up(void)
{
    a = arena_new();
}

static void tear_down(void)
{
    rat_free_all();
    arena_free(a);
}

/* ---- methods ---- */
static bool has_embedded(const Node *tableau)
{
    for (int i = 0; i < tableau->n; i++)
        if (tableau->kid[i]->kind == NODE_ROW && str_eq(tableau->kid[i]->text, "bhat"))
            return true;
    return false;
}

/* How much the coefficients enlarge rounding: the largest sum of their absolute values, in the stages and in the
 * interpolant. */
static double largest_stage(void)
{
    double most = 1;
    for (int i = 0; i < method->all_stages; i++) {
        double sum = 0;
        for (int j = 0; j < i; j++)
            sum += fabs(method->a[i][j]);
        most = fmax(most, sum);
    }
    return most;
}

static double amplification(void)
{
    double sum = 0;
    for (int i = 0; i < method->all_stages; i++)
        for (int p = 0; p < method->degree; p++)
            sum += fabs(method->interpolant[i][p]);
    return fmax(largest_stage(), sum);
}

static void compile(const char *text)
{
    model = model_of(a, text, false);
    ck_assert_int_le(model->settings.n, 64);
    for (int i = 0; i < model->settings.n; i++)
        setting[i] = model->settings.at[i].value;
    world = (World){.n_batch = 3, .setting = setting, .step = 1, .steps = 10};
    solve = model->module->solves.at[0];
    method = solve->method;
    field = fn_named(model->module, "flow_field");
    ck_assert_int_eq(solve->n_state, N_STATE);
}

/* Method k of the prelude: adaptive if it can be. */
static void compile_method(int k)
{
    const Node *tableau = tableau_node(a, k);
    bool can = has_embedded(tableau);
    compile(str_format(a, model_text, tableau->text, can ? "adaptive" : "fixed 0.1", can ? global_terms : ""));
    ck_assert_str_eq(method->name, tableau->text);
}

/* One method of each shape: what does not depend on coefficients is tested on these. */
static const char *const shape[] = {"euler", "heun", "rk4", "fehlberg45", "tsit5", "dop853", "alf", "reversible_heun"};
enum { N_SHAPE = sizeof shape / sizeof *shape };

static void compile_shape(int i)
{
    int k = 0;
    while (!str_eq(tableau_node(a, k)->text, shape[i]))
        k++;
    compile_method(k);
}

/* ---- arithmetic over states by plain loops ---- */
typedef struct States {
    Array of[N_STATE];
} States;

static int size_of(int j)
{
    return array_size(&world, solve->state_type[j]);
}

/* u + h sum_j w[j] k[j] */
static States moved(const Array *u, double h, const double *w, int n, const States *k)
{
    States out;
    for (int j = 0; j < N_STATE; j++) {
        out.of[j] = array_new(a, &world, solve->state_type[j]);
        for (int e = 0; e < size_of(j); e++) {
            double sum = 0;
            for (int i = 0; i < n; i++)
                sum += w[i] * k[i].of[j].at[e];
            out.of[j].at[e] = u[j].at[e] + h * sum;
        }
    }
    return out;
}

/* Of component e of state j: an element in each sample. */
static double tolerance(const Tolerance *t, int j, int e)
{
    int at = e % type_size(solve->user_type[j]);
    for (int i = 0; i < j; i++)
        at += type_size(solve->user_type[i]);
    return setting[t->set + (t->n > 1 ? at : 0)];
}

/* rms over all states, elements and samples of x / (atol + rtol |scale|) */
static double norm(const States *x, const States *scale)
{
    double sum = 0, n = 0;
    for (int j = 0; j < N_STATE; j++)
        for (int e = 0; e < size_of(j); e++, n++) {
            double d = x->of[j].at[e];
            if (scale)
                d /= tolerance(&solve->atol, j, e) + tolerance(&solve->rtol, j, e) * fabs(scale->of[j].at[e]);
            sum += d * d;
        }
    return sqrt(sum / n);
}

/* (1 - share) u + share w, for the second state w that a method may carry. */
static States mixed(const Array *u, const States *second, double share)
{
    States out;
    for (int j = 0; j < N_STATE; j++) {
        out.of[j] = array_new(a, &world, solve->state_type[j]);
        for (int e = 0; e < size_of(j); e++)
            out.of[j].at[e] = (1 - share) * u[j].at[e] + (second ? share * second->of[j].at[e] : 0);
    }
    return out;
}

static States field_at(const Array *u, double t, const Array *arg)
{
    Array *in = ARENA_NEW(a, Array, field->n_in);
    States out;
    memcpy(in, u, sizeof(Array) * N_STATE);
    in[N_STATE] = array_new(a, &world, type_scalar(false));
    in[N_STATE].at[0] = t;
    memcpy(in + N_STATE + 1, arg, sizeof(Array) * (size_t)(field->n_in - N_STATE - 1));
    memcpy(out.of, interpret(a, field, &world, in), sizeof out.of);
    return out;
}

enum { MOST = 32 }; /* stages */

typedef struct Taken { /* a step by hand */
    States u1, k1, second, err, err2, larger, k[MOST], stage[MOST];
    double norm;
} Taken;

/* Hairer, Norsett & Wanner (1993), II.10: two estimates as one. */
static double both(double e, double e2)
{
    return e * e / sqrt(e * e + 0.01 * e2 * e2);
}

/* carry: what the step is handed, or NULL: it begins anew. */
static Taken take_step(const Array *u, const States *carry, double t, double h, const Array *arg)
{
    const States *k1 = method->slope ? carry : NULL, *second = method->share && carry ? carry + (k1 != NULL) : NULL;
    static const double zero[MOST];
    Taken s;
    ck_assert_int_le(method->all_stages, MOST);
    for (int i = 0; i < method->all_stages; i++) {
        s.stage[i] = mixed(u, second, second && i < method->stages ? method->share[i] : 0);
        s.stage[i] = moved(s.stage[i].of, h, method->a[i], i, s.k);
        s.k[i] = i == 0 && k1 ? *k1 : field_at(s.stage[i].of, t + method->c[i] * h, arg);
    }
    s.u1 = moved(u, h, method->b, method->stages, s.k);
    s.k1 = moved(u, 1, method->slope ? method->slope : zero, method->stages, s.k);
    s.second = mixed(u, second, second ? method->share[method->stages] : 0);
    s.second = moved(s.second.of, h, method->state ? method->state : zero, method->stages, s.k);
    s.larger = moved(u, 0, zero, 0, s.k);
    s.err = moved(u, h, method->e ? method->e : zero, method->stages, s.k);
    s.err2 = moved(u, h, method->e2 ? method->e2 : zero, method->stages, s.k);
    for (int j = 0; j < N_STATE; j++)
        for (int e = 0; e < size_of(j); e++) {
            s.err.of[j].at[e] -= u[j].at[e];
            s.k1.of[j].at[e] -= u[j].at[e];
            s.err2.of[j].at[e] -= u[j].at[e];
            s.larger.of[j].at[e] = fmax(fabs(u[j].at[e]), fabs(s.u1.of[j].at[e]));
        }
    s.norm = method->e ? norm(&s.err, &s.larger) : 0;
    if (method->e2)
        s.norm = both(s.norm, norm(&s.err2, &s.larger));
    return s;
}

/* ---- the step ---- */
static int at_t(void)
{
    return N_STATE + solve->n_carry;
}

static const double h0 = 0.3, t0 = 0.2;

/* Inputs of a step, random; what is carried that of a start if is_true: the slope there, the state itself. */
static Array *step_inputs(const Fn *step, bool is_true, double h, uint64_t seed)
{
    Random r = {.state = seed};
    Array *in = random_inputs(a, &world, &r, step);
    in[at_t()].at[0] = t0;
    in[at_t() + 1].at[0] = h;
    States k1 = field_at(in, t0, in + at_t() + 2);
    for (int j = 0; is_true && j < solve->n_carry; j++)
        in[N_STATE + j] = j < N_STATE ? k1.of[j] : in[j - N_STATE];
    return in;
}

/* Inputs at which |u0| and |u1| differ in each entry: max(|u0|, |u1|) of the error norm has no derivative where they
 * agree. k1 is random, not the field's: with the true one the error is so small that its norm is nearly a kink. */
static Array *smooth_inputs(const Fn *step, double h)
{
    for (uint64_t seed = 1;; seed++) {
        Array *in = step_inputs(step, false, h, seed);
        const Array *u1 = interpret(a, step, &world, in);
        double least = 1;
        for (int j = 0; j < N_STATE; j++)
            for (int e = 0; e < size_of(j); e++)
                least = fmin(least, fabs(fabs(in[j].at[e]) - fabs(u1[j].at[e])));
        if (least > 0.005)
            return in;
        ck_assert_uint_lt(seed, 1000);
    }
}

static States states_at(const Array *x)
{
    States s;
    memcpy(s.of, x, sizeof s.of);
    return s;
}

static void check_states(const char *what, const Array *got, const States *wanted)
{
    double error = outputs_error(&world, N_STATE, got, wanted->of);
    ck_assert_msg(error < 1e-13 * fmax(1, amplification() / 30), "%s: %s differs by %g", method->name, what, error);
}

/* Does the interpolant read stage i? The cubic reads f at both ends. */
static bool is_between(int i)
{
    bool is_read = !method->degree && (i == 0 || (method->fsal && i == method->all_stages - 1));
    for (int p = 0; p < method->degree; p++)
        is_read |= method->interpolant[i][p] != 0;
    return is_read;
}

START_TEST(a_step_is_what_the_tableau_says)
{
    compile_method(_i);
    for (int way = 0; way < 4; way++) {
        double h = way & 1 ? -h0 : h0;
        const Fn *step = way & 2 ? solve->step_keep : solve->step;
        const Array *in = step_inputs(step, false, h, 17), *out = interpret(a, step, &world, in);
        States *carry = ARENA_NEW(a, States, 2); /* whatever it is handed */
        for (int i = 0; i < solve->n_carry / N_STATE; i++)
            carry[i] = states_at(in + N_STATE + i * N_STATE);
        Taken s = take_step(in, carry, t0, h, in + at_t() + 2);
        check_states("the new state", out, &s.u1);
        if (method->slope)
            check_states("the carried slope", out + N_STATE, &s.k1);
        if (method->share)
            check_states("the carried state", out + 2 * N_STATE, &s.second);
        double err = *out[N_STATE + solve->n_carry].at;
        ck_assert_msg(fabs(err - s.norm) < 1e-12 * fmax(1, s.norm), "%s: the error is %g, not %g", method->name, err,
                      s.norm);
        const Array *q = out + N_STATE + solve->n_carry + 1;
        if (method->e) {
            ck_assert_double_eq_tol(*q[0].at, h0 * s.norm, 1e-12 * fmax(1, s.norm));
            ck_assert_double_eq_tol(*q[1].at, norm(&s.k[0], NULL) + h0, 1e-13);
        }
        for (int i = 0, n = 0; way & 2 && i < method->all_stages; i++)
            if (is_between(i))
                check_states("a stage derivative", q + solve->n_quantity + n++ * N_STATE, &s.k[i]);
    }
}
END_TEST

/* Hairer & Wanner (1996), IV.2, eq. 2.14: rms(k_s - k_(s-1)) / rms(g_s - g_(s-1)) over the extent of the stability
 * region, for methods whose last two stages are at one time. */
START_TEST(stiffness_is_the_ratio_of_the_last_two_stages)
{
    const char *terms = "  regularize stiffness, global\n  regularize error2, global\n";
    compile_method(_i);
    int n = method->stages;
    if (n < 2 || method->c[n - 1] != method->c[n - 2] || !method->e)
        return;
    compile(str_format(a, model_text, method->name, "adaptive", terms));
    const Array *in = step_inputs(solve->step, true, h0, 17), *q = interpret(a, solve->step, &world, in) + at_t() + 1;
    Taken s = take_step(in, NULL, t0, h0, in + at_t() + 2);
    States dk = moved(s.k[n - 1].of, -1, (double[]){1}, 1, &s.k[n - 2]);
    States dg = moved(s.stage[n - 1].of, -1, (double[]){1}, 1, &s.stage[n - 2]);
    double wanted = norm(&dk, NULL) / norm(&dg, NULL) / method->stability;
    ck_assert_double_eq_tol(*q[0].at, wanted, 1e-11 * wanted * fmax(1, largest_stage() * largest_stage() / 10));
    ck_assert_double_eq_tol(*q[1].at, s.norm * s.norm,
                            1e-11 * s.norm * fmax(1, largest_stage() * largest_stage() / 10));
}
END_TEST

START_TEST(carries_are_the_first_stage)
{
    compile_shape(_i);
    ck_assert_int_eq(solve->n_carry, N_STATE * ((method->slope != NULL) + (method->share != NULL)));
    ck_assert_int_eq(solve->init != NULL, solve->n_carry > 0);
    if (!solve->init)
        return;
    Random r = {.state = 18};
    const Array *in = random_inputs(a, &world, &r, solve->init);
    States k1 = field_at(in, *in[N_STATE].at, in + N_STATE + 1);
    const Array *out = interpret(a, solve->init, &world, in);
    check_states("the carried slope", out, &k1);
    if (!method->share)
        return;
    States u = states_at(in);
    check_states("the carried state", out + N_STATE, &u);
}
END_TEST

/* Whatever the carried state is: but a carried slope that is no stage is one of it. */
START_TEST(a_step_that_is_undone_ends_where_it_began)
{
    compile_method(_i);
    ck_assert_int_eq(solve->inverse != NULL, method->is_reversible);
    for (int way = 0; way < 2 && solve->inverse; way++) {
        Array *in = step_inputs(solve->step, false, way ? -h0 : h0, 23);
        if (method->share) {
            States k1 = field_at(in + 2 * N_STATE, t0, in + at_t() + 2);
            memcpy(in + N_STATE, k1.of, sizeof k1.of);
        }
        Array *back = ARENA_NEW(a, Array, solve->step->n_in);
        memcpy(back, in, sizeof(Array) * (size_t)solve->step->n_in);
        memcpy(back, interpret(a, solve->step, &world, in), sizeof(Array) * (size_t)at_t());
        double error = outputs_error(&world, at_t(), interpret(a, solve->inverse, &world, back), in);
        ck_assert_msg(error < 1e-14, "%s: %g from where it began", method->name, error);
    }
}
END_TEST

START_TEST(the_reverse_of_a_step_agrees_with_differences)
{
    Random r = {.state = 19};
    compile_shape(_i);
    double error = gradient_error(model->module, solve->step, &world, &r, smooth_inputs(solve->step, h0), NULL);
    ck_assert_msg(error < 1e-7, "%s: %g", method->name, error);
    error = gradient_error(model->module, solve->step_keep, &world, &r, smooth_inputs(solve->step_keep, -h0), NULL);
    ck_assert_msg(error < 1e-7, "%s with its stages: %g", method->name, error);
}
END_TEST

/* ---- inside a step ---- */
static Array *dense_inputs(double theta)
{
    Random r = {.state = 20};
    Array *in = random_inputs(a, &world, &r, solve->dense);
    in[solve->dense->n_in - 2].at[0] = h0;
    in[solve->dense->n_in - 1].at[0] = theta;
    return in;
}

/* Hairer, Norsett & Wanner (1993), II.6, by the Hermite basis: u0, u1, h f0, h f1 times
 * 2q^3 - 3q^2 + 1, -2q^3 + 3q^2, q^3 - 2q^2 + q, q^3 - q^2. */
static States hermite(const Array *u0, const Array *u1, const Array *f0, const Array *f1, double q)
{
    double q2 = q * q, q3 = q2 * q;
    const double w[] = {2 * q3 - 3 * q2 + 1, 3 * q2 - 2 * q3, q3 - 2 * q2 + q, q3 - q2};
    States out;
    for (int j = 0; j < N_STATE; j++) {
        out.of[j] = array_new(a, &world, solve->state_type[j]);
        for (int e = 0; e < size_of(j); e++)
            out.of[j].at[e] = w[0] * u0[j].at[e] + w[1] * u1[j].at[e] + h0 * (w[2] * f0[j].at[e] + w[3] * f1[j].at[e]);
    }
    return out;
}

static States between(const Array *in, double theta)
{
    const Array *d = in + 2 * N_STATE;
    States k[MOST];
    double w[MOST];
    if (!method->degree)
        return hermite(in, in + N_STATE, d, d + solve->n_dense - N_STATE, theta);
    int n = 0;
    for (int i = 0; i < method->all_stages; i++) {
        if (!is_between(i))
            continue;
        k[n] = states_at(d + n * N_STATE);
        w[n] = 0;
        for (int p = 0; p < method->degree; p++)
            w[n] += method->interpolant[i][p] * pow(theta, p + 1);
        n++;
    }
    ck_assert_int_eq(n * N_STATE, solve->n_dense);
    return moved(in, h0, w, n, k);
}

static void check_between(void)
{
    for (double theta = 0; theta <= 1; theta += 0.25) {
        const Array *in = dense_inputs(theta);
        States wanted = between(in, theta);
        check_states("the state inside", interpret(a, solve->dense, &world, in), &wanted);
    }
}

/* From a true step: the interpolant meets both ends. */
static void check_ends(void)
{
    const Array *in = step_inputs(solve->step_keep, true, h0, 17), *out = interpret(a, solve->step_keep, &world, in);
    Array *d = dense_inputs(0);
    States u0 = states_at(in), u1 = states_at(out);
    memcpy(d, in, sizeof(Array) * N_STATE);
    memcpy(d + N_STATE, out, sizeof(Array) * N_STATE);
    memcpy(d + 2 * N_STATE, out + N_STATE + solve->n_carry + 1 + solve->n_quantity,
           sizeof(Array) * (size_t)solve->n_dense);
    check_states("the start", interpret(a, solve->dense, &world, d), &u0);
    d[solve->dense->n_in - 1].at[0] = 1;
    check_states("the end", interpret(a, solve->dense, &world, d), &u1);
}

START_TEST(interpolants_are_what_the_tableau_says)
{
    Random r = {.state = 21};
    compile_method(_i);
    check_between();
    check_ends();
    double error = gradient_error(model->module, solve->dense, &world, &r, dense_inputs(0.4), NULL);
    ck_assert_msg(error < 1e-8, "the reverse of the interpolant of %s: %g", method->name, error);
}
END_TEST

/* A method of the file without `interpolant`: the cubic Hermite interpolant, with f at the end if it is not a stage. */
static const char own_tableau[] = "tableau own {\n  order 2 embedded 1\n  c = 0, 1\n  a = [1]\n  b = 1/2, 1/2\n"
                                  "  bhat = 1, 0\n}\n";

START_TEST(methods_without_an_interpolant_take_the_cubic_one)
{
    Random r = {.state = 22};
    compile(str_format(a, "%s%s", own_tableau, str_format(a, model_text, "own", "adaptive", "")));
    ck_assert_int_eq(solve->n_dense, N_STATE * 2);
    const Array *in = step_inputs(solve->step_keep, true, h0, 17), *out = interpret(a, solve->step_keep, &world, in);
    States end = field_at(out, t0 + h0, in + at_t() + 2);
    check_states("f at the end", out + N_STATE + 1 + N_STATE, &end);
    const Array *d = dense_inputs(0.3);
    States wanted = between(d, 0.3);
    check_states("the state inside", interpret(a, solve->dense, &world, d), &wanted);
    ck_assert_double_lt(gradient_error(model->module, solve->dense, &world, &r, dense_inputs(0.4), NULL), 1e-8);
}
END_TEST

/* ---- the automatic initial step ---- */
/* h0 = 1e-6 if d0 < 1e-5 or d1 < 1e-5, else 0.01 d0 / d1; at most the span. d2 = rms((f1 - f0) / sk) / h0,
 * m = max(d1, d2); h1 = max(1e-6, 1e-3 h0) if m <= 1e-15, else 10^(-(2 + log10 m) / order);
 * min(100 h0, h1, span), and 100 h0 if f1 is exactly f0. */
static double guess(const Array *u, double t, double span, const Array *arg)
{
    double length = fabs(span), direction = span < 0 ? -1 : 1;
    States scale = states_at(u), f0 = field_at(u, t, arg), change;
    double d0 = norm(&scale, &scale), d1 = norm(&f0, &scale);
    double h = d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1;
    h = fmin(h, length);
    States probe = moved(u, direction * h, (double[]){1}, 1, &f0);
    States f1 = field_at(probe.of, t + direction * h, arg);
    bool is_same = true;
    for (int j = 0; j < N_STATE; j++) {
        change.of[j] = array_new(a, &world, solve->state_type[j]);
        for (int e = 0; e < size_of(j); e++) {
            change.of[j].at[e] = f1.of[j].at[e] - f0.of[j].at[e];
            is_same &= change.of[j].at[e] == 0;
        }
    }
    double m = fmax(d1, norm(&change, &scale) / h);
    double h1 = m <= 1e-15 ? fmax(1e-6, 1e-3 * h) : pow(10, -(2 + log10(m)) / method->order);
    return direction * (is_same ? fmin(100 * h, length) : fmin(fmin(100 * h, h1), length));
}

static void check_guess(double scale_u, double scale_arg, double span)
{
    Random r = {.state = 23};
    Array *in = random_inputs(a, &world, &r, solve->guess);
    for (int i = 0; i < solve->guess->n_in; i++)
        for (int e = 0; e < array_size(&world, in[i].type); e++)
            in[i].at[e] *= i < N_STATE ? scale_u : i > at_t() ? scale_arg : 1;
    const Array *arg = in + at_t() + 2;
    States f0 = field_at(in, t0, arg);
    for (int j = 0; method->slope && j < N_STATE; j++) /* k1 is handed over */
        in[N_STATE + j] = f0.of[j];
    in[at_t()].at[0] = t0;
    in[at_t() + 1].at[0] = span;
    double got = *interpret(a, solve->guess, &world, in)[0].at, wanted = guess(in, t0, span, arg);
    ck_assert_msg(fabs(got - wanted) <= 1e-9 * fabs(wanted), "%s, states x %g, weights x %g, span %g: %.12g, not %.12g",
                  method->name, scale_u, scale_arg, span, got, wanted);
}

START_TEST(the_initial_step_is_that_of_the_formula)
{
    compile_shape(_i);
    ck_assert((solve->guess != NULL) == (method->e != NULL));
    if (!solve->guess)
        return;
    const double span[] = {1, -1, 1e-3, -1e-9};
    for (int i = 0; i < 4; i++) {
        check_guess(1, 1, span[i]);
        check_guess(1, 30, span[i]);
        check_guess(1e-9, 1, span[i]); /* d0 is small */
        check_guess(1, 1e-9, span[i]); /* d1 is small */
        check_guess(1, 0, span[i]);    /* the field is 0 */
        check_guess(0, 0, span[i]);
    }
}
END_TEST

/* Arguments that are made of settings get their values: vectors of tolerances. How many there are. */
static int fill_tolerances(Array *in)
{
    const Fn *f = model->train;
    int v = 0, n = 0;
    while (f->ins.at[v].op != OP_solve || f->ins.at[v].imm.solve != solve)
        v++;
    for (int k = 0; k < solve->n_arg; k++) {
        const Ins *joined = &f->ins.at[f->ins.at[v].arg[N_STATE + k]];
        if (joined->op != OP_concat)
            continue;
        n++;
        for (int e = 0; e < joined->n_arg; e++)
            in[at_t() + 2 + k].at[e] = setting[f->ins.at[f->ins.at[joined->arg[e]].arg[0]].imm.index];
    }
    return n;
}

/* The error norm and the initial step with tolerances of one component each, by loops over all of them; and with equal
 * ones to the bit what one number gives. */
START_TEST(tolerances_are_those_of_the_components)
{
    const char *vector = "tolerance abs [1e-4, 1e-3, 0.1, 1, 2e-2] rel [3e-3, 1e-2, 0.2, 0.5, 1e-3]";
    const char *equal = "tolerance abs 1e-2 * ones(5) rel [3e-2, 3e-2, 3e-2, 3e-2, 3e-2]",
               *one = "tolerance abs 1e-2 rel 3e-2";
    double err[3], h[3];
    Array *first = NULL;
    int n_first = 0;
    const char *text = str_format(a, model_text, "bosh3", "adaptive", ""), *at = strstr(text, one);
    for (int i = 0; i < 3; i++) {
        const char *use = i == 0 ? one : i == 1 ? equal : vector;
        compile(str_format(a, "%.*s%s%s", (int)(at - text), text, use, at + strlen(one)));
        Array *in = step_inputs(solve->step, true, h0, 17);
        if (i == 0) /* the arguments of the field are the first ones, and the same for all */
            first = in, n_first = solve->step->n_in;
        memcpy(in, first, sizeof(Array) * (size_t)n_first);
        ck_assert_int_eq(fill_tolerances(in), i == 0 ? 0 : 2 * N_STATE);
        const Array *out = interpret(a, solve->step, &world, in);
        Taken s = take_step(in, NULL, t0, h0, in + at_t() + 2);
        err[i] = *out[N_STATE + solve->n_carry].at;
        ck_assert_double_eq_tol(err[i], s.norm, 1e-12 * s.norm);
        h[i] = *interpret(a, solve->guess, &world, in)[0].at;
        ck_assert_double_eq_tol(h[i], guess(in, t0, h0, in + at_t() + 2), 1e-9 * h[i]);
    }
    ck_assert_double_eq(err[0], err[1]);
    ck_assert_double_eq(h[0], h[1]);
    ck_assert_double_gt(fabs(err[0] / err[2] - 1), 0.1);
}
END_TEST

START_TEST(fixed_steps_have_no_initial_step)
{
    compile(str_format(a, model_text, shape[_i], "fixed 0.1", ""));
    ck_assert_ptr_null(solve->guess);
}
END_TEST

/* ---- the reverse of a solve: its functions have the inputs that the runtime hands them ---- */
START_TEST(the_reverse_of_a_solve_fits_its_functions)
{
    compile_shape(_i);
    ck_assert_int_eq(model->module->vjps.n, 1);
    const SolveVjp *vjp = model->module->vjps.at[0];
    int n_want = 0, n_carry = 0, n_seed = 0;
    for (int i = 0; i < solve->n_arg; i++)
        n_want += vjp->want[N_STATE + i];
    for (int c = 0; c < solve->n_carry; c++)
        n_carry += vjp->seed_carry[c];
    for (int q = 0; q < solve->n_quantity; q++)
        n_seed += vjp->seed[solve_quantity(solve, q)];
    ck_assert(vjp->seed_dense); /* the loss reads the saved states */
    ck_assert_int_eq(n_seed, solve->n_quantity);
    ck_assert_int_eq(n_carry, solve->n_carry);
    ck_assert_int_gt(n_want, 0);
    ck_assert_int_eq(vjp->step_vjp->n_in,
                     solve->step_keep->n_in + N_STATE + n_carry + n_seed + solve->n_dense + vjp->n_residual);
    ck_assert_int_eq(vjp->step_vjp->out.n, N_STATE + n_carry + n_want);
    ck_assert_int_eq(vjp->dense_vjp->n_in, solve->dense->n_in + N_STATE);
    ck_assert_int_eq(vjp->dense_vjp->out.n, 2 * N_STATE + solve->n_dense);
    ck_assert((vjp->init_vjp != NULL) == (n_carry > 0));
    if (vjp->init_vjp) {
        ck_assert_int_eq(vjp->init_vjp->n_in, solve->init->n_in + n_carry);
        ck_assert_int_eq(vjp->init_vjp->out.n, N_STATE + n_want);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("step");
    int n = n_tableau();
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, a_step_is_what_the_tableau_says, 0, n);
    tcase_add_loop_test(tc, stiffness_is_the_ratio_of_the_last_two_stages, 0, n);
    tcase_add_loop_test(tc, carries_are_the_first_stage, 0, N_SHAPE);
    tcase_add_test(tc, tolerances_are_those_of_the_components);
    tcase_add_loop_test(tc, a_step_that_is_undone_ends_where_it_began, 0, N_SHAPE);
    tcase_add_loop_test(tc, the_reverse_of_a_step_agrees_with_differences, 0, N_SHAPE);
    tcase_add_loop_test(tc, interpolants_are_what_the_tableau_says, 0, n);
    tcase_add_test(tc, methods_without_an_interpolant_take_the_cubic_one);
    tcase_add_loop_test(tc, the_initial_step_is_that_of_the_formula, 0, N_SHAPE);
    tcase_add_loop_test(tc, fixed_steps_have_no_initial_step, 0, N_SHAPE);
    tcase_add_loop_test(tc, the_reverse_of_a_solve_fits_its_functions, 0, N_SHAPE);
    Suite *s = suite_create("step");
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
