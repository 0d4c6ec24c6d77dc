/* emit.c: generated C computes what the IR says: random functions and their reverses, as top-level functions and as
 * callees, in both number types, with vector lanes and without, by every C compiler that is here, against the
 * interpreter. Runs from the root of the project: it needs runtime/ and tests/unit/emit_run.h. */
#include "interpret.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SAMPLES = 21, PROGRAMS = 4 };

static Arena *a;
static Module *m;
static char folder[] = "/tmp/ndec_emit_XXXXXX";
static const World world = {.n_batch = SAMPLES, .step = 1, .steps = 1};

static void set_up(void)
{
    a = arena_new();
    m = module_new(a);
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

/* ---- an emitted file, compiled and run ---- */
typedef struct Way {
    const char *name, *flags;
    bool is_double;
    double tolerance;
} Way;
static const Way way[] = {{"float32 lanes", "-O1 -march=native -ffp-contract=fast", false, 3e-4},
                          {"float64 lanes", "-O1 -march=native -ffp-contract=fast", true, 1e-11},
                          {"float64 narrow", "-O0 -fsanitize=address,undefined -fno-sanitize-recover", true, 1e-11},
                          {"float32 without lanes", "-O0 -DNDE_PLAIN", false, 3e-4}};
enum { WAYS = sizeof way / sizeof *way };

static const char *path(const char *name)
{
    return str_format(a, "%s/%s", folder, name);
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(path(name), "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static Model *model_with(Fn *const *program)
{
    Model *model = ARENA_NEW(a, Model, 1);
    Source *source = ARENA_NEW(a, Source, 1);
    *source = (Source){.name = "test.nde", .text = "# */ a \"test\" ?\?/\n", .n = 18};
    *model = (Model){.name = "test", .source = source, .module = m};
    model->train = program[0];
    model->eval = program[1];
    model->predict = program[2];
    model->hyper = program[3];
    return model;
}

static void write_inputs(Fn *const *program, Array *const *in)
{
    FILE *f = fopen(path("in"), "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "%d\n", SAMPLES);
    for (int i = 0; i < PROGRAMS; i++)
        for (int k = 0; program[i] && k < program[i]->n_in; k++)
            for (int e = 0; e < array_size(&world, in[i][k].type); e++)
                fprintf(f, "%.17g\n", in[i][k].at[e]);
    ck_assert_int_eq(fclose(f), 0);
}

static void compare(const char *what, Fn *const *program, Array *const *in, double tolerance)
{
    FILE *f = fopen(path("out"), "r");
    ck_assert_ptr_nonnull(f);
    for (int i = 0; i < PROGRAMS; i++) {
        if (!program[i])
            continue;
        Array *want = interpret(a, program[i], &world, in[i]);
        for (int k = 0; k < program[i]->out.n; k++) {
            Array got = array_new(a, &world, want[k].type);
            for (int e = 0; e < array_size(&world, got.type); e++)
                ck_assert_msg(fscanf(f, "%lf", &got.at[e]) == 1, "%s: output is missing", what);
            double error = array_error(&world, &got, &want[k]);
            ck_assert_msg(error < tolerance, "%s: output %d of '%s' is wrong by %g", what, k, program[i]->name, error);
        }
    }
    fclose(f);
}

static bool has_compiler(const char *cc)
{
    return system(str_format(a, "command -v %s > /dev/null", cc)) == 0;
}

static void run_one_way(const Way *w, const char *cc, Fn *const *program, Array *const *in)
{
    Text t = text_new(a);
    emit_model(&t, model_with(program), w->is_double, false);
    text_add(&t, "#include \"emit_run.h\"\n");
    write_file("test.c", t.at);
    const char *command =
        str_format(a,
                   "%s -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror -Wdouble-promotion -Wshadow %s "
                   "-I runtime -I tests/unit %s -o %s -lm && %s < %s > %s",
                   cc, w->flags, path("test.c"), path("test"), path("test"), path("in"), path("out"));
    ck_assert_msg(system(command) == 0, "%s, %s: the emitted file does not compile or run", cc, w->name);
    compare(str_format(a, "%s, %s", cc, w->name), program, in, w->tolerance);
}

/* Two ways with one compiler or, if EMIT_SEED asks for one random function, all. */
static void run_ways(Fn *const *program, Array *const *in, int which)
{
    static const char *const cc[] = {"gcc", "clang"};
    write_inputs(program, in);
    for (int k = 0; k < 2 * WAYS; k++)
        if ((k % WAYS / 2 == which % 2 && k / WAYS == which / 2 % 2 && has_compiler(cc[k / WAYS])) ||
            getenv("EMIT_SEED"))
            run_one_way(&way[k % WAYS], cc[k / WAYS], program, in);
}

/* ---- functions ---- */
/* A function of the same inputs that only calls fn. */
static Fn *caller_of(Fn *fn, const char *name)
{
    Fn *to = fn_new(m, name, fn->span);
    Val *arg = ARENA_NEW(a, Val, fn->n_in + 1);
    for (int i = 0; i < fn->n_in; i++)
        arg[i] = fn_input(m, to, fn_type(fn, (Val)i), NULL);
    Val call = fn_call(m, to, fn, fn->n_in, arg, fn->span);
    for (int i = 0; i < fn->out.n; i++)
        fn_out(m, to, fn_result(m, to, call, i, fn_type(fn, fn->out.at[i])), NULL);
    return to;
}

static Fn *reverse_of(const Fn *fn, bool with_value)
{
    bool *all = ARENA_NEW(a, bool, fn->n_in + fn->out.n);
    memset(all, 1, (size_t)(fn->n_in + fn->out.n));
    return ad_vjp(m, fn, "reverse", all, all, with_value);
}

static Array *more_inputs(const Fn *reverse, int n_in, const Array *in, Random *r)
{
    Array *all = random_inputs(a, &world, r, reverse);
    memcpy(all, in, sizeof(Array) * (size_t)n_in);
    return all;
}

static bool has_op(const Fn *fn, Op op)
{
    for (int v = 0; v < fn->ins.n; v++)
        if (fn->ins.at[v].op == op)
            return true;
    return false;
}

/* A random function, its reverse, and both as callees. Labels are whole numbers, which a random operand is not. */
static void random_programs(int seed, Fn **program, Array **in)
{
    Random r = {(uint64_t)seed};
    Array *first;
    Fn *fn;
    do
        fn = canon(m, random_fn(m, &world, &r, 12 + seed % 30, true, &first));
    while (has_op(fn, OP_onehot));
    Fn *reverse = reverse_of(fn, true);
    Array *second = more_inputs(reverse, fn->n_in, first, &r);
    program[0] = fn;
    program[1] = reverse;
    program[2] = caller_of(module_add(m, fn), "calls_function");
    program[3] = caller_of(module_add(m, reverse_of(fn, false)), "calls_reverse");
    in[0] = in[2] = first;
    in[1] = in[3] = second;
}

START_TEST(random_functions_compute_what_they_say)
{
    Fn *program[PROGRAMS];
    Array *in[PROGRAMS];
    const char *only = getenv("EMIT_SEED");
    random_programs(only ? atoi(only) : _i, program, in);
    run_ways(program, in, _i);
}
END_TEST

/* Every row with a value, shared and per sample operands in every pattern, in one function. */
static void add_row(Fn *fn, Op op, const Val *shared, const Val *sample, Imm imm)
{
    int n = op_info[op].n_arg;
    for (int pattern = 0; pattern < 1 << n; pattern++) {
        Val arg[MAX_ARG];
        for (int k = 0; k < n; k++)
            arg[k] = (pattern >> k & 1 ? sample : shared)[k];
        fn_out(m, fn, fn_op(m, fn, op, n, arg, imm, fn->span), NULL);
    }
}

static Fn *every_map(Array **in)
{
    Fn *fn = fn_new(m, "every_map", (Span){0});
    Val shared[OP_COUNT][MAX_ARG], sample[OP_COUNT][MAX_ARG];
    LIST(double) lo = {0};
    for (int op = 0; op < OP_COUNT; op++)
        for (int k = 0; op_info[op].op_class == CLASS_map && k < op_info[op].n_arg; k++) {
            shared[op][k] = fn_input(m, fn, type_real(false, 1, (int[]){3}), NULL);
            sample[op][k] = fn_input(m, fn, k == 1 ? type_scalar(true) : type_real(true, 1, (int[]){3}), NULL);
            list_push(a, lo, op_info[op].lo);
            list_push(a, lo, op_info[op].lo);
        }
    for (int op = 0; op < OP_COUNT; op++)
        if (op_info[op].op_class == CLASS_map)
            add_row(fn, (Op)op, shared[op], sample[op], (Imm){0});
    Random r = {7};
    *in = random_inputs(a, &world, &r, fn);
    for (int i = 0; i < fn->n_in; i++)
        for (int e = 0; e < array_size(&world, (*in)[i].type); e++)
            (*in)[i].at[e] = lo.at[i] + (3 - lo.at[i]) * (0.5 + 0.5 * (*in)[i].at[e]);
    return fn;
}

/* Products of all shapes and patterns, their sums over the batch, and the rows whose shape is in imm. */
static Fn *every_shape(Array **in)
{
    static const int size[][3] = {{1, 1, 1}, {7, 3, 1}, {13, 18, 1}, {2, 5, 4}, {26, 9, 3}, {1, 40, 1}, {6, 1, 25}};
    Fn *fn = fn_new(m, "every_shape", (Span){0});
    enum { SIZES = sizeof size / sizeof *size, PLACES = OP_COUNT * 4 };
    Val operand[SIZES][3][2][2], moved[PLACES];
    Op moved_op[PLACES];
    Imm imm[PLACES];
    int n_moved = 0;
    for (int s = 0; s < SIZES; s++)
        for (int op = 0; op < 3; op++)
            for (int b = 0; b < 2; b++) {
                int m0 = size[s][0], k0 = size[s][1], j0 = size[s][2];
                Type x = type_real(b, 2, op == 1 ? (int[]){k0, m0} : (int[]){m0, k0});
                Type y = type_real(b, j0 == 1 && op != 2 ? 1 : 2, op == 2 ? (int[]){j0, k0} : (int[]){k0, j0});
                operand[s][op][0][b] = fn_input(m, fn, x, NULL);
                operand[s][op][1][b] = fn_input(m, fn, y, NULL);
            }
    for (int op = 0; op < OP_COUNT; op++)
        for (int k = 0; k < 8; k++) {
            Type type;
            if (!op_case((Op)op, k / 2, &type, &imm[n_moved]))
                break;
            type.is_batched = k % 2;
            moved_op[n_moved] = (Op)op;
            moved[n_moved++] = fn_input(m, fn, type, NULL);
        }
    for (int s = 0; s < SIZES; s++)
        for (int op = 0; op < 3; op++)
            for (int b = 0; b < 4; b++) {
                Val arg[2] = {operand[s][op][0][b & 1], operand[s][op][1][b >> 1]};
                Val y = fn_op(m, fn, (Op)(OP_mm_nn + op), 2, arg, (Imm){0}, fn->span);
                if (b == 3 && s % 2) /* an outer product, never formed */
                    y = fn_op1(m, fn, OP_bsum, y);
                fn_out(m, fn, y, NULL);
            }
    for (int i = 0; i < n_moved; i++)
        fn_out(m, fn, fn_op(m, fn, moved_op[i], 1, &moved[i], imm[i], fn->span), NULL);
    Random r = {11};
    *in = random_inputs(a, &world, &r, fn);
    for (int i = 0; i < n_moved; i++) /* labels are whole */
        for (int e = 0; moved_op[i] == OP_onehot && e < array_size(&world, (*in)[moved[i]].type); e++)
            (*in)[moved[i]].at[e] = e % 3;
    return fn;
}

/* As top-level functions, and as callees. */
START_TEST(every_row_in_every_pattern)
{
    Fn *program[PROGRAMS] = {0};
    Array *in[PROGRAMS];
    bool is_called = _i % 2;
    program[0] = every_map(&in[0]);
    program[1] = every_shape(&in[1]);
    for (int k = 0; k < 2 && is_called; k++)
        program[k] = caller_of(module_add(m, program[k]), k ? "calls_shapes" : "calls_maps");
    write_inputs(program, in);
    run_one_way(&way[_i], _i % 2 && has_compiler("clang") ? "clang" : "gcc", program, in);
}
END_TEST

/* The same model gives the same bytes, whatever is in memory. */
START_TEST(the_text_is_always_the_same)
{
    const char *text[2];
    for (int i = 0; i < 2; i++) {
        Fn *program[PROGRAMS];
        Array *in[PROGRAMS];
        m = module_new(a);
        random_programs(3, program, in);
        Text t = text_new(a);
        emit_model(&t, model_with(program), false, true);
        text[i] = t.at;
        arena_alloc(a, 12345);
    }
    ck_assert_str_eq(text[0], text[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("emit");
    TCase *tc = tcase_create("emit");
    int n = getenv("EMIT_SEED") ? 1 : 3;
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, random_functions_compute_what_they_say, 1, 1 + n);
    tcase_add_loop_test(tc, every_row_in_every_pattern, 0, WAYS);
    tcase_add_test(tc, the_text_is_always_the_same);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
