/* team.c: threads that share out numbered pieces of work.
 *
 * Needs: POSIX threads. Gives: nde_team_run. One number, the ticket, holds the round of work and how many of its pieces
 * are not taken yet; who takes one down by an atomic exchange has the piece. A round cannot end while a piece is
 * unfinished, so what the round's job is stands still for as long as anybody has a piece of it.
 * A thread without work looks for some for a while, since the next phase of a step is often microseconds away, and
 * then sleeps. Between looks it offers its core to others. */
#include "team.h"

#include "program.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

static const double patience = 2e-4; /* seconds: what others do alone between two phases, and to be woken, take less */
enum { LOOKS = 64 /* at a time: half a microsecond, or some */ };

static const uint64_t round_one = (uint64_t)1 << 32; /* the upper half of a ticket counts rounds */

typedef struct Worker {
    NdeTeam *team;
    int number;
    pthread_t thread;
} Worker;

struct NdeTeam {
    atomic_uint_fast64_t ticket;
    atomic_int done, sleepers;
    atomic_bool is_over;
    NdeJob *job;
    void *context;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int n;
    Worker worker[];
};

static int left_of(uint64_t ticket)
{
    return (int)(ticket % round_one);
}

/* Takes a piece and does it; false if there is none. */
static bool work(NdeTeam *team, int thread)
{
    uint_fast64_t ticket = atomic_load(&team->ticket);
    while (left_of(ticket) > 0)
        if (atomic_compare_exchange_weak(&team->ticket, &ticket, ticket - 1)) {
            team->job(team->context, left_of(ticket) - 1, thread);
            atomic_fetch_add(&team->done, 1);
            return true;
        }
    return false;
}

static bool is_idle(NdeTeam *team)
{
    return left_of(atomic_load(&team->ticket)) == 0 && !atomic_load(&team->is_over);
}

/* Tells the processor that this thread only waits. */
static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Looks for work, or for the end; false if there was nothing for a long time. */
static bool looks(NdeTeam *team)
{
    double until = nde_clock() + patience;
    do {
        for (int i = 0; i < LOOKS; i++, relax())
            if (!is_idle(team))
                return true;
        sched_yield(); /* another program may want the core */
    } while (nde_clock() < until);
    return false;
}

static void *serve(void *at)
{
    const Worker *self = at;
    NdeTeam *team = self->team;
    while (!atomic_load(&team->is_over)) {
        while (work(team, self->number))
            continue;
        if (looks(team))
            continue;
        pthread_mutex_lock(&team->lock);
        atomic_fetch_add(&team->sleepers, 1);
        while (is_idle(team))
            pthread_cond_wait(&team->wake, &team->lock);
        atomic_fetch_sub(&team->sleepers, 1);
        pthread_mutex_unlock(&team->lock);
    }
    return NULL;
}

static void wake_all(NdeTeam *team)
{
    if (atomic_load(&team->sleepers) == 0)
        return;
    pthread_mutex_lock(&team->lock);
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->lock);
}

NdeTeam *nde_team_open(int threads, NdeError *e)
{
    NdeTeam *team = nde_allocate(1, sizeof *team + (size_t)threads * sizeof(Worker), e);
    if (!team)
        return NULL;
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->wake, NULL);
    for (int i = 1; i < threads; i++) {
        Worker *worker = &team->worker[team->n];
        *worker = (Worker){.team = team, .number = i};
        if (pthread_create(&worker->thread, NULL, serve, worker)) {
            nde_fail(e, NDE_EXIT_MEMORY, "the system gives no %d threads: use fewer with --threads", threads);
            nde_team_close(team);
            return NULL;
        }
        team->n++;
    }
    return team;
}

void nde_team_close(NdeTeam *team)
{
    if (!team)
        return;
    atomic_store(&team->is_over, true);
    pthread_mutex_lock(&team->lock);
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->lock);
    for (int i = 0; i < team->n; i++)
        pthread_join(team->worker[i].thread, NULL);
    pthread_cond_destroy(&team->wake);
    pthread_mutex_destroy(&team->lock);
    free(team);
}

void nde_team_run(NdeTeam *team, int n, NdeJob *job, void *context)
{
    team->job = job;
    team->context = context;
    atomic_store(&team->done, 0);
    uint64_t rounds = atomic_load(&team->ticket) / round_one + 1;
    atomic_store(&team->ticket, rounds * round_one + (uint64_t)n);
    wake_all(team);
    while (work(team, 0))
        continue;
    for (int i = 0; atomic_load(&team->done) < n; i++, relax())
        if (i > LOOKS) /* who has the last piece may be waiting for this core */
            sched_yield();
}
