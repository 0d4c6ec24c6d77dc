/* timing.h: how long runs take: measured, kept round by round, summed up. Included after run.h. */
#ifndef NDE_TIMING_H
#define NDE_TIMING_H

#include "run.h"

#define nde_time_runs NDE_NAME(nde_time_runs)
#define nde_time_repeat NDE_NAME(nde_time_repeat)
#define nde_times_add NDE_NAME(nde_times_add)
#define nde_times_sort NDE_NAME(nde_times_sort)
#define nde_times_median NDE_NAME(nde_times_median)
#define nde_times_free NDE_NAME(nde_times_free)

typedef int NdeTimed(void *context);

/* Runs n times: the seconds of all. */
int nde_time_repeat(NdeTimed *run, void *context, long n, double *seconds);
/* The same, and how the time is shared out: the solves, their reverses, the rest. */
int nde_time_runs(NdeEngine *e, NdeTimed *run, void *context, long n, double share[NDE_PHASES + 1]);

enum { NDE_TIMES = 6 };

/* Seconds of one run by parts, for each round. */
typedef struct NdeTimes {
    double *at[NDE_TIMES];
    long n, room;
} NdeTimes;

int nde_times_add(NdeTimes *t, const double *part, int parts, NdeError *e);
void nde_times_sort(NdeTimes *t);                     /* each part by itself */
double nde_times_median(const NdeTimes *t, int part); /* once sorted; 0 without rounds */
void nde_times_free(NdeTimes *t);

#endif
