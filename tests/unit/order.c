/* order.c: the measured order of each method of the prelude, of its embedded ones and of its interpolant, in arithmetic
 * of 512 bits: the error of a method of order 9 is far below the rounding of a double before the leading term rules.
 *
 * The equations are  u' = g'(t) + N(u) - N(g(t)),  which g(t) = (1 / (1 + t^2), 1 / (2 + t)) solves whatever N is.
 * Elsewhere: that conditions hold (tableau.c), orders of the programs that ndec builds (tests/order). */
#include <check.h>
#include <math.h>
#include <string.h>

#include "compile.h"

enum { MOST = 32, BITS = 512 };

static Arena *a;

static void set_up(void)
{
    a = arena_new();
    mpf_set_default_prec(BITS);
}

static void tear_down(void)
{
    rat_free_all();
    arena_free(a);
}

/* ---- methods, exactly ---- */

typedef struct Exact {
    const Tableau *t;
    mpf_t c[MOST], a[MOST][MOST], b[MOST], bhat[MOST], bhat2[MOST], interpolant[MOST][MOST];
} Exact;

static void read_list(const Node *list, mpf_t *to)
{
    ck_assert_int_le(list->n, MOST);
    for (int i = 0; i < list->n; i++)
        mpf_set_q(to[i], const_scalar(a, diag_new(a), list->kid[i], NULL, NULL)->q);
}

static const Exact *exact_method(int k)
{
    const Node *node = tableau_node(a, k);
    Exact *m = ARENA_NEW(a, Exact, 1);
    mpf_t *all = &m->c[0];
    for (size_t i = 0; i < (sizeof *m - offsetof(Exact, c)) / sizeof(mpf_t); i++)
        mpf_init(all[i]);
    m->t = tableau_check(a, diag_new(a), node, NULL, NULL);
    ck_assert_ptr_nonnull(m->t);
    for (int i = 0; i < node->n; i++) {
        const Node *row = node->kid[i];
        const char *name = row->kind == NODE_ROW ? row->text : "";
        if (str_eq(name, "c") || str_eq(name, "b") || str_eq(name, "bhat") || str_eq(name, "bhat2"))
            read_list(row, str_eq(name, "c")      ? m->c
                           : str_eq(name, "b")    ? m->b
                           : str_eq(name, "bhat") ? m->bhat
                                                  : m->bhat2);
        for (int j = 0; (str_eq(name, "a") || str_eq(name, "interpolant")) && j < row->n; j++)
            read_list(row->kid[j], str_eq(name, "a") ? m->a[j + 1] : m->interpolant[j]);
    }
    return m;
}

/* ---- the equations ---- */

typedef struct Numbers {
    mpf_t x[2];
} Numbers;

static void begin(Numbers *u)
{
    mpf_init(u->x[0]);
    mpf_init(u->x[1]);
}

static void solution(const mpf_t t, Numbers *g)
{
    mpf_mul(g->x[0], t, t);
    mpf_add_ui(g->x[0], g->x[0], 1);
    mpf_ui_div(g->x[0], 1, g->x[0]);
    mpf_add_ui(g->x[1], t, 2);
    mpf_ui_div(g->x[1], 1, g->x[1]);
}

/* N(u) = (3 u1 u2 - u1^3, u1^2 - 4 u2^2 u1) */
static void nonlinear(const Numbers *u, Numbers *out)
{
    mpf_t square;
    mpf_init(square);
    mpf_mul(square, u->x[0], u->x[0]);
    mpf_mul_ui(out->x[0], u->x[1], 3);
    mpf_sub(out->x[0], out->x[0], square);
    mpf_mul(out->x[0], out->x[0], u->x[0]);
    mpf_mul(out->x[1], u->x[1], u->x[1]);
    mpf_mul(out->x[1], out->x[1], u->x[0]);
    mpf_mul_ui(out->x[1], out->x[1], 4);
    mpf_sub(out->x[1], square, out->x[1]);
    mpf_clear(square);
}

/* g' = (-2 t g1^2, -g2^2) */
static void slope(const mpf_t t, const Numbers *u, Numbers *k)
{
    static Numbers g, of_g;
    begin(&g);
    begin(&of_g);
    solution(t, &g);
    nonlinear(u, k);
    nonlinear(&g, &of_g);
    for (int i = 0; i < 2; i++) {
        mpf_sub(k->x[i], k->x[i], of_g.x[i]);
        mpf_mul(g.x[i], g.x[i], g.x[i]);
    }
    mpf_mul(g.x[0], g.x[0], t);
    mpf_mul_ui(g.x[0], g.x[0], 2);
    for (int i = 0; i < 2; i++) {
        mpf_sub(k->x[i], k->x[i], g.x[i]);
        mpf_clear(g.x[i]);
        mpf_clear(of_g.x[i]);
    }
}

/* to = u + h sum_j w_j k_j */
static void moved(const Numbers *u, const mpf_t h, mpf_t *w, int n, const Numbers *k, Numbers *to)
{
    mpf_t term;
    mpf_init(term);
    for (int i = 0; i < 2; i++) {
        mpf_set(to->x[i], u->x[i]);
        for (int j = 0; j < n; j++) {
            mpf_mul(term, w[j], k[j].x[i]);
            mpf_mul(term, term, h);
            mpf_add(to->x[i], to->x[i], term);
        }
    }
    mpf_clear(term);
}

/* One step from u at t, in place, by the weights w of n stages. */
static void advance(const Exact *m, mpf_t *w, int n, const mpf_t t, const mpf_t h, Numbers *u)
{
    static Numbers k[MOST], stage, end;
    mpf_t at;
    mpf_init(at);
    begin(&stage);
    begin(&end);
    for (int i = 0; i < n; i++) {
        begin(&k[i]);
        moved(u, h, (mpf_t *)m->a[i], i, k, &stage);
        mpf_mul(at, h, m->c[i]);
        mpf_add(at, at, t);
        slope(at, &stage, &k[i]);
    }
    moved(u, h, w, n, k, &end);
    mpf_set(u->x[0], end.x[0]);
    mpf_set(u->x[1], end.x[1]);
    mpf_clear(at);
    for (int i = 0; i < 2; i++) {
        mpf_clear(stage.x[i]);
        mpf_clear(end.x[i]);
        for (int j = 0; j < n; j++)
            mpf_clear(k[j].x[i]);
    }
}

/* log2 of the distance from the solution. */
static double distance(const mpf_t t, const Numbers *u)
{
    Numbers g;
    mpf_t sum;
    long power;
    begin(&g);
    mpf_init(sum);
    solution(t, &g);
    for (int i = 0; i < 2; i++) {
        mpf_sub(g.x[i], g.x[i], u->x[i]);
        mpf_mul(g.x[i], g.x[i], g.x[i]);
        mpf_add(sum, sum, g.x[i]);
    }
    double part = mpf_get_d_2exp(&power, sum);
    return (log2(part) + (double)power) / 2;
}

/* log2 of the error at t = 1 after 2^k steps from 0. */
static double global_error(const Exact *m, mpf_t *w, int k)
{
    Numbers u;
    mpf_t t, h;
    begin(&u);
    mpf_inits(t, h, NULL);
    mpf_set_ui(h, 1);
    mpf_div_2exp(h, h, (unsigned long)k);
    solution(t, &u);
    for (int i = 0; i < 1 << k; i++) {
        advance(m, w, m->t->stages, t, h, &u);
        mpf_add(t, t, h);
    }
    return distance(t, &u);
}

/* log2 of the error at theta in one step of size 2^-k from 1/2. */
static double dense_error(const Exact *m, double theta, int k)
{
    Numbers u;
    mpf_t t, h, part, w[MOST];
    begin(&u);
    mpf_inits(t, h, part, NULL);
    mpf_set_d(t, 0.5);
    mpf_set_ui(h, 1);
    mpf_div_2exp(h, h, (unsigned long)k);
    mpf_set_d(part, theta);
    for (int i = 0; i < m->t->all_stages; i++) {
        mpf_init(w[i]);
        for (int p = m->t->degree - 1; p >= 0; p--) {
            mpf_add(w[i], w[i], m->interpolant[i][p]);
            mpf_mul(w[i], w[i], part);
        }
    }
    solution(t, &u);
    advance(m, w, m->t->all_stages, t, h, &u);
    mpf_mul(part, part, h);
    mpf_add(t, t, part);
    return distance(t, &u);
}

/* Errors of the method's step, or of its interpolant at theta, for steps of 2^-k. */
typedef struct Measured {
    const Exact *m;
    mpf_t *w;
    double theta;
} Measured;

static double error_at(const Measured *e, int k)
{
    return e->w ? global_error(e->m, e->w, k) : dense_error(e->m, e->theta, k);
}

/* log2 of the error below which the last digits of the coefficients show: they have 16, 17, or 28 and more. */
static double rounding(const Measured *e)
{
    const char *name = e->m->t->name;
    bool has_16 = str_eq(name, "tsit5") || str_eq(name, "ssprk3");
    return (has_16 ? -46 : str_eq(name, "pd87") ? -51 : -85) - (e->w ? 4 : 0);
}

/* The slope is the order and a term that halves with h, which one step of Richardson's extrapolation removes. The
 * steps are the smallest whose error is above rounding. */
static void expect(const Measured *e, const char *what, int order)
{
    double before[2] = {0, 0}, fine = error_at(e, 2);
    const char *name = e->m->t->name;
    for (int k = 3; k < (e->w ? 11 : 30); k++) {
        double next = error_at(e, k);
        if (next < rounding(e))
            break;
        before[0] = before[1];
        before[1] = fine;
        fine = next;
    }
    double measured = 2 * (before[1] - fine) - (before[0] - before[1]);
    ck_assert_msg(fabs(measured - order) < 0.1, "%s, %s: measured order %.3f, claimed %d", name, what, measured, order);
}

START_TEST(orders_are_the_claimed_ones)
{
    const Exact *m = exact_method(_i);
    const Tableau *t = m->t;
    mpf_t *w[] = {(mpf_t *)m->b, (mpf_t *)m->bhat, (mpf_t *)m->bhat2};
    static const char *const what[] = {"b", "bhat", "bhat2"};
    int order[] = {t->order, t->embedded, t->second};
    for (int i = 0; i < 3; i++)
        if (order[i] && !str_eq(t->name, "tsit5")) /* 16 digits are too few here: tableau.c measures it */
            expect(&(Measured){m, w[i], 0}, what[i], order[i]);
}
END_TEST

/* In one step, where the error is one power of h smaller. */
START_TEST(orders_of_interpolants_are_those_proved)
{
    const Exact *m = exact_method(_i);
    for (double theta = 0.3; theta < 1 && m->t->degree; theta += 0.4)
        expect(&(Measured){m, NULL, theta}, "interpolant", m->t->interpolant_order + 1);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("order");
    int n = n_tableau();
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, orders_are_the_claimed_ones, 0, n);
    tcase_add_loop_test(tc, orders_of_interpolants_are_those_proved, 0, n);
    Suite *s = suite_create("order");
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
