/* command.h: the commands, each a file of its own. Included by files of one number type. */
#ifndef NDE_COMMAND_H
#define NDE_COMMAND_H

#include "batch.h"

#define nde_eval NDE_NAME(nde_eval)
#define nde_predict NDE_NAME(nde_predict)
#define nde_trajectory NDE_NAME(nde_trajectory)
#define nde_check_gradient NDE_NAME(nde_check_gradient)
#define nde_write_gradient NDE_NAME(nde_write_gradient)
#define nde_bench NDE_NAME(nde_bench)
#define nde_outputs_open NDE_NAME(nde_outputs_open)
#define nde_outputs_close NDE_NAME(nde_outputs_close)
#define nde_write_table NDE_NAME(nde_write_table)
#define nde_settle NDE_NAME(nde_settle)
#define nde_setting_scale NDE_NAME(nde_setting_scale)

/* Each returns an exit code with its message in e. */
int nde_eval(const NdeModel *m, NdeOptions *o, NdeError *e);           /* predict.c */
int nde_predict(const NdeModel *m, NdeOptions *o, NdeError *e);        /* predict.c */
int nde_trajectory(const NdeModel *m, NdeOptions *o, NdeError *e);     /* trajectory.c: the command `solve` */
int nde_check_gradient(const NdeModel *m, NdeOptions *o, NdeError *e); /* check.c */
int nde_write_gradient(const NdeModel *m, NdeOptions *o, NdeError *e); /* gradient.c */
int nde_bench(const NdeModel *m, NdeOptions *o, NdeError *e);          /* bench.c */

/* A table to the file of -o, as NPY if its name ends so, or else as CSV; without -o as CSV to the standard output. NPY
 * holds floats or doubles as the model does; rank and dim: its shape. */
int nde_write_table(const NdeOptions *o, const NdeCells *cells, int rank, const long *dim, NdeError *e);

/* The outputs of the program `predict`: memory for a batch of the engine, and for a table of `rows` samples. */
typedef struct NdeOutputs {
    NdeRef *ref;
    char **memory;
    char **column;
    int width; /* numbers of a sample */
    double *value;
} NdeOutputs;
int nde_outputs_open(const NdeEngine *engine, NdeOutputs *out, long rows, NdeError *e);
void nde_outputs_close(const NdeModel *m, NdeOutputs *out);

/* ---- accuracy.c ---- */

typedef struct NdeSettle {
    NdeEngine *engine;
    double accuracy; /* 0: computed once */
    int (*compute)(void *context);
    void *context;
    double *const *value; /* what it computes: *n numbers, in rows of `width` columns with these names */
    const size_t *n;
    int width;
    const char *const *column;
} NdeSettle;
/* Computes again and again, with tolerances a tenth as large and fixed steps half as long each time, until the error of no
 * number x is more than accuracy (1 + |x|), as its changes tell; the values are those of the last. A note on the standard
 * error says how large it is. 0 or an exit code. */
int nde_settle(const NdeSettle *s);
/* to = from * by for the settings of a clause (".tolerance", ".step.fixed") of the solve of that name. Is there one? */
bool nde_setting_scale(const NdeModel *m, const char *solve, const char *clause, double by, const double *from,
                       double *to);

#endif
