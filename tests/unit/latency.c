/* latency.c: the latency form of a solve gives what the ordinary way gives: for one sample against two equal ones,
 * which take the same steps. Where the controller chooses, the forms differ by its approximations; where steps are
 * bounded or fixed they differ by rounding. Runs from the root of the project. */
#include "compile.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "latency.h"

typedef struct Case {
    const char *name, *text;
    const char *same_steps; /* settings under which no step is chosen by the error, or NULL: always so */
} Case;

#define SOLVER(more) "  step max 100\n" more "}\n"
static const Case list[] = {
    {"spiral",
     "data x : real[2]\n"
     "const window = linspace(0, 0.25, 10)\n"
     "fn field(u : real[2]) -> real[2] {\n  layer hidden = dense(50, tanh)\n  layer out = dense(2)\n"
     "  return out(hidden(u^3))\n}\n"
     "solve flow {\n  du = field(u) dt\n  u(0) = x\n  time 0 .. 0.25 save window\n  method dopri5\n"
     "  tolerance abs 1e-9 rel 1e-6\n" SOLVER("") "output flow.u(window)\noutput flow.u(0.25)\n",
     "flow.step.max=0.004"},
    {"lorenz",
     "data x : real[3]\n"
     "const times = linspace(0, 2, 21)\nparam rho : real = 28\n"
     "solve flow {\n  du = [10 * (u[1] - u[0]), u[0] * (rho - u[2]) - u[1], u[0] * u[1] - 8/3 * u[2]] dt\n  u(0) = x\n"
     "  time 0 .. 2 save times\n  controller sciml\n" SOLVER("") "output flow.u(times)\n",
     "flow.step.max=0.005"},
    {"own method", /* its interpolant is the cubic one */
     "tableau ralston32 {\n  order 3 embedded 2\n  c = 0, 1/2, 3/4, 1\n  a = [1/2], [0, 3/4], [2/9, 1/3, 4/9]\n"
     "  b = 2/9, 1/3, 4/9, 0\n  bhat = 7/24, 1/4, 1/3, 1/8\n  fsal\n}\n"
     "data x : real[4]\nconst times = linspace(0, 1, 5)\n"
     "fn field(z : real[4], t : real) -> real[4] {\n  layer hidden = dense(32, tanh)\n  layer out = dense(4)\n"
     "  return out(hidden([z, t]))\n}\n"
     "solve flow {\n  dz = field(z, t) dt\n  z(0) = x\n  time 0 .. 1 save times\n  method ralston32\n"
     "  tolerance 1e-4\n  controller pid(0.2, 0.4, 0)\n" SOLVER("") "output flow.z(times)\noutput flow.z(1)\n",
     "flow.step.max=0.01"},
    {"not first same as last", /* dense output needs the field once more */
     "data x : real[3]\nconst times = linspace(0, 1, 4)\n"
     "fn field(z : real[3]) -> real[3] {\n  layer hidden = dense(12, sigmoid)\n  layer out = dense(3)\n"
     "  return out(hidden(z)) - z * exp(-z)\n}\n"
     "solve flow {\n  dz = field(z) dt\n  z(0) = x\n  time 0 .. 1 save times\n  method heun\n  controller h211b\n"
     "  tolerance 1e-3\n" SOLVER("") "output flow.z(times)\noutput flow.z(1)\n",
     "flow.step.max=0.01"},
    {"reduced",
     "data x : real[40]\n"
     "fn field(z : real[40], t : real) -> real[40] {\n  layer hidden = dense(11, tanh)\n  layer out = dense(40)\n"
     "  return out(hidden([z, t]))\n}\n"
     "solve flow {\n  dz = field(z, t) dt\n  z(0) = x\n  time 0 .. 1\n  tolerance 1e-5\n" SOLVER(
         "") "layer last = dense(3)\noutput last(flow.z(1))\noutput flow.rejected\n",
     "flow.step.max=0.02"},
    {"backwards, with exact saves",
     "data x : real[2]\nconst times = linspace(1, 0, 6)\n"
     "solve flow {\n  dx1 = (x2 * cos(t)) dt\n  dx2 = (-x1 * x1 + t) dt\n  x1(1) = x[0]\n  x2(1) = x[1]\n"
     "  time 1 .. 0 save times exactly\n" SOLVER("") "output flow.x1(times)\noutput [flow.x1(0), flow.x2(0)]\n",
     "flow.step.max=0.01"},
    {"all pairs",
     "data x : real[28]\nconst mass = linspace(1, 7, 7)\n"
     "fn between(x : real[7]) -> real[7, 7] {\n  let across = broadcast(x, zeros(7, 7))\n"
     "  return across - transpose(across)\n}\n"
     "solve flow {\n  let rx = between(p)\n  let ry = between(q)\n"
     "  let r2 = rx * rx + ry * ry + 0.3 + eq(between(mass), 0)\n"
     "  let w = broadcast(mass, zeros(7, 7)) / (r2 * sqrt(r2))\n  dp = vp dt\n  dq = vq dt\n"
     "  dvp = sum(w * rx, axis = 1) dt\n  dvq = sum(w * ry, axis = 1) dt\n  p(0) = x[0:7]\n  q(0) = x[7:14]\n"
     "  vp(0) = x[14:21]\n  vq(0) = x[21:28]\n  time 0 .. 0.5\n" SOLVER(
         "") "output [flow.p(0.5), flow.q(0.5), flow.vq(0.5)]\n",
     "flow.step.max=0.01"},
    {"everything",
     "data x : real[3, 5]\ndata y : real[70]\nparam A : real[5, 3] = normal(1)\nparam b : real[70] = normal(1)\n"
     "fn one(m : real[3, 5], t : real) -> real[3, 5] {\n  let n = transpose(m)\n  let g = m @ n\n"
     "  let s = softmax(max(g, axis = 0) + t)\n  let h = m @ A\n  let k = broadcast(s, zeros(3, 3)) - g / (1 + sum(g * "
     "g))\n"
     "  return tanh(k @ m) + 0.1 * sin(h @ transpose(A)) + relu(m) * argmax(s) / 7\n}\n"
     "fn two(v : real[70], m : real[3, 5], t : real) -> real[70] {\n  let w = [v[7:70], flatten(m)[0:6], t]\n"
     "  let e = max(v, b) + erf(w) - log(1 + v * v) * min(w, 0.3)\n  layer d = dense(70, softplus)\n"
     "  return where(gt(v, w), e, 0.3 * sqrt(abs(v)) + d(v)) / (1 + mean(v * v)) + dot(v, w) / 900\n}\n"
     "solve flow {\n  dm = one(m, t) dt\n  dv = two(v, m, t) dt\n  m(0) = x\n  v(0) = y\n  time 0 .. 0.2\n"
     "  tolerance 1e-4\n  method bosh3\n" SOLVER("") "output flow.m(0.2)\noutput flow.v(0.2)\n",
     "flow.step.max=0.01"},
    {"fixed steps",
     "data x : real[9]\nconst times = [0.1, 0.25, 1]\nparam A : real[9, 9] = normal(1)\n"
     "solve flow {\n  du = (A @ u - u @ A * t) dt\n  u(0) = x\n  time 0 .. 1 save times\n  method rk4\n  step fixed "
     "0.03\n}\n"
     "output flow.u(times)\noutput flow.nfe\n",
     NULL},
    {"fine tolerance", /* in float32: from differences */
     "data x : real[6]\n"
     "fn field(z : real[6]) -> real[6] {\n  layer hidden = dense(20, tanh)\n  layer out = dense(6)\n"
     "  return out(hidden(z)) - exp(-z) * z\n}\n"
     "solve flow {\n  dz = field(z) dt\n  z(0) = x\n  time 0 .. 1\n  tolerance 1e-7\n" SOLVER("") "output flow.z(1)\n",
     "flow.step.max=0.02"},
};
enum { CASES = sizeof list / sizeof *list };

static Arena *a;
static char folder[] = "/tmp/ndec_latency_XXXXXX";

static void set_up(void)
{
    a = arena_new();
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void tear_down(void)
{
    const char *command = str_format(a, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
    rat_free_all();
    arena_free(a);
}

static bool has_compiler(const char *cc)
{
    return system(str_format(a, "command -v %s > /dev/null", cc)) == 0;
}

/* Emits and builds a model with the driver. A runtime with sanitizers wants all to have them, by its own compiler. */
static void build(const char *text, const char *cc, const char *flags)
{
    const char *root = getenv("BUILD"), *sanitize = getenv("SANITIZE");
    Model *model = model_of(a, text, false);
    Text t = text_new(a);
    emit_model(&t, model, model->is_double, false);
    FILE *f = fopen(str_format(a, "%s/test.c", folder), "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "%s#include \"latency_run.h\"\n", t.at);
    ck_assert_int_eq(fclose(f), 0);
    cc = sanitize ? "gcc" : cc;
    flags = sanitize ? str_format(a, "-O0 %s", sanitize) : flags;
    const char *command = str_format(
        a,
        "%s -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror -Wdouble-promotion -Wshadow %s -I runtime "
        "-I tests/unit %s/test.c %s/libnde.a -o %s/test -lm -lz -lcjson -pthread",
        cc, flags, folder, root ? root : "build", folder);
    ck_assert_msg(system(command) == 0, "the emitted file does not compile with %s %s", cc, flags);
}

static void runs(const char *what, const char *arguments)
{
    ck_assert_msg(system(str_format(a, "%s/test %s", folder, arguments)) == 0, "%s: %s", what, arguments);
}

static const char *const flags_of[] = {"-O1 -march=native -ffp-contract=fast",
                                       "-O0 -fsanitize=address,undefined -fno-sanitize-recover"};

/* Every case in both number types, with wide and narrow vectors in turn. */
START_TEST(is_the_ordinary_way_but_for_rounding)
{
    const Case *c = &list[_i / 2];
    bool is_double = _i % 2;
    const char *text = str_format(a, "precision %s\n%s", is_double ? "f64" : "f32", c->text);
    build(text, _i % 3 && has_compiler("clang") ? "clang" : "gcc", flags_of[_i / 2 % 2]);
    const char *rounding = is_double ? "1e-10" : "3e-5";
    if (!c->same_steps) {
        runs(c->name, str_format(a, "%s 0", rounding));
        return;
    }
    runs(c->name, str_format(a, "%s 0 %s", rounding, c->same_steps));
    runs(c->name, "5e-5 1"); /* sizes of steps agree to a part in a hundred: a part of the tolerance */
}
END_TEST

/* Lorenz's equations at 21 times by the classical method with steps of 1e-4, whose error is below rounding. */
static void lorenz(const double *u, double *k)
{
    k[0] = 10 * (u[1] - u[0]);
    k[1] = u[0] * (28 - u[2]) - u[1];
    k[2] = u[0] * u[1] - 8.0 / 3 * u[2];
}

static void classical_step(double *u, double h)
{
    double k[4][3], z[3];
    static const double part[] = {0, 0.5, 0.5, 1}, weight[] = {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6};
    for (int s = 0; s < 4; s++) {
        for (int i = 0; i < 3; i++)
            z[i] = u[i] + (s > 0 ? part[s] * h * k[s - 1][i] : 0);
        lorenz(z, k[s]);
    }
    for (int s = 0; s < 4; s++)
        for (int i = 0; i < 3; i++)
            u[i] += h * weight[s] * k[s][i];
}

START_TEST(agrees_with_another_method)
{
    double u[3];
    Text want = text_new(a);
    for (int i = 0; i < 3; i++)
        u[i] = 0.7 + 0.5 * cos(3 * i); /* as latency_run.h has it */
    for (int row = 0; row < 21; row++) {
        for (int step = 0; row > 0 && step < 1000; step++)
            classical_step(u, 1e-4);
        for (int i = 0; i < 3; i++)
            text_add(&want, " %.17g", u[i]);
    }
    build("precision f64\ndata x : real[3]\nconst times = linspace(0, 2, 21)\n"
          "solve flow {\n  du = [10 * (u[1] - u[0]), u[0] * (28 - u[2]) - u[1], u[0] * u[1] - 8/3 * u[2]] dt\n"
          "  u(0) = x\n  time 0 .. 2 save times\n  tolerance 1e-12\n}\noutput flow.u(times)\n",
          "gcc", flags_of[0]);
    runs("lorenz", str_format(a, "1e-9 1000%s", want.at));
}
END_TEST

/* Where it cannot go on, the ordinary way says why. */
START_TEST(failures_are_reported_as_ever)
{
    static const char *const setting[] = {"flow.step.limit=3", "flow.save.2=7", "flow.step.min=0.3", "flow.end=3"};
    build("precision f64\ndata x : real[2]\nconst times = [0.1, 0.5]\n"
          "solve flow {\n  du = (sqrt(2 - t) * u / 0.01 - 200 * u * u) dt\n  u(0) = x\n  time 0 .. 1 save times\n"
          "  step limit 10000, min 1e-12\n}\noutput flow.u(1)\noutput flow.u(times)\n",
          "gcc", flags_of[0]);
    runs("without a failure", "1e-5 1");
    for (size_t i = 0; i < sizeof setting / sizeof *setting; i++)
        runs("failure", str_format(a, "0 -1 %s", setting[i]));
}
END_TEST

/* That of evaluations. */
static const Solve *last_solve(const Model *model)
{
    return model->module->solves.at[model->module->solves.n - 1];
}

/* Solves that have no such form, and why. */
START_TEST(is_refused_where_it_does_not_pay)
{
    const Model *large = model_of(a,
                                  "data x : real[400]\nparam A : real[400, 400] = normal(1)\n"
                                  "solve flow {\n  du = (A @ u) dt\n  u(0) = x\n  time 0 .. 1\n}\noutput flow.u(1)\n",
                                  true);
    const char *refusal = latency_of(large, last_solve(large)).refusal;
    ck_assert_ptr_nonnull(refusal);
    ck_assert_ptr_nonnull(strstr(refusal, "cache"));
    const Model *long_state = model_of(
        a, "data x : real[20000]\nsolve flow {\n  du = -u * u dt\n  u(0) = x\n  time 0 .. 1\n}\noutput flow.u(1)\n",
        true);
    refusal = latency_of(long_state, last_solve(long_state)).refusal;
    ck_assert_ptr_nonnull(refusal);
    ck_assert_ptr_nonnull(strstr(refusal, "local variables"));
    const Model *small = model_of(a,
                                  "data x : real[4]\n"
                                  "solve flow {\n  du = -u dt\n  u(0) = x\n  time 0 .. 1\n}\noutput flow.u(1)\n",
                                  true);
    ck_assert_ptr_null(latency_of(small, last_solve(small)).refusal);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("latency");
    TCase *tc = tcase_create("latency");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, agrees_with_another_method);
    tcase_add_test(tc, failures_are_reported_as_ever);
    tcase_add_test(tc, is_refused_where_it_does_not_pay);
    tcase_add_loop_test(tc, is_the_ordinary_way_but_for_rounding, 0, 2 * CASES);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
