/* compare.h: what the command `compare` finds, without the number type: between running it and showing it. */
#ifndef NDE_COMPARE_H
#define NDE_COMPARE_H

#include "program.h"

/* What all rows are given. */
typedef struct NdeProblem {
    const NdeModel *model; /* the program's own: the settings are its */
    const double *setting;
    const bool *is_set;
    const double *param;
    const NdeData *data; /* NULL: random numbers */
    const long *index;   /* [count]: samples */
    int count, threads;
    uint64_t seed;
} NdeProblem;

/* A row at one tolerance, or one step size where steps are fixed. */
typedef struct NdeFinding {
    const NdeAlternative *row;
    double level;      /* the tolerance or the step size */
    bool is_own;       /* the one that the file says */
    char refusal[200]; /* "": it ran */
    double evaluations, reverse_evaluations, accepted, rejected;
    double forward, reverse, rest; /* seconds, medians */
    double tape_bytes, work_bytes;
    double error, gradient_error; /* relative, in the root of squares; NaN: not known */
} NdeFinding;

typedef struct NdeFindings {
    const NdeModel *model;
    NdeFinding *at; /* level by level, the file's own first; rows in their order */
    int n_level, n_row;
    const char *level_name;
    double reference_level;
    const char *reference_method;
    int batch, threads, rounds;
    bool has_gradient;
} NdeFindings;

static inline const NdeFinding *nde_finding(const NdeFindings *f, int level, int row)
{
    return &f->at[level * f->n_row + row];
}

/* trial.c: outputs and gradient of a float64 model at a tolerance. output: [count][width]; gradient: [param_count], or
 * NULL. */
int nde_reference_f64(const NdeModel *m, const NdeProblem *p, double tolerance, double *output, double *gradient,
                      NdeError *e);

/* compare.c */
int nde_compare_f32(const NdeComparison *c, const NdeModel *m, NdeOptions *o, NdeError *e);
int nde_compare_f64(const NdeComparison *c, const NdeModel *m, NdeOptions *o, NdeError *e);

/* finding.c: has the row all choices of the file but this one? The first row has, always. */
bool nde_differs_in(const NdeFindings *f, int row, NdeChoice choice);
/* Tables on the terminal; the same with every level as CSV. */
void nde_findings_show(const NdeFindings *f);
void nde_findings_csv(const NdeFindings *f, FILE *to);

/* picture.c: errors against evaluations and against time, as SVG. */
void nde_findings_svg(const NdeFindings *f, FILE *to);

#endif
