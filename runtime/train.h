/* train.h: the state of a training run, and its checkpoints. Included after batch.h. */
#ifndef NDE_TRAIN_H
#define NDE_TRAIN_H

#include "batch.h"
#include "optim.h"

#define nde_train NDE_NAME(nde_train)
#define nde_trainer_prepare NDE_NAME(nde_trainer_prepare)
#define nde_trainer_batch NDE_NAME(nde_trainer_batch)
#define nde_trainer_hyper NDE_NAME(nde_trainer_hyper)
#define nde_trainer_norm NDE_NAME(nde_trainer_norm)
#define nde_trainer_update NDE_NAME(nde_trainer_update)
#define nde_trainer_close NDE_NAME(nde_trainer_close)
#define nde_checkpoint_write NDE_NAME(nde_checkpoint_write)
#define nde_checkpoint_read NDE_NAME(nde_checkpoint_read)
#define nde_checkpoint_open NDE_NAME(nde_checkpoint_open)

enum { NDE_PATH = 4096 };

typedef struct NdeTrainer {
    NdeSession session;
    NdeGradient gradient;
    NdeReport report;
    const NdeOptim *optim;
    NdeRef *hyper_out;
    double *hyper, *metric;
    Real *slot[2], *best; /* flat, as the parameters */
    long *order;          /* of the epoch: positions in the training set */
    long epoch;           /* that `order` is for, from 1; 0: none yet */
    long *index;          /* of the batch: samples */
    long step, steps, epoch_steps, every, patience;
    int batch;
    bool is_drift_said;
    double best_loss, behind; /* best_loss: infinite before the first evaluation; behind: evaluations since */
    NdeFigures last, evaluated;
    long evaluated_at;
    char dir[NDE_PATH];
} NdeTrainer;

int nde_train(const NdeModel *m, NdeOptions *o, NdeError *e);

/* A training step in its parts. The session is open, with data or without. */
int nde_trainer_prepare(NdeTrainer *t);
int nde_trainer_batch(NdeTrainer *t);         /* the next batch of the data, into the engine */
int nde_trainer_hyper(NdeTrainer *t);         /* the optimiser's numbers in this step; an error where it has no use for one */
double nde_trainer_norm(const NdeTrainer *t); /* of the whole gradient, frozen parameters being 0 */
void nde_trainer_update(NdeTrainer *t, double norm);
void nde_trainer_close(NdeTrainer *t);

/* dir/checkpoint.safetensors: everything that the next steps depend on. */
int nde_checkpoint_write(NdeTrainer *t);
/* Reads the file and takes seed and settings from it, but for those that --set changed; `file` stays open for
 * nde_checkpoint_read, which fills in the rest once the trainer has its memory. */
int nde_checkpoint_open(const NdeModel *m, NdeOptions *o, NdeTensors *file, NdeError *e);
int nde_checkpoint_read(NdeTrainer *t, const NdeTensors *file, long *log_bytes);

#endif
