/* batch.h: a run bound to options and data: what every command starts from. Included after run.h. */
#ifndef NDE_BATCH_H
#define NDE_BATCH_H

#include "param.h"

#define nde_session_open NDE_NAME(nde_session_open)
#define nde_session_open_any NDE_NAME(nde_session_open_any)
#define nde_session_first NDE_NAME(nde_session_first)
#define nde_session_chosen NDE_NAME(nde_session_chosen)
#define nde_session_empty NDE_NAME(nde_session_empty)
#define nde_session_close NDE_NAME(nde_session_close)
#define nde_session_engine NDE_NAME(nde_session_engine)
#define nde_batch_fill NDE_NAME(nde_batch_fill)
#define nde_batch_noise NDE_NAME(nde_batch_noise)
#define nde_session_batch NDE_NAME(nde_session_batch)
#define nde_batch_random NDE_NAME(nde_batch_random)
#define nde_evaluate NDE_NAME(nde_evaluate)
#define nde_gradient NDE_NAME(nde_gradient)
#define nde_gradient_open NDE_NAME(nde_gradient_open)
#define nde_gradient_close NDE_NAME(nde_gradient_close)

/* Samples of a data set, by their numbers. */
typedef struct NdeSet {
    const NdeData *data;
    long *index; /* [count] */
    long count;
    const char *name; /* "test data" */
} NdeSet;

typedef struct NdeSession {
    const NdeModel *model;
    NdeOptions *options;
    NdeError *error;
    NdeEngine engine;
    bool has_engine;
    NdeDataSpec *spec;
    NdeData train_data, test_data;
    NdeSet train, test; /* test: the test data, else the part that was split off, else empty */
    uint64_t seed;
    unsigned char *needs; /* [n_data] */
} NdeSession;

/* What of the data is opened: the train block's, the test's, or a file given by -i. */
typedef enum NdeWhat { NDE_DATA_ALL, NDE_DATA_TEST, NDE_DATA_INPUT, NDE_DATA_NONE } NdeWhat;

/* Settings, seed and data. `needs` says which fields (the model's tables). Close it in any case. */
int nde_session_open(NdeSession *s, const NdeModel *m, NdeOptions *o, NdeWhat what, const unsigned char *needs,
                     NdeError *e);
/* The same, but where --data and -i are not given and the files are not there: without data, and the message says why.
 */
int nde_session_open_any(NdeSession *s, const NdeModel *m, NdeOptions *o, NdeWhat what, const unsigned char *needs,
                         bool *has_data, NdeError *e);
/* The engine for batches of `most`, with settings and weights: those of --weights, or first values. */
int nde_session_engine(NdeSession *s, int most, bool needs_weights);
void nde_session_close(NdeSession *s);
/* The batch size: of --batch, or the train block's, or a usual one; at most the number of samples, if there are any. */
int nde_session_batch(const NdeSession *s, long count);
/* The training samples in the order of the first epoch, to be freed; NULL: no memory. */
long *nde_session_first(const NdeSession *s);
/* The samples to predict for and to evaluate on: the test data, or all of the data where there is none. */
const NdeSet *nde_session_chosen(const NdeSession *s);
/* Fails: there are no samples in the set, by whatever name it has. The exit code. */
int nde_session_empty(NdeError *e, const NdeSet *set);

/* Which numbers the `sample` fields get: training steps and evaluations have streams of their own. */
typedef enum NdeUse { NDE_FOR_TRAINING, NDE_FOR_EVALUATION } NdeUse;

/* Makes a batch of samples index[0 .. count-1], and its noise for the given step (in evaluation: batch number). */
int nde_batch_fill(NdeEngine *e, const NdeSet *set, const unsigned char *needs, const long *index, int count);
void nde_batch_noise(NdeEngine *e, NdeUse use, double step);
/* A batch of random numbers: normal for reals, any class for labels. */
void nde_batch_random(NdeEngine *e, int count);

/* Runs the model's eval program over a whole set: means over samples, and over batches for the counts of
 * solves with one step size for a batch. metric:
 * [n_metric], to which the figures will point. */
int nde_evaluate(NdeSession *s, const NdeSet *set, double *metric, NdeFigures *out);

/* One run of the train program. */
typedef struct NdeGradient {
    Real *at;       /* flat, as the parameters; 0 for frozen ones */
    double *single; /* gradients of parameters of one element, as the program writes them */
    NdeRef *out;
    NdeFigures figures;
} NdeGradient;

int nde_gradient_open(NdeGradient *g, const NdeModel *m, NdeError *e);
void nde_gradient_close(NdeGradient *g);
/* Loss, counts and gradients of the batch in the engine. 0 or an exit code; the loss may be anything. */
int nde_gradient(NdeEngine *e, NdeGradient *g);

#endif
