/* team.h: threads that share out numbered pieces of work.
 *
 * Owns: the threads. Work is done by whoever is awake, the caller included, so a machine that is busy with other things
 * slows a run only by what it takes away. (OpenMP's teams wait at every end for threads that may not have begun: with
 * two other programs on the two cores of a machine, 3000 steps of a small model took 217 s with them and 5 s alone.)
 * Elsewhere: which pieces there are (run.c). */
#ifndef NDE_TEAM_H
#define NDE_TEAM_H

#include "error.h"

typedef struct NdeTeam NdeTeam;

/* Piece `item` is done by thread number `thread`, 0 being the caller's. */
typedef void NdeJob(void *context, int item, int thread);

/* A team of `threads`, the caller counted. NULL with a message if a thread cannot be had. */
NdeTeam *nde_team_open(int threads, NdeError *e);
void nde_team_close(NdeTeam *team); /* NULL is fine */
/* Does items 0 .. n-1, each once, in any order, and returns when all are done. One call at a time. */
void nde_team_run(NdeTeam *team, int n, NdeJob *job, void *context);

#endif
