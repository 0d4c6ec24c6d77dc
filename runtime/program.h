/* program.h: the program of a model, without its numbers: commands, options, what is shown and logged.
 *
 * Owns: everything of a program that does not depend on the number type. The commands themselves are compiled once for
 * each type and are called through nde_perform_f32 and nde_perform_f64.
 * Elsewhere: the run (run.h), files (io.h). */
#ifndef NDE_PROGRAM_H
#define NDE_PROGRAM_H

#include "error.h"
#include "io.h"
#include "nde.h"

enum { NDE_EXIT_OK = 0, NDE_EXIT_NUMERICAL = 3, NDE_EXIT_INTERRUPTED = 5 };

/* ---- command.c: the command line ---- */

typedef enum NdeTask {
#define COMMAND(id, name, options, what) NDE_TASK_##id,
#include "command.def"
#undef COMMAND
    NDE_TASKS
} NdeTask;

typedef struct NdeOptions {
    const char *program; /* as it was called */
    NdeTask task;
    const char *weights, *data, *out, *resume, *input, *output, *solve, *tolerances, *csv, *svg;
    bool has_seed, is_quiet;
    uint64_t seed;
    int threads; /* 0: all */
    int entries, points;
    int batch, rounds; /* 0: not given */
    long sample;
    double tolerance, accuracy, seconds; /* tolerance, accuracy 0: not given */
    double *setting;           /* [n_setting]: the model's values, changed by --set */
    bool *is_set;              /* [n_setting]: by --set */
} NdeOptions;

/* Reads the command line. 0: go on. Otherwise an exit code; is_done: nothing is wrong, but all is said (--help). */
int nde_command_read(int argc, char **argv, const NdeModel *m, NdeOptions *o, bool *is_done, NdeError *e);
void nde_command_free(NdeOptions *o);
/* Checks what --set can make wrong: numbers of steps and of samples. 0 or an exit code. */
int nde_setting_check(const NdeModel *m, const double *setting, NdeError *e);

int nde_perform_f32(const NdeModel *m, NdeOptions *o, NdeError *e);
int nde_perform_f64(const NdeModel *m, NdeOptions *o, NdeError *e);

/* ---- main.c ---- */

bool nde_is_interrupted(void); /* Ctrl-C or SIGTERM came; a second one ends the program at once */

/* ---- report.c ---- */

/* What one training step or one evaluation gave. */
typedef struct NdeFigures {
    double loss, reg, nfe, accepted, rejected;
    double reverse;       /* of a training step: evaluations of fields and their derivatives in reverses */
    double drift;         /* of its backsolves, over the tolerance, the largest; below 0: there is none */
    const double *metric; /* of an evaluation: one for each metric of the model */
} NdeFigures;

typedef struct NdeReport {
    const NdeModel *model;
    bool is_terminal, is_coloured, is_quiet, is_line_open;
    long steps, first; /* of the run; step before the first one of this process */
    int batch;
    double started, shown, written; /* clock */
    double before;                  /* seconds of the processes before this one */
    FILE *log;
    char log_path[4096];
    NdeJson json;
} NdeReport;

double nde_clock(void); /* seconds, from an arbitrary start */
/* Opens dir/log.jsonl to append, cut to keep_bytes first if that is not negative. 0 or an exit code. */
int nde_report_open(NdeReport *r, const NdeModel *m, const char *dir, long keep_bytes, NdeError *e);
void nde_report_close(NdeReport *r);
double nde_report_seconds(const NdeReport *r);
long nde_report_bytes(NdeReport *r); /* of the log so far */
/* Writes the lines of the log that are not in its file yet, which a killed program loses. 0 or an exit code. */
int nde_report_write(NdeReport *r, NdeError *e);
int nde_report_step(NdeReport *r, long step, const NdeFigures *f, NdeError *e);
int nde_report_evaluation(NdeReport *r, long step, const char *on, const NdeFigures *f, NdeError *e);
/* A line of its own, where it does not spoil the live line. */
void nde_report_say(NdeReport *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The figures of an evaluation as lines on stdout. */
void nde_report_figures(const NdeModel *m, const NdeFigures *f, long count);

#endif
