/* param.c: first values of parameters have the spread they claim, and files of weights are refused by name. */
#define NDE_DOUBLE
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "param.h"

enum { MANY = 20000 };

static double value[2 * MANY];
static NdeError error;

static NdeModel model_of(const NdeParam *param, int n)
{
    size_t count = 0;
    for (int i = 0; i < n; i++)
        count += (size_t)param[i].n;
    return (NdeModel){.name = "test", .compiler = "test", .n_param = n, .param = param, .param_count = count};
}

static void spread(const char *init, double a, double b, double *mean, double *deviation)
{
    NdeParam p = {.name = "W",
                  .n = MANY,
                  .rank = 2,
                  .dim = {100, 200},
                  .init = init,
                  .init_arg = {a, b},
                  .fan_in = 200,
                  .fan_out = 100};
    NdeModel m = model_of(&p, 1);
    ck_assert_int_eq(nde_param_init(&m, 5, value, &error), 0);
    double sum = 0, squares = 0;
    for (int i = 0; i < MANY; i++)
        sum += value[i];
    *mean = sum / MANY;
    for (int i = 0; i < MANY; i++)
        squares += (value[i] - *mean) * (value[i] - *mean);
    *deviation = sqrt(squares / MANY);
}

static const struct {
    const char *init;
    double a, b, mean, deviation;
} claim[] = {{"constant", 3, 0, 3, 0},
             {"zeros", 0, 0, 0, 0},
             {"ones", 0, 0, 1, 0},
             {"normal", 0.5, 0, 0, 0.5},
             {"uniform", -1, 5, 2, 1.7320508},
             {"glorot_uniform", 0, 0, 0, 0.0816497},
             {"glorot_normal", 0, 0, 0, 0.0816497},
             {"he_normal", 0, 0, 0, 0.1}};

START_TEST(first_values_have_the_spread_they_claim)
{
    double mean, deviation;
    spread(claim[_i].init, claim[_i].a, claim[_i].b, &mean, &deviation);
    double within = 4 * claim[_i].deviation / sqrt(MANY);
    ck_assert_msg(fabs(mean - claim[_i].mean) <= within, "%s: mean %g", claim[_i].init, mean);
    ck_assert_msg(fabs(deviation - claim[_i].deviation) <= 0.02 * claim[_i].deviation, "%s: deviation %g",
                  claim[_i].init, deviation);
}
END_TEST

/* rows W W' = 1 if there are no more rows than columns, else W' W = 1. */
START_TEST(orthogonal_is_orthonormal)
{
    int rows = _i ? 30 : 12, columns = _i ? 12 : 30, k = rows < columns ? rows : columns, n = rows + columns - k;
    NdeParam p = {.name = "W", .n = rows * columns, .rank = 2, .dim = {rows, columns}, .init = "orthogonal"};
    NdeModel m = model_of(&p, 1);
    ck_assert_int_eq(nde_param_init(&m, 5, value, &error), 0);
    for (int a = 0; a < k; a++)
        for (int b = 0; b < k; b++) {
            double dot = 0;
            for (int j = 0; j < n; j++)
                dot += rows <= columns ? value[a * columns + j] * value[b * columns + j]
                                       : value[j * columns + a] * value[j * columns + b];
            ck_assert_double_eq_tol(dot, a == b, 1e-13);
        }
}
END_TEST

START_TEST(first_values_depend_on_the_seed_and_the_parameter)
{
    NdeParam p[2] = {{.name = "A", .n = 50, .rank = 1, .dim = {50}, .init = "normal", .init_arg = {1}},
                     {.name = "B", .offset = 50, .n = 50, .rank = 1, .dim = {50}, .init = "normal", .init_arg = {1}}};
    NdeModel m = model_of(p, 2);
    double again[100], other[100];
    ck_assert_int_eq(nde_param_init(&m, 5, value, &error), 0);
    ck_assert_int_eq(nde_param_init(&m, 5, again, &error), 0);
    ck_assert_int_eq(nde_param_init(&m, 6, other, &error), 0);
    ck_assert_mem_eq(value, again, sizeof again);
    ck_assert_int_ne(memcmp(value, other, sizeof other), 0);
    ck_assert_int_ne(memcmp(value, value + 50, 50 * sizeof *value), 0);
}
END_TEST

/* ---- files ---- */

static const NdeParam pair[] = {
    {.name = "field.W", .n = 6, .rank = 2, .dim = {2, 3}, .init = "normal", .init_arg = {1}},
    {.name = "field.b", .offset = 6, .n = 2, .rank = 1, .dim = {2}, .init = "ones"}};
static char path[] = "/tmp/param-test-XXXXXX";

static void make_path(void)
{
    strcpy(path, "/tmp/param-test-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    NdeModel m = model_of(pair, 2);
    ck_assert_int_eq(nde_param_init(&m, 1, value, &error), 0);
    ck_assert_int_eq(nde_param_save(&m, path, value, &error), 0);
}

static void remove_path(void)
{
    unlink(path);
}

START_TEST(weights_come_back_as_they_were)
{
    NdeModel m = model_of(pair, 2);
    double back[8];
    ck_assert_int_eq(nde_param_load(&m, path, back, &error), 0);
    ck_assert_mem_eq(back, value, sizeof back);
}
END_TEST

static void refuses(const NdeParam *param, int n, const char *name)
{
    NdeModel m = model_of(param, n);
    double back[16];
    ck_assert_int_eq(nde_param_load(&m, path, back, &error), NDE_EXIT_DATA);
    ck_assert_msg(strstr(error.text, name) != NULL, "the message does not name %s: %s", name, error.text);
}

START_TEST(weights_of_another_model_are_refused)
{
    NdeParam more[3] = {pair[0], pair[1], {.name = "field.c", .offset = 8, .n = 1}};
    NdeParam other[2] = {pair[0], pair[1]};
    refuses(more, 3, "field.c");
    refuses(pair, 1, "field.b");
    other[0].dim[0] = 3;
    other[0].dim[1] = 2;
    refuses(other, 2, "[2, 3]");
    refuses(other, 2, "[3, 2]");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("param");
    TCase *c = tcase_create("init"), *f = tcase_create("files");
    tcase_add_loop_test(c, first_values_have_the_spread_they_claim, 0, sizeof claim / sizeof *claim);
    tcase_add_loop_test(c, orthogonal_is_orthonormal, 0, 2);
    tcase_add_test(c, first_values_depend_on_the_seed_and_the_parameter);
    tcase_add_checked_fixture(f, make_path, remove_path);
    tcase_add_test(f, weights_come_back_as_they_were);
    tcase_add_test(f, weights_of_another_model_are_refused);
    suite_add_tcase(s, c);
    suite_add_tcase(s, f);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
