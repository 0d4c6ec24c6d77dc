/* ad.c: reverse mode over whole functions: random ones, nested calls, models written in the language.
 *
 * Elsewhere: the rule of each operator (op.c), steps of a method (step.c), gradients through solves (tests/grad). */
#include "compile.h"
#include "interpret.h"

#include <check.h>
#include <math.h>
#include <string.h>

static Arena *a;
static Module *m;
static const World world = {.n_batch = 3};

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

static bool *mask(int n, bool value)
{
    bool *x = ARENA_NEW(a, bool, n + 1);
    memset(x, value, sizeof(bool) * (size_t)n);
    return x;
}

static Fn *reverse_of(const Fn *fn, bool with_value)
{
    return ad_vjp(m, fn, "reverse", mask(fn->n_in, true), mask(fn->out.n, true), with_value);
}

/* ---- random functions ---- */
START_TEST(random_functions_agree_with_differences)
{
    Random r = {.state = (uint64_t)_i * 7919u};
    Array *in;
    const Fn *fn = random_fn(m, &world, &r, 20, true, &in);
    double error = gradient_error(m, fn, &world, &r, in, NULL);
    ck_assert_msg(error < 1e-6, "seed %d: the gradient differs by %g", _i, error);
}
END_TEST

START_TEST(their_reverse_agrees_with_differences)
{
    Random r = {.state = (uint64_t)_i * 104729u};
    Array *in;
    const Fn *fn = random_fn(m, &world, &r, 8, true, &in), *reverse = reverse_of(fn, false);
    Array *all = random_inputs(a, &world, &r, reverse);
    memcpy(all, in, sizeof(Array) * (size_t)fn->n_in);
    double error = gradient_error(m, reverse, &world, &r, all, NULL);
    ck_assert_msg(error < 1e-6, "seed %d: the second derivative differs by %g", _i, error);
}
END_TEST

/* ---- nested calls ---- */
static const Type real = {.rank = 0}, vector = {.is_batched = true, .rank = 1, .dim = {3}},
                  matrix = {.rank = 2, .dim = {3, 3}};

static Val result(Fn *fn, Val call, int index)
{
    const Fn *callee = fn->ins.at[call].imm.fn;
    return fn_result(m, fn, call, index, fn_type(callee, callee->out.at[index]));
}

static Val call(Fn *fn, Fn *callee, Val u, Val w, Val t, Val spare)
{
    return fn_call(m, fn, callee, 4, (Val[]){u, w, t, spare}, fn->span);
}

static Fn *begin(const char *name, Val *in)
{
    Fn *fn = fn_new(m, name, (Span){0});
    in[0] = fn_input(m, fn, vector, "u");
    in[1] = fn_input(m, fn, matrix, "W");
    in[2] = fn_input(m, fn, real, "t");
    in[3] = fn_input(m, fn, vector, "spare");
    return fn;
}

static Fn *end(Fn *fn)
{
    return module_add(m, canon(m, fn));
}

/* inner(u, W, t, spare) = t tanh(W u), sin(t), exp(u) */
static Fn *inner(void)
{
    Val in[4];
    Fn *fn = begin("inner", in);
    Val y = fn_op1(m, fn, OP_tanh, fn_op2(m, fn, OP_mm_nn, in[1], in[0]));
    fn_out(m, fn, fn_op2(m, fn, OP_mul, y, in[2]), NULL);
    fn_out(m, fn, fn_op1(m, fn, OP_sin, in[2]), NULL);
    fn_out(m, fn, fn_op1(m, fn, OP_exp, in[0]), NULL);
    return end(fn);
}

/* Calls inner twice, the second time with what the first gave; what the third call gives is not used. */
static Fn *middle(Fn *callee)
{
    Val in[4];
    Fn *fn = begin("middle", in);
    Val one = call(fn, callee, in[0], in[1], in[2], in[3]);
    Val later = fn_op2(m, fn, OP_add, in[2], result(fn, one, 1));
    Val two = call(fn, callee, result(fn, one, 0), in[1], later, in[0]);
    call(fn, callee, result(fn, two, 2), in[1], later, in[3]);
    fn_out(m, fn, fn_op2(m, fn, OP_mul, result(fn, two, 0), result(fn, one, 2)), NULL);
    fn_out(m, fn, fn_op1(m, fn, OP_sum, result(fn, two, 2)), NULL);
    return end(fn);
}

/* Calls middle and inner: one callee at two depths. */
static Fn *outer(Fn *callee, Fn *shared)
{
    Val in[4];
    Fn *fn = begin("outer", in);
    Val deep = call(fn, callee, in[0], in[1], in[2], in[3]), flat = call(fn, shared, in[3], in[1], in[2], in[0]);
    Val again = call(fn, callee, result(fn, flat, 0), in[1], in[2], in[3]);
    fn_out(m, fn, fn_op2(m, fn, OP_add, result(fn, deep, 0), result(fn, flat, 2)), "sum");
    fn_out(m, fn, fn_op2(m, fn, OP_mul, result(fn, again, 1), result(fn, deep, 1)), "product");
    fn_out(m, fn, fn_op2(m, fn, OP_mul, in[2], in[2]), NULL);
    return end(fn);
}

static Fn *nested(void)
{
    Fn *callee = inner();
    return outer(middle(callee), callee);
}

START_TEST(calls_three_deep_agree_with_differences)
{
    Random r = {.state = 5};
    const Fn *fn = nested();
    bool want[4];
    for (int k = 0; k < 4; k++)
        want[k] = _i >> k & 1; /* each set of wanted inputs */
    double error = gradient_error(m, fn, &world, &r, random_inputs(a, &world, &r, fn), want);
    ck_assert_msg(error < 1e-9, "wanted %d: the gradient differs by %g", _i, error);
}
END_TEST

START_TEST(second_derivatives_pass_through_calls)
{
    Random r = {.state = 6};
    const Fn *reverse = reverse_of(nested(), _i);
    double error = gradient_error(m, reverse, &world, &r, random_inputs(a, &world, &r, reverse), NULL);
    ck_assert_msg(error < 1e-8, "the second derivative differs by %g", error);
}
END_TEST

START_TEST(the_value_comes_with_the_gradient)
{
    Random r = {.state = 7};
    const Fn *fn = nested(), *reverse = reverse_of(fn, true);
    const Array *in = random_inputs(a, &world, &r, reverse);
    ck_assert_int_eq(reverse->out.n, fn->out.n + fn->n_in);
    ck_assert_double_le(
        outputs_error(&world, fn->out.n, interpret(a, reverse, &world, in), interpret(a, fn, &world, in)), 1e-15);
    ck_assert_str_eq(reverse->out_name.at[0], "sum");
    ck_assert_str_eq(reverse->out_name.at[fn->out.n + 1], "g_W");
}
END_TEST

/* An output that is not seeded counts as one with the cotangent 0, for each set of outputs. */
START_TEST(outputs_without_a_seed_have_the_cotangent_zero)
{
    Random r = {.state = 8};
    const Fn *fn = nested(), *full = reverse_of(fn, false);
    Array *all = random_inputs(a, &world, &r, full), *some = ARENA_NEW(a, Array, full->n_in);
    bool seed[3];
    int n = fn->n_in;
    memcpy(some, all, sizeof(Array) * (size_t)n);
    for (int i = 0; i < 3; i++) {
        seed[i] = _i >> i & 1;
        if (seed[i])
            some[n++] = all[fn->n_in + i];
        else
            memset(all[fn->n_in + i].at, 0, sizeof(double) * (size_t)array_size(&world, all[fn->n_in + i].type));
    }
    const Fn *part = ad_vjp(m, fn, "part", mask(4, true), seed, false);
    ck_assert_int_eq(part->n_in, n);
    double error = outputs_error(&world, 4, interpret(a, part, &world, some), interpret(a, full, &world, all));
    ck_assert_msg(error < 1e-14, "seeds %d: %g", _i, error);
}
END_TEST

/* A function need not be canonical: one result of a call may stand in it twice. */
START_TEST(results_asked_for_twice_count_twice)
{
    Random r = {.state = 13};
    Fn *callee = inner();
    Val in[4];
    Fn *fn = begin("twice", in);
    Val at = call(fn, callee, in[0], in[1], in[2], in[3]);
    fn_out(m, fn, fn_op2(m, fn, OP_mul, result(fn, at, 0), result(fn, at, 0)), NULL);
    fn_out(m, fn, result(fn, at, 0), NULL);
    double error = gradient_error(m, fn, &world, &r, random_inputs(a, &world, &r, fn), NULL);
    ck_assert_msg(error < 1e-9, "the gradient differs by %g", error);
}
END_TEST

START_TEST(pairs_are_made_once)
{
    const Fn *fn = nested();
    reverse_of(fn, false);
    int n_pair = m->pairs.n, n_fn = m->fns.n;
    ck_assert_int_gt(n_pair, 0);
    reverse_of(fn, false);
    reverse_of(fn, true);
    ck_assert_int_eq(m->pairs.n, n_pair);
    ck_assert_int_eq(m->fns.n, n_fn);
}
END_TEST

static int count_op(const Fn *fn, Op op)
{
    int n = 0;
    for (int v = 0; v < fn->ins.n; v++)
        n += fn->ins.at[v].op == op;
    return n;
}

START_TEST(nothing_is_computed_for_what_is_not_wanted)
{
    const Fn *fn = nested();
    bool seed[3] = {false, false, true}; /* t^2: no call on the way */
    const Fn *square = ad_vjp(m, fn, "square", mask(4, true), seed, false);
    ck_assert_int_eq(count_op(square, OP_call), 0);
    bool want[4] = {false, false, true, false};
    seed[0] = true;
    const Fn *only_t = ad_vjp(m, fn, "only_t", want, seed, false);
    ck_assert_int_eq(only_t->out.n, 1);
    for (int i = 0; i < m->fns.n; i++)
        ck_assert_msg(count_op(m->fns.at[i], OP_mm_nt) == 0, "'%s' has the gradient of W", m->fns.at[i]->name);
}
END_TEST

/* A per-sample value from shared ones gets the sum over the batch; a shared seed of a per-sample value its copy. */
START_TEST(sums_and_copies_over_the_batch_are_put_in)
{
    Random r = {.state = 9};
    Fn *fn = fn_new(m, "f", (Span){0});
    Val w = fn_input(m, fn, matrix, "W"), b = fn_input(m, fn, real, "b"), u = fn_input(m, fn, vector, "u");
    Val y = fn_op2(m, fn, OP_add, fn_op2(m, fn, OP_mm_nn, w, u), b);
    fn_out(m, fn, y, NULL);
    fn_out(m, fn, fn_op1(m, fn, OP_bsum, fn_op1(m, fn, OP_square, y)), NULL);
    const Fn *reverse = reverse_of(fn, false);
    for (int i = 0; i < 3; i++)
        ck_assert(type_equal(fn_type(reverse, reverse->out.at[i]), fn_type(fn, (Val)i)));
    ck_assert_int_ge(count_op(reverse, OP_bsum), 2);
    ck_assert_double_lt(gradient_error(m, fn, &world, &r, random_inputs(a, &world, &r, fn), NULL), 1e-9);
}
END_TEST

/* ---- models ---- */
static const char *const text[] = {
    /* layers, one called twice, a loop */
    "data x : real[3]\ndata c : class[4]\nlayer hidden[2] = dense(5, tanh)\nlayer out = dense(4)\n"
    "fn block(v : real[n], t : real) -> real[n] {\n  layer mix = dense(n, gelu)\n"
    "  return mix(v) + t * mix(sin(v))\n}\n"
    "fn net(v : real[3]) -> real[4] {\n  let y = hidden[1](hidden[0](v))\n  for i in 1 .. 4 {\n"
    "    y = block(y, i / 2)\n  }\n  return out([y, norm(y)])\n}\n"
    "loss cross_entropy(net(x), c)\nloss 1e-2 * sum(out.W^2)\nmetric accuracy(net(x), c)\n",
    /* shapes */
    "data a : real[2, 3]\nparam w : real[3, 2] = normal(0.3)\nparam s : real = 0.5\n"
    "fn f(m : real[2, 3], k : real) -> real[2] {\n  let p = m @ w\n  let q = transpose(p) + stack(p[0], p[:, 1])\n"
    "  let r = broadcast([k, 2], q) * q\n"
    "  return mean(r, axis = 0) + max(p, axis = 1) - flatten(q[0:1, :]) + variance(reshape(m, 3, 2), axis = 0)\n}\n"
    "loss mse(f(a, s), [1, 2])\nloss min(f(2 * a, 3)) * s + where(s > 0, rms(a), 0)\n",
    /* losses and schedules */
    "data x : real[4]\ndata y : real[4]\nparam v : real[4] = uniform(0.5, 1)\nparam b : real = 0.1\n"
    "fn g(u : tensor) -> tensor {\n  return u * v + b\n}\n"
    "let p = g(x)\nlet mask = y > 0\n"
    "loss mse(p, y, mask = mask) + mae(p, 3) + huber(p, y, delta = 0.7) + bce(p, mask)\n"
    "loss gaussian_nll(p, y, std = softplus(v) + b^2) + kl_normal(p, v) + exponential(1, 0.1) * norm(p)\n"
    "loss sum(softmax(p) * log_softmax(y)) + linear(0, 1) * dot(v, v) + x @ v\n"
    "loss cosine(1, 2) * inverse(b, decay = 0.1)\n",
    /* noise, constants, paths held constant */
    "sample e : real[3] ~ normal()\nconst k = [1, -2, 1/3]\nparam A : real[3, 3] = orthogonal()\n"
    "param f : real[3] = k frozen\n"
    "fn h(z : real[3]) -> real[3] {\n  return tanh(A @ z) * f + stop_gradient(z @ A) * z\n}\n"
    "loss sum(h(h(e + k))^3) / (1 + e[0]^2) + sum(abs(h(k)))\n"};
enum { N_TEXT = sizeof text / sizeof *text };

static World world_of(const Model *model, Random *r)
{
    World w = {.n_batch = 3, .step = 2, .steps = 5};
    int n = model->params.n + model->data.n + model->samples.n, at = 0;
    Type *type = ARENA_NEW(a, Type, n + 1);
    for (int i = 0; i < model->params.n; i++)
        type[at++] = model->params.at[i].type;
    for (int i = 0; i < model->data.n; i++)
        type[at++] = model->data.at[i].type;
    for (int i = 0; i < model->samples.n; i++)
        type[at++] = model->samples.at[i].type;
    Array *all = random_arrays(a, &w, r, n, type, 0.2, 1);
    w.param = all;
    w.data = all + model->params.n;
    w.sample = w.data + model->data.n;
    for (int i = 0; i < model->data.n; i++)
        for (int e = 0; model->data.at[i].is_class && e < w.n_batch; e++)
            w.data[i].at[e] = random_below(r, model->data.at[i].classes);
    double *setting = ARENA_NEW(a, double, model->settings.n + 1);
    for (int i = 0; i < model->settings.n; i++)
        setting[i] = model->settings.at[i].value;
    w.setting = setting;
    return w;
}

static bool is_differentiable(const Fn *fn)
{
    return count_op(fn, OP_onehot) == 0 && count_op(fn, OP_detach) == 0 && count_op(fn, OP_argmax) == 0;
}

START_TEST(functions_of_models_agree_with_differences)
{
    Random r = {.state = 10};
    const Model *model = model_of(a, text[_i], false);
    World w = world_of(model, &r);
    int n = 0, n_fn = model->module->fns.n;
    for (int i = 0; i < n_fn; i++) {
        const Fn *fn = model->module->fns.at[i];
        if (fn == model->train || fn == model->eval || fn == model->predict || !is_differentiable(fn))
            continue;
        double error = gradient_error(model->module, fn, &w, &r, random_inputs(a, &w, &r, fn), NULL);
        ck_assert_msg(error < 1e-8, "text %d, '%s': the gradient differs by %g", _i, fn->name, error);
        n++;
    }
    ck_assert_int_gt(n, 0);
}
END_TEST

static double loss_of(const Model *model, const World *w)
{
    Arena *scratch = arena_new();
    double loss = *interpret(scratch, model->train, w, NULL)[0].at;
    arena_free(scratch);
    return loss;
}

static double loss_slope(const Model *model, const World *w, double *x)
{
    const double h = 1e-3, weight[] = {1, -8, 8, -1}, offset[] = {-2, -1, 1, 2};
    double x0 = *x, sum = 0;
    for (int i = 0; i < 4; i++) {
        *x = x0 + offset[i] * h;
        sum += weight[i] * loss_of(model, w);
    }
    *x = x0;
    return sum / (12 * h);
}

/* What is held constant is not compared: the last text. */
START_TEST(the_gradient_of_a_program_is_that_of_its_loss)
{
    Random r = {.state = 11};
    const Model *model = model_of(a, text[_i], false);
    World w = world_of(model, &r);
    const Array *out = interpret(a, model->train, &w, NULL);
    int at = 5; /* behind loss, regulariser and three counts */
    for (int i = 0; i < model->params.n; i++) {
        if (model->params.at[i].is_frozen)
            continue;
        ck_assert_str_eq(model->train->out_name.at[at], str_format(a, "d_%s", model->params.at[i].path));
        for (int e = 0; e < type_size(model->params.at[i].type); e++) {
            double d = loss_slope(model, &w, &w.param[i].at[e]);
            ck_assert_msg(fabs(out[at].at[e] - d) < 1e-7 * fmax(1, fabs(d)), "text %d, %s[%d]: %.12g, not %.12g", _i,
                          model->params.at[i].path, e, out[at].at[e], d);
        }
        at++;
    }
    ck_assert_int_eq(at, model->train->out.n);
}
END_TEST

START_TEST(what_is_stopped_is_a_constant_of_the_gradient)
{
    const char *const with_stop = "param b : real = 2\nloss b * stop_gradient(b^2)\n";
    Random r = {.state = 12};
    const Model *model = model_of(a, with_stop, false);
    World w = world_of(model, &r);
    double b = *w.param[0].at;
    ck_assert_double_eq_tol(*interpret(a, model->train, &w, NULL)[5].at, b * b, 1e-15);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("ad");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, random_functions_agree_with_differences, 0, 100);
    tcase_add_loop_test(tc, their_reverse_agrees_with_differences, 0, 60);
    tcase_add_loop_test(tc, calls_three_deep_agree_with_differences, 0, 16);
    tcase_add_loop_test(tc, second_derivatives_pass_through_calls, 0, 2);
    tcase_add_test(tc, the_value_comes_with_the_gradient);
    tcase_add_loop_test(tc, outputs_without_a_seed_have_the_cotangent_zero, 0, 8);
    tcase_add_test(tc, results_asked_for_twice_count_twice);
    tcase_add_test(tc, pairs_are_made_once);
    tcase_add_test(tc, nothing_is_computed_for_what_is_not_wanted);
    tcase_add_test(tc, sums_and_copies_over_the_batch_are_put_in);
    tcase_add_loop_test(tc, functions_of_models_agree_with_differences, 0, N_TEXT);
    tcase_add_loop_test(tc, the_gradient_of_a_program_is_that_of_its_loss, 0, N_TEXT - 1);
    tcase_add_test(tc, what_is_stopped_is_a_constant_of_the_gradient);
    Suite *s = suite_create("ad");
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
