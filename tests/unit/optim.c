/* optim.c: each update rule against its formula, written out again here from the papers in double precision. */
#define NDE_DOUBLE
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "optim.h"

enum { N = 5, STEPS = 40 };

/* One parameter of each rule after step t, by the formulas. m v: memories. */
typedef struct State {
    double p, m, v;
} State;
typedef void Rule(State *s, double g, double t, const double *h);

static void sgd(State *s, double g, double t, const double *h)
{
    (void)t;
    s->m = h[1] * s->m + (g + h[2] * s->p);
    s->p -= h[0] * s->m;
}

static void nesterov(State *s, double g, double t, const double *h)
{
    (void)t;
    double with_decay = g + h[2] * s->p;
    s->m = h[1] * s->m + with_decay;
    s->p -= h[0] * with_decay + h[0] * h[1] * s->m;
}

static void rmsprop(State *s, double g, double t, const double *h)
{
    (void)t;
    s->v = h[1] * s->v + (1 - h[1]) * g * g;
    s->p -= h[0] * g / (sqrt(s->v) + h[2]);
}

static void moments(State *s, double g, const double *h)
{
    s->m = h[1] * s->m + (1 - h[1]) * g;
    s->v = h[2] * s->v + (1 - h[2]) * g * g;
}

static double adam_step(const State *s, double t, const double *h)
{
    double m = s->m / (1 - pow(h[1], t)), v = s->v / (1 - pow(h[2], t));
    return h[0] * m / (sqrt(v) + h[3]);
}

static void adam(State *s, double g, double t, const double *h)
{
    moments(s, g, h);
    s->p -= adam_step(s, t, h);
}

static void adamw(State *s, double g, double t, const double *h)
{
    moments(s, g, h);
    s->p -= adam_step(s, t, h) + h[0] * h[4] * s->p;
}

static void adamax(State *s, double g, double t, const double *h)
{
    s->m = h[1] * s->m + (1 - h[1]) * g;
    s->v = fmax(h[2] * s->v, fabs(g));
    s->p -= h[0] / (1 - pow(h[1], t)) * s->m / (s->v + h[3]);
}

static void adabelief(State *s, double g, double t, const double *h)
{
    s->m = h[1] * s->m + (1 - h[1]) * g;
    s->v = h[2] * s->v + (1 - h[2]) * (g - s->m) * (g - s->m) + h[3];
    s->p -= adam_step(s, t, h);
}

static const struct {
    const char *name;
    Rule *rule;
    double hyper[5];
} row[] = {{"sgd", sgd, {0.1, 0.8, 0.01}},
           {"nesterov", nesterov, {0.1, 0.8, 0.01}},
           {"rmsprop", rmsprop, {0.01, 0.99, 1e-8}},
           {"adam", adam, {0.02, 0.9, 0.999, 1e-8}},
           {"adamw", adamw, {0.02, 0.9, 0.999, 1e-8, 0.1}},
           {"adamax", adamax, {0.02, 0.9, 0.999, 1e-8}},
           {"adabelief", adabelief, {0.02, 0.9, 0.999, 1e-16}}};
enum { ROWS = sizeof row / sizeof *row };

static const char *const in_table[] = {
#define HYPER(name, otherwise, below)
#define OPTIM(id, ...) #id,
#include "optim.def"
#undef OPTIM
#undef HYPER
};

START_TEST(every_row_is_its_formula)
{
    const NdeOptim *optim = nde_optim_find(in_table[_i]);
    int which = 0;
    while (which < ROWS && strcmp(row[which].name, in_table[_i]))
        which++;
    ck_assert_msg(which < ROWS, "optim.def has a row '%s' that this test does not know", in_table[_i]);
    ck_assert_ptr_nonnull(optim);
    double p[N], g[N], s0[N] = {0}, s1[N] = {0}, *const slot[2] = {s0, s1};
    State want[N] = {{0}};
    for (int i = 0; i < N; i++)
        want[i].p = p[i] = i - 1.7;
    for (int t = 1; t <= STEPS; t++) {
        for (int i = 0; i < N; i++)
            g[i] = (i + 1) * p[i] + 0.1 * sin(t * (i + 1.0));
        optim->update(N, p, g, slot, t, row[which].hyper);
        for (int i = 0; i < N; i++) {
            row[which].rule(&want[i], g[i], t, row[which].hyper);
            ck_assert_msg(fabs(p[i] - want[i].p) < 1e-12, "%s, step %d: %.17g, not %.17g", in_table[_i], t, p[i],
                          want[i].p);
        }
    }
}
END_TEST

START_TEST(every_row_goes_downhill)
{
    const NdeOptim *optim = nde_optim_find(in_table[_i]);
    int which = 0;
    while (strcmp(row[which].name, in_table[_i]))
        which++;
    double p[N] = {3, -2, 1, 0.5, -0.25}, g[N], s0[N] = {0}, s1[N] = {0}, *const slot[2] = {s0, s1};
    double first = 0, last = 0;
    for (int i = 0; i < N; i++)
        first += p[i] * p[i];
    for (int t = 1; t <= 400; t++) {
        memcpy(g, p, sizeof g);
        optim->update(N, p, g, slot, t, row[which].hyper);
    }
    for (int i = 0; i < N; i++)
        last += p[i] * p[i];
    ck_assert_msg(last < 0.05 * first, "%s: %g of %g is left", in_table[_i], last, first);
}
END_TEST

START_TEST(unknown_names_are_not_found)
{
    ck_assert_ptr_null(nde_optim_find("newton"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("optim");
    TCase *c = tcase_create("all");
    int n = sizeof in_table / sizeof *in_table;
    tcase_add_loop_test(c, every_row_is_its_formula, 0, n);
    tcase_add_loop_test(c, every_row_goes_downhill, 0, n);
    tcase_add_test(c, unknown_names_are_not_found);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
