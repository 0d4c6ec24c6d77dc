/* gsl.c: the GNU Scientific Library: gsl PROBLEM TOLERANCE rk8pd (Prince-Dormand 8(9)) or rkf45 (Fehlberg 4(5)). */
#include "problems.h"

#include <gsl/gsl_odeiv2.h>

static long evaluations;

#define FIELD(name)                                                              \
    static int name##_field(double t, const double *u, double *k, void *context) \
    {                                                                            \
        (void)t;                                                                 \
        (void)context;                                                           \
        evaluations++;                                                           \
        name(u, k);                                                              \
        return 0;                                                                \
    }
FIELD(lorenz)
FIELD(vanderpol)
FIELD(pleiades)

static const gsl_odeiv2_step_type *method;

static long solve_one(int which, double *u, double tolerance)
{
    static int (*const field[])(double, const double *, double *, void *) = {lorenz_field, vanderpol_field,
                                                                             pleiades_field};
    const Problem *p = &problem_list[which];
    gsl_odeiv2_system system = {field[which], NULL, (size_t)p->n, NULL};
    gsl_odeiv2_driver *driver = gsl_odeiv2_driver_alloc_y_new(&system, method, 1e-3, tolerance, tolerance);
    double t = 0;
    evaluations = 0;
    if (gsl_odeiv2_driver_apply(driver, &t, p->end, u))
        exit(1);
    gsl_odeiv2_driver_free(driver);
    return evaluations;
}

int main(int argc, char **argv)
{
    method = argc == 4 && !strcmp(argv[3], "rk8pd") ? gsl_odeiv2_step_rk8pd : gsl_odeiv2_step_rkf45;
    return run_peer(argc == 4 ? 3 : argc, argv, solve_one);
}
