/* difference.c: f(a + d) - f(a) from d: right for large changes, and without cancellation for tiny ones.
 *
 * Walks op.def: every row that has an operand gets a change, whether difference.def has a rule for it or not. */
#include "ad.h"

#include "compile.h"
#include "interpret.h"

#include <check.h>
#include <math.h>
#include <string.h>

static Arena *a;
static Module *m;
static World world = {.n_batch = 3, .step = 1, .steps = 2};

static void set_up(void)
{
    a = arena_new();
    m = module_new(a);
}

static void tear_down(void)
{
    rat_free_all();
    arena_free(a);
}

static bool has_rule(Op op)
{
    static const Op with[] = {
#define DIFFERENCE(id, text) OP_##id,
#include "../../compiler/difference.def"
#undef DIFFERENCE
    };
    for (size_t i = 0; i < sizeof with / sizeof *with; i++)
        if (with[i] == op)
            return true;
    return false;
}

/* y = op(operands), per sample; false for rows that take no numbers of one shape. */
static Fn *fn_of(Op op)
{
    const OpInfo *info = &op_info[op];
    if (info->op_class != CLASS_map || info->lo >= info->hi)
        return NULL;
    Fn *fn = fn_new(m, info->name, (Span){0});
    Type t = type_real(true, 1, (int[]){4});
    Val arg[3];
    for (int k = 0; k < info->n_arg; k++)
        arg[k] = fn_input(m, fn, t, NULL);
    fn_out(m, fn, fn_op(m, fn, op, info->n_arg, arg, (Imm){0}, (Span){0}), NULL);
    return fn;
}

/* The change of fn's outputs for changes d of its inputs. */
static Array *change(const Fn *fn, const Array *in, const Array *d, const bool *changed)
{
    Difference diff = difference_of(m, fn, changed, false);
    Array *base = interpret(a, diff.with_value, &world, in);
    Array *arg = ARENA_NEW(a, Array, diff.n_take + 1);
    for (int i = 0; i < diff.n_take; i++) {
        Takes t = diff.takes[i];
        arg[i] = t.kind == TAKES_ARG ? in[t.index] : t.kind == TAKES_SEED ? d[t.index] : base[fn->out.n + t.index];
    }
    return interpret(a, diff.change, &world, arg);
}

static Array *moved(int n, const Array *x, const Array *d, double factor)
{
    Array *out = ARENA_NEW(a, Array, n);
    for (int k = 0; k < n; k++) {
        out[k] = array_new(a, &world, x[k].type);
        for (int i = 0; i < array_size(&world, x[k].type); i++)
            out[k].at[i] = x[k].at[i] + factor * d[k].at[i];
    }
    return out;
}

static const bool all[] = {true, true, true, true, true, true, true, true};

/* The largest error of a change of size `size` over the largest change. */
static double large_error(const Fn *fn, const Array *in, double size)
{
    Random r = {7};
    Array *d = random_inputs(a, &world, &r, fn), *zero = moved(fn->n_in, d, d, -1);
    d = moved(fn->n_in, zero, d, size);
    Array *y0 = interpret(a, fn, &world, in), *y1 = interpret(a, fn, &world, moved(fn->n_in, in, d, 1));
    Array *dy = change(fn, in, d, all);
    double error = 0;
    for (int j = 0; j < fn->out.n; j++)
        for (int i = 0; i < array_size(&world, y0[j].type); i++)
            error = fmax(error, fabs(dy[j].at[i] - (y1[j].at[i] - y0[j].at[i])));
    return error;
}

START_TEST(every_change_is_the_difference_of_two_values)
{
    Fn *fn = fn_of((Op)_i);
    if (!fn)
        return;
    Random r = {3};
    Type type[3];
    for (int k = 0; k < fn->n_in; k++)
        type[k] = fn_type(fn, (Val)k);
    Array *in = random_arrays(a, &world, &r, fn->n_in, type, op_info[_i].lo + 0.35, op_info[_i].hi);
    double sizes[] = {0.3, 0.01};
    for (int s = 0; s < 2; s++)
        ck_assert_msg(large_error(fn, in, sizes[s]) < 1e-12, "%s: a change of %g is wrong by %g", op_info[_i].name,
                      sizes[s], large_error(fn, in, sizes[s]));
}
END_TEST

/* d = 1e-9: the rule must give f' d to 1e-7 of it, where the difference of two doubles is right to 1e-7 at best and in
 * float32 not at all; d = 1e-13 shows that it is no such difference. */
START_TEST(a_rule_does_not_cancel)
{
    Fn *fn = has_rule((Op)_i) ? fn_of((Op)_i) : NULL;
    if (!fn)
        return;
    Random r = {5};
    Type type[3];
    bool seed[] = {true};
    for (int k = 0; k < fn->n_in; k++)
        type[k] = fn_type(fn, (Val)k);
    Array *in = random_arrays(a, &world, &r, fn->n_in, type, op_info[_i].lo + 0.2, op_info[_i].hi);
    Array *d = random_inputs(a, &world, &r, fn), *zero = moved(fn->n_in, d, d, -1);
    d = moved(fn->n_in, zero, d, 1e-13);
    Array *dy = change(fn, in, d, all);
    Array *arg = ARENA_NEW(a, Array, fn->n_in + 1);
    memcpy(arg, in, sizeof(Array) * (size_t)fn->n_in);
    arg[fn->n_in] = array_new(a, &world, fn_type(fn, fn->out.at[0]));
    for (int i = 0; i < array_size(&world, arg[fn->n_in].type); i++)
        arg[fn->n_in].at[i] = 1;
    Array *g = interpret(a, ad_vjp(m, fn, "gradient", all, seed, false), &world, arg);
    for (int i = 0; i < array_size(&world, dy[0].type); i++) {
        double want = 0, size = 0;
        for (int k = 0; k < fn->n_in; k++) {
            want += g[k].at[i] * d[k].at[i];
            size += fabs(g[k].at[i] * d[k].at[i]);
        }
        ck_assert_msg(fabs(dy[0].at[i] - want) <= 1e-7 * size + 1e-30, "%s: %g for %g", op_info[_i].name, dy[0].at[i], want);
    }
}
END_TEST

START_TEST(random_functions_change_as_their_values_do)
{
    Random r = {(uint64_t)_i + 100};
    Array *in;
    Fn *fn = random_fn(m, &world, &r, 12, true, &in);
    double error = large_error(fn, in, 1e-3);
    ck_assert_msg(error < 1e-9, "function %d: wrong by %g", _i, error);
}
END_TEST

/* The carries of a step that starts at u, t. */
static Array *start_of(const Solve *s, const World *w, Array u, Array t, const Array *arg)
{
    Array *in = ARENA_NEW(a, Array, s->init->n_in);
    in[0] = u;
    in[1] = t;
    memcpy(in + 2, arg, sizeof(Array) * (size_t)(s->init->n_in - 2));
    return interpret(a, s->init, w, in);
}

/* A step of a model in float32: with differences and without, in double; and what it hands to the next one. */
START_TEST(a_step_from_differences_equals_the_plain_one)
{
    static const char text[] =
        "data x : real[3]\nfn f(z : real[3], t : real) -> real[3] {\n  layer hidden = dense(5, tanh)\n  layer out = dense(3)\n"
        "  return out(hidden([z, sin(t)])) + 0.1 * z^2\n}\n"
        "solve flow {\n  dz = f(z, t) dt\n  z(0) = x\n  time 0 .. 1\n  tolerance 1e-8\n}\nloss sum(flow.z(1))\n";
    Model *with = model_of(a, text, true);
    const Solve *s = with->module->solves.at[0];
    ck_assert_msg(s->has_differences, "the model has none");
    static double setting[16] = {1, 1, 1, 1, 1, 1, 1, 1};
    World w = {.n_batch = 3, .setting = setting};
    for (int i = 0; i < with->settings.n; i++)
        setting[i] = with->settings.at[i].value;
    Random r = {11};
    int n = 1 + s->n_carry; /* then t, h, arguments */
    Array *in = random_inputs(a, &w, &r, s->step);
    ck_assert_int_eq(s->n_carry, 3); /* k1, and what the hidden layer is made of and is */
    memcpy(in + 1, start_of(s, &w, in[0], in[n], in + n + 2), sizeof(Array) * (size_t)s->n_carry);
    in[n + 1].at[0] = 0.1;
    Array *y = interpret(a, s->step, &w, in);
    /* The plain step stands in its reverse, which has no differences; here it is made of the field itself. */
    const Tableau *t = s->method;
    Fn *field = fn_named(with->module, "flow_field");
    Array k[16], stage = array_new(a, &w, in[0].type);
    k[0] = in[1];
    for (int i = 1; i < t->stages; i++) {
        Array *arg = ARENA_NEW(a, Array, field->n_in), time = array_new(a, &w, in[n].type);
        for (int e = 0; e < array_size(&w, in[0].type); e++) {
            stage.at[e] = in[0].at[e];
            for (int j = 0; j < i; j++)
                stage.at[e] += 0.1 * t->a[i][j] * k[j].at[e];
        }
        time.at[0] = in[n].at[0] + 0.1 * t->c[i];
        arg[0] = stage;
        arg[1] = time;
        for (int p = 2; p < field->n_in; p++)
            arg[p] = in[p + n];
        k[i] = interpret(a, field, &w, arg)[0];
    }
    ck_assert_msg(array_error(&w, &y[0], &stage) < 1e-13, "the new state differs by %g", array_error(&w, &y[0], &stage));
    ck_assert_msg(array_error(&w, &y[1], &k[t->stages - 1]) < 1e-13, "the last stage differs");
    Array later = array_new(a, &w, in[n].type);
    later.at[0] = in[n].at[0] + 0.1;
    const Array *next = start_of(s, &w, y[0], later, in + n + 2);
    for (int i = 1; i <= s->n_carry; i++)
        ck_assert_msg(array_error(&w, &y[i], &next[i - 1]) < 1e-13, "carry %d is not that of a start there", i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("difference");
    TCase *tc = tcase_create("difference");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, every_change_is_the_difference_of_two_values, 0, OP_COUNT);
    tcase_add_loop_test(tc, a_rule_does_not_cancel, 0, OP_COUNT);
    tcase_add_loop_test(tc, random_functions_change_as_their_values_do, 0, 60);
    tcase_add_test(tc, a_step_from_differences_equals_the_plain_one);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
