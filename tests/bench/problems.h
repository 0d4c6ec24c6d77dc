/* problems.h: the equations that the peers solve, and how they are timed: `PEER PROBLEM TOLERANCE` prints the least
 * time of one solve in microseconds, the evaluations of the right-hand side, and the state at the end. */
#ifndef PROBLEMS_H
#define PROBLEMS_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STATES = 28 };

/* Lorenz 1963 */
static inline void lorenz(const double *u, double *k)
{
    k[0] = 10 * (u[1] - u[0]);
    k[1] = u[0] * (28 - u[2]) - u[1];
    k[2] = u[0] * u[1] - 8.0 / 3 * u[2];
}

/* van der Pol 1926, mu = 5 */
static inline void vanderpol(const double *u, double *k)
{
    k[0] = u[1];
    k[1] = 5 * (1 - u[0] * u[0]) * u[1] - u[0];
}

/* The Pleiades: seven stars in a plane, masses 1 to 7 (Hairer, Norsett & Wanner 1993, II.10); x, y, x', y' */
static inline void pleiades(const double *u, double *k)
{
    const double *x = u, *y = u + 7;
    double *ax = k + 14, *ay = k + 21;
    for (int i = 0; i < 14; i++) {
        k[i] = u[14 + i];
        ax[i] = 0; /* and ay */
    }
    for (int i = 0; i < 7; i++)
        for (int j = 0; j < i; j++) {
            double dx = x[j] - x[i], dy = y[j] - y[i], r2 = dx * dx + dy * dy, w = 1 / (r2 * sqrt(r2));
            ax[i] += (j + 1) * w * dx;
            ay[i] += (j + 1) * w * dy;
            ax[j] -= (i + 1) * w * dx;
            ay[j] -= (i + 1) * w * dy;
        }
}

typedef struct Problem {
    const char *name;
    int n;
    double end;
    double start[STATES];
} Problem;

static const Problem problem_list[] = {
    {"lorenz", 3, 10, {1, 0, 0}},
    {"vanderpol", 2, 20, {2, 0}},
    {"pleiades", 28, 3, {3, 3, -1, -3, 2, -2,   2,    3, -3, 2, 0,     0, -4, 4,
                         0, 0, 0,  0,  0, 1.75, -1.5, 0, 0,  0, -1.25, 1, 0,  0}},
};

static inline double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* One solve of problem `which` from u: the evaluations it took. */
typedef long Solve(int which, double *u, double tolerance);

static inline int run_peer(int argc, char **argv, Solve *solve)
{
    int which = 0, n = sizeof problem_list / sizeof *problem_list;
    double u[STATES], best = 1e9, began = seconds_now();
    long evaluations = 0;
    while (argc == 3 && which < n && strcmp(argv[1], problem_list[which].name))
        which++;
    if (argc != 3 || which == n) {
        fprintf(stderr, "usage: %s PROBLEM TOLERANCE\n", argv[0]);
        return 2;
    }
    while (seconds_now() - began < 0.25) {
        memcpy(u, problem_list[which].start, sizeof u);
        double t = seconds_now();
        evaluations = solve(which, u, atof(argv[2]));
        t = seconds_now() - t;
        best = t < best ? t : best;
    }
    printf("%.4f %ld", 1e6 * best, evaluations);
    for (int i = 0; i < problem_list[which].n; i++)
        printf(" %.17g", u[i]);
    printf("\n");
    return 0;
}

#endif
