/* run.c: the engine and whole programs: results do not depend on threads, memory stays where it is, a run that is
 * interrupted or resumed ends with the bits of one that is not. */
#define NDE_DOUBLE
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "spiral_model.h"

enum { ROWS = 30 };

static NdeError error;

static void fill(NdeEngine *e, int n)
{
    nde_engine_batch(e, n);
    memcpy(e->param, first_W, sizeof first_W);
    for (int k = 0; k < e->run.n_tile * TILE; k++)
        for (int d = 0; d < 2; d++)
            for (int i = 0; i < STATE; i++) {
                int who = k < n ? k : n - 1;
                ((Lanes *)e->data[d].at)[k / TILE].at[i][k % TILE] =
                    d ? 0.1 * i - 0.02 * who : 1 - 0.4 * i + 0.01 * who;
            }
}

/* The loss and its gradient. */
static void run(NdeEngine *e, double out[1 + W_SIZE])
{
    double number[5];
    NdeRef ref[6];
    for (int i = 0; i < 5; i++)
        ref[i] = (NdeRef){&number[i], 0};
    ref[5] = (NdeRef){&out[1], 0};
    e->is_taping = true;
    ck_assert_msg(nde_frame_run(e, &fn_train, NULL, ref) == 0, "%s", error.text);
    out[0] = number[0];
}

START_TEST(threads_do_not_change_a_bit)
{
    double one[1 + W_SIZE], many[1 + W_SIZE];
    enum { SAMPLES = 12 * TILE + 1 };
    const int threads[] = {2, 3, 4, 5, 13};
    NdeEngine e;
    ck_assert_int_eq(nde_engine_open(&e, &spiral, SAMPLES, 1, &error), 0);
    fill(&e, SAMPLES);
    run(&e, one);
    nde_engine_close(&e);
    for (size_t k = 0; k < sizeof threads / sizeof *threads; k++) {
        ck_assert_int_eq(nde_engine_open(&e, &spiral, SAMPLES, threads[k], &error), 0);
        ck_assert_int_eq(e.threads, threads[k]);
        for (int i = 0; i < 20; i++) {
            fill(&e, SAMPLES);
            run(&e, many);
            ck_assert_mem_eq(one, many, sizeof one);
        }
        nde_engine_close(&e);
    }
}
END_TEST

START_TEST(nothing_is_allocated_once_the_tape_has_grown)
{
    double out[1 + W_SIZE];
    NdeEngine e;
    ck_assert_int_eq(nde_engine_open(&e, &spiral, 61, 2, &error), 0);
    fill(&e, 61);
    run(&e, out);
    long before = e.allocations;
    ck_assert_int_gt(before, 1);
    for (int i = 0; i < 10; i++)
        run(&e, out);
    ck_assert_int_eq(e.allocations, before);
    nde_engine_close(&e);
}
END_TEST

/* A batch of n in memory for more is the mean of its samples; lanes behind the last one do not count. With fixed steps,
 * since a batch shares its step sizes. */
START_TEST(a_partial_batch_is_the_mean_of_its_samples)
{
    NdeSolve before = flow;
    double whole[1 + W_SIZE], one[1 + W_SIZE], sum[1 + W_SIZE] = {0};
    NdeEngine e;
    flow.set_fixed = SET_FIXED;
    ck_assert_int_eq(nde_engine_open(&e, &spiral, 61, 1, &error), 0);
    e.setting[SET_FIXED] = 0.05;
    fill(&e, 61);
    fill(&e, 7);
    ck_assert_int_eq(e.run.n_tile, 2);
    run(&e, whole);
    for (int k = 0; k < 7; k++) {
        fill(&e, 7);
        Lanes from[2] = {((Lanes *)e.data[0].at)[k / TILE], ((Lanes *)e.data[1].at)[k / TILE]};
        nde_engine_batch(&e, 1);
        for (int d = 0; d < 2; d++)
            for (int q = 0; q < TILE; q++)
                for (int i = 0; i < STATE; i++)
                    ((Lanes *)e.data[d].at)[0].at[i][q] = from[d].at[i][k % TILE];
        run(&e, one);
        for (int i = 0; i < 1 + W_SIZE; i++)
            sum[i] += one[i] / 7;
    }
    for (int i = 0; i < 1 + W_SIZE; i++)
        ck_assert_double_eq_tol(whole[i], sum[i], 1e-13);
    nde_engine_close(&e);
    flow = before;
}
END_TEST

/* ---- programs, in a folder of their own ---- */

static char folder[] = "/tmp/run-test-XXXXXX";

static void enter(void)
{
    strcpy(folder, "/tmp/run-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    FILE *f = fopen("spiral_test.csv", "w");
    ck_assert_ptr_nonnull(f);
    for (int i = 0; i < ROWS; i++)
        fprintf(f, "%g,%g,%g,%g\n", 1 - 0.01 * i, 0.5 + 0.01 * i, 0.1 * i / ROWS, -0.2);
    fclose(f);
}

static void leave(void)
{
    char command[64];
    ck_assert_int_eq(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* The exit code of the program with these words, its output thrown away. signal_after: milliseconds, or 0. */
static int program(const char *words, int signal_after)
{
    char text[512], *argv[24] = {text}, *at = text;
    int argc = 1;
    snprintf(text, sizeof text, "spiral %s", words);
    while ((at = strchr(at, ' ')) != NULL) {
        *at++ = '\0';
        argv[argc++] = at;
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("out.txt", "w", stdout) || !freopen("err.txt", "w", stderr))
            _exit(99);
        static const NdeVariant variant = {&spiral, &spiral};
        int code = nde_main(argc, argv, 1, &variant);
        fflush(NULL);
        _exit(code);
    }
    int status = 0;
    if (signal_after) {
        struct timespec pause = {0, 1000000L * signal_after};
        nanosleep(&pause, NULL);
        kill(child, SIGINT);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool says(const char *file, const char *what)
{
    char text[4096];
    FILE *f = fopen(file, "r");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    fclose(f);
    return strstr(text, what) != NULL;
}

static bool is_same_file(const char *a, const char *b)
{
    char command[256];
    snprintf(command, sizeof command, "cmp -s %s %s", a, b);
    return system(command) == 0;
}

static int lines_of(const char *file)
{
    int n = 0, c;
    FILE *f = fopen(file, "r");
    ck_assert_ptr_nonnull(f);
    while ((c = getc(f)) != EOF)
        n += c == '\n';
    fclose(f);
    return n;
}

START_TEST(training_leaves_its_files)
{
    ck_assert_int_eq(program("train --out a --threads 1", 0), 0);
    ck_assert_int_eq(program("train --out b --threads 2", 0), 0);
    ck_assert(is_same_file("a/weights.safetensors", "b/weights.safetensors"));
    ck_assert_int_eq(lines_of("a/log.jsonl"), 20 + 4);
    ck_assert(says("a/summary.json", "\"end\":\"steps\",\"steps\":20"));
    ck_assert_int_eq(program("train --out a", 0), 2);
    ck_assert_int_eq(program("train", 0), 0);
    ck_assert_int_eq(program("train --seed 9", 0), 0);
    ck_assert(is_same_file("a/weights.safetensors", "runs/0001/weights.safetensors"));
    ck_assert(!is_same_file("a/weights.safetensors", "runs/0002/weights.safetensors"));
    ck_assert_int_eq(program("eval --weights a/weights.safetensors", 0), 0);
    ck_assert(says("out.txt", "samples 30"));
    ck_assert_int_eq(program("eval", 0), 2);
    ck_assert_int_eq(program("check-gradient", 0), 0);
    ck_assert_int_eq(program("gradient -o g.safetensors", 0), 0);
    ck_assert_int_eq(program("solve --weights a/weights.safetensors --points 6 -o t.csv", 0), 0);
    ck_assert_int_eq(lines_of("t.csv"), 7);
}
END_TEST

START_TEST(a_resumed_run_ends_with_the_same_bits)
{
    ck_assert_int_eq(program("train --out a", 0), 0);
    ck_assert_int_eq(program("train --out b --set train.steps=12", 0), 0);
    ck_assert_int_eq(program("train --resume b --set train.steps=20", 0), 0);
    ck_assert(is_same_file("a/weights.safetensors", "b/weights.safetensors"));
    ck_assert_int_eq(lines_of("b/log.jsonl"), 20 + 5);
}
END_TEST

START_TEST(an_interrupt_saves_and_says_how_to_go_on)
{
    ck_assert_int_eq(program("train --out a --set train.steps=10000000 --set train.evaluate=1000000", 300), 5);
    ck_assert(says("err.txt", "train --resume a"));
    ck_assert(says("a/summary.json", "interrupted"));
    int steps = lines_of("a/log.jsonl");
    char words[128];
    snprintf(words, sizeof words, "train --resume a --set train.steps=%d", steps + 10);
    ck_assert_int_eq(program(words, 0), 0);
    snprintf(words, sizeof words, "train --out b --set train.steps=%d", steps + 10);
    ck_assert_int_eq(program(words, 0), 0);
    ck_assert(is_same_file("a/weights.safetensors", "b/weights.safetensors"));
}
END_TEST

static const struct {
    const char *words, *says;
    int exit_code;
} wrong[] = {{"trian", "did you mean 'train'", 2},
             {"train --sed 3", "did you mean '--se", 2},
             {"train --set train.step=3", "did you mean 'train.steps'", 2},
             {"train --set train.steps=0", "whole number", 2},
             {"train --set train.batch=2.5", "whole number", 2},
             {"train --set flow.tolerance=x", "not a number", 2},
             {"train --seed -1", "--seed", 2},
             {"train --threads 0", "--threads", 2},
             {"train --weights none.safetensors", "none.safetensors", 2},
             {"train --data nowhere", "nowhere", 2},
             {"train --resume nowhere", "nowhere", 2},
             {"predict", "no output statement", 2},
             {"eval --weights spiral_test.csv", "spiral_test.csv", 4},
             {"train --quiet=1", "takes no value", 2},
             {"train --points 3", "does not take '--points'", 2},
             {"evaluate", "did you mean 'eval'?", 2},
             {"train --steps=3", "--set train.steps=VALUE", 2},
             {"train --batch 3", "does not take '--batch', but the model has a setting: --set train.batch=VALUE", 2},
             {"train --epochs 3", "--set train.steps=VALUE", 2},
             {"train --set steps=3", "did you mean 'train.steps'?", 2},
             {"train --set flow.tolerance=1e-40 --out x", "step size fell", 3},
             {"train --set flow.limit=1 --out y", "limit of steps", 3}};

START_TEST(wrong_use_is_told)
{
    int code = program(wrong[_i].words, 0);
    ck_assert_msg(says("err.txt", wrong[_i].says), "'%s' does not say '%s'", wrong[_i].words, wrong[_i].says);
    ck_assert_msg(code == wrong[_i].exit_code, "'%s' ends with %d", wrong[_i].words, code);
}
END_TEST

/* With fixed steps nothing stops a solve that explodes: the loss shows it, and the step is run again to find the line.
 */
START_TEST(a_loss_that_is_not_finite_is_traced)
{
    flow.set_fixed = SET_FIXED;
    ck_assert_int_eq(program("train --out a --set flow.fixed=0.5 --set flow.t1=-60", 0), 3);
    ck_assert(says("err.txt", "the loss of step 1 is not finite"));
    ck_assert(says("err.txt", "slope[") && says("err.txt", "spiral.nde:8"));
    struct stat there;
    ck_assert_int_eq(stat("a/checkpoint.safetensors", &there), 0);
    flow.set_fixed = -1;
}
END_TEST

START_TEST(help_is_no_failure)
{
    ck_assert_int_eq(program("--help", 0), 0);
    ck_assert(says("out.txt", "check-gradient"));
    ck_assert_int_eq(program("train --help", 0), 0);
    ck_assert(says("out.txt", "--resume DIR") && says("out.txt", "train.steps=20"));
    ck_assert_int_eq(program("--version", 0), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("run");
    TCase *c = tcase_create("engine"), *p = tcase_create("programs");
    tcase_add_test(c, threads_do_not_change_a_bit);
    tcase_add_test(c, nothing_is_allocated_once_the_tape_has_grown);
    tcase_add_test(c, a_partial_batch_is_the_mean_of_its_samples);
    tcase_add_checked_fixture(p, enter, leave);
    tcase_add_test(p, training_leaves_its_files);
    tcase_add_test(p, a_resumed_run_ends_with_the_same_bits);
    tcase_add_test(p, an_interrupt_saves_and_says_how_to_go_on);
    tcase_add_loop_test(p, wrong_use_is_told, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(p, a_loss_that_is_not_finite_is_traced);
    tcase_add_test(p, help_is_no_failure);
    tcase_set_timeout(c, 60);
    tcase_set_timeout(p, 60);
    suite_add_tcase(s, c);
    suite_add_tcase(s, p);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
