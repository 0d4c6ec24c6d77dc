/* tape.c: what the reverse of a solve reads: states and carries at the ends of accepted steps, and the residuals of
 * the steps between them; how much memory they may take.
 *
 * Needs: the sizes of a slot and of the residuals. Gives: memory that stays where it is, and the times. Stage
 * derivatives for dense output are not kept: they are several states for each step, and most steps hold no saved time.
 * Elsewhere: who fills slots and forms them again (solve.c), and who reads them backwards (adjoint.c). */
#include "run.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, RING = 4 };

/* Slots that are somewhere beside the checkpoints: the end of the step that is reversed, or of the solve, and both ends
 * of a step that is run. */
enum { PASSING = 3, LEAST_SLOTS = 1 + PASSING };

static char *aligned_memory(NdeEngine *e, size_t bytes)
{
    void *chunk = NULL;
    if (posix_memalign(&chunk, ALIGN, bytes ? bytes : ALIGN)) {
        nde_fail(e->error, NDE_EXIT_MEMORY,
                 "no memory for the steps of a solve (%zu bytes more): use a smaller batch or a looser tolerance, or "
                 "bound it by `memory 64 MiB` in the solve block",
                 bytes);
        return NULL;
    }
    e->allocations++;
    return chunk;
}

static char *aligned_chunk(NdeEngine *e, size_t slot_bytes)
{
    size_t bytes = NDE_CHUNK_SLOTS;
    if (nde_times(&bytes, slot_bytes))
        return aligned_memory(e, bytes);
    nde_fail(e->error, NDE_EXIT_MEMORY, "a step of this model is too large for this machine: use a smaller batch");
    return NULL;
}

/* Room for `n` more pointers to memory. */
static bool has_room(NdeEngine *e, char ***list, int *room, int n)
{
    if (n < *room)
        return true;
    int more = *room ? 2 * *room : 16;
    while (more <= n)
        more *= 2;
    char **grown = nde_enlarge(*list, (size_t)more, sizeof *grown, e->error);
    if (!grown)
        return false;
    *list = grown;
    *room = more;
    e->allocations++;
    return true;
}

/* ---- the bound ---- */

static size_t rounded(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* A solve with a bound has room for the times of as many steps as it may take: so it cannot fail when it is half done.
 */
static size_t point_count(const NdeEngine *e, const NdeSolve *s)
{
    double limit = s->set_limit < 0 ? 10000 : e->setting[s->set_limit];
    return (size_t)(limit > 0 ? limit < INT_MAX / 2 ? limit : INT_MAX / 2 : 0) + 2;
}

/* In bytes; 0: none. Checkpoints are a bound too: so many slots, those that pass, and the residuals of one step. */
static size_t bound_of(const NdeEngine *e, const NdeFlow *f)
{
    static const double most = (double)(SIZE_MAX / 4);
    const NdeSolve *s = f->solve;
    if (s->set_memory < 0)
        return 0;
    double bytes = e->setting[s->set_memory] * 1048576;
    if (s->bound_is_slots)
        bytes = (floor(e->setting[s->set_memory]) + PASSING) * (double)f->tape.slot_bytes +
                (double)(f->tape.rest_bytes + rounded(point_count(e, s) * f->tape.point_bytes));
    return bytes >= 1 ? (size_t)(bytes < most ? bytes : most) : 1; /* 1: too little, as what is not a number */
}

int nde_tape_check(NdeEngine *e, const NdeFlow *f)
{
    const NdeSolve *s = f->solve;
    size_t bound = bound_of(e, f), points = rounded(point_count(e, s) * f->tape.point_bytes);
    size_t least = points + LEAST_SLOTS * f->tape.slot_bytes + f->tape.rest_bytes, kib = (least + 1023) / 1024;
    if (!bound || bound >= least)
        return 0;
    if (s->bound_is_slots)
        return nde_fail(e->error, NDE_EXIT_FILE, "'%s' needs a checkpoint at its start: --set %s=1 is the least",
                        s->name, e->model->setting[s->set_memory].name);
    return nde_fail(
        e->error, NDE_EXIT_FILE,
        "`memory` of '%s' is too little: its tape takes at least %zu KiB with a batch of %d; %zu KiB of them "
        "are for the times of as many steps as `limit` allows\n  try: `memory %zu KiB` in the solve block "
        "(--set %s=%.4f)\n  try: a lower `limit` in its step clause, or a smaller batch",
        s->name, kib, e->most, (points + 1023) / 1024, kib, e->model->setting[s->set_memory].name,
        (double)kib / 1024 + 0.00005);
}

/* The one piece of memory of a tape with a bound, and its points. */
static int reserve(NdeEngine *e, NdeTape *tape, size_t points)
{
    size_t bytes = (tape->bound - rounded(points * tape->point_bytes)) / ALIGN * ALIGN;
    if (tape->region && tape->bytes == bytes && (size_t)tape->room == points)
        return 0;
    free(tape->region);
    free(tape->point);
    tape->room = 0;
    tape->region = NULL;
    tape->point = nde_enlarge(NULL, points, sizeof *tape->point, e->error);
    if (!tape->point || !(tape->region = aligned_memory(e, bytes)))
        return e->error->exit_code;
    tape->room = (int)points;
    tape->bytes = bytes;
    return 0;
}

/* Slots that fit beside the residuals that are kept and those of one step more. */
static size_t capacity(const NdeTape *tape)
{
    return (tape->bytes - ((size_t)tape->rests + 1) * tape->rest_bytes) / tape->slot_bytes;
}

/* Slots that the solve asks for so far: all, or the checkpoints and some that the reverse may choose between the last
 * ones; if it had none, it would run each step there from one checkpoint. */
static size_t wanted(const NdeTape *tape)
{
    size_t kept = (size_t)(tape->n / tape->stride) + 1;
    return PASSING + kept + (tape->stride > 1 ? (kept + 1) / 3 : 0);
}

/* Every second checkpoint goes; the last slot stays, since the next step starts there. */
static void thin(NdeTape *tape)
{
    for (int slot = tape->stride; slot < tape->n; slot += 2 * tape->stride)
        nde_tape_leave(tape, slot);
    tape->stride *= 2;
}

/* For one step more. */
static void make_room(NdeTape *tape)
{
    while (tape->bound && capacity(tape) < wanted(tape))
        if (tape->rests > 0)
            tape->rests--;
        else
            thin(tape);
}

static void note_use(NdeTape *tape)
{
    size_t lists = (size_t)tape->room_chunk + (size_t)tape->room_rest;
    size_t use = rounded((size_t)tape->room * tape->point_bytes) + (tape->is_undone ? 2 * tape->turn_bytes : 0);
    if (tape->bound)
        use += (size_t)tape->places * tape->slot_bytes + ((size_t)tape->rests + 1) * tape->rest_bytes;
    else
        use += lists * sizeof(char *) + (size_t)tape->n_chunk * NDE_CHUNK_SLOTS * tape->slot_bytes +
               (size_t)(tape->n_rest - (tape->n_rest && !tape->rest[0])) * tape->rest_bytes;
    tape->most = use > tape->most ? use : tape->most;
}

size_t nde_tape_bytes(const NdeTape *tape)
{
    return tape->most;
}

size_t nde_tapes_bytes(const NdeEngine *e)
{
    size_t bytes = 0;
    for (int i = 0; i < e->model->n_solve; i++)
        bytes += nde_tape_bytes(&e->flow[i].tape);
    return bytes;
}

/* ---- slots ---- */

static char *place_memory(const NdeTape *tape, int place)
{
    if (tape->bound)
        return tape->region + (size_t)place * tape->slot_bytes;
    return tape->chunk[place / NDE_CHUNK_SLOTS] + (size_t)(place % NDE_CHUNK_SLOTS) * tape->slot_bytes;
}

static int take_place(NdeTape *tape)
{
    int place = tape->free;
    if (place < 0)
        return tape->places++;
    memcpy(&tape->free, place_memory(tape, place), sizeof tape->free);
    tape->n_free--;
    return place;
}

void nde_tape_leave(NdeTape *tape, int slot)
{
    int place = nde_tape_point(tape, slot)->place;
    if (place < 0)
        return;
    memcpy(place_memory(tape, place), &tape->free, sizeof tape->free);
    tape->free = place;
    tape->n_free++;
    nde_tape_point(tape, slot)->place = -1;
}

void nde_tape_pass(NdeTape *tape, int slot)
{
    if (slot < tape->n && !(tape->is_kept && slot % tape->stride == 0))
        nde_tape_leave(tape, slot);
}

bool nde_tape_open(NdeEngine *e, NdeTape *tape, int slot)
{
    if (nde_tape_point(tape, slot)->place >= 0)
        return true;
    if (slot > tape->n)
        make_room(tape);
    int place = take_place(tape), chunk = place / NDE_CHUNK_SLOTS;
    while (!tape->bound && chunk >= tape->n_chunk) {
        if (!has_room(e, &tape->chunk, &tape->room_chunk, tape->n_chunk))
            return false;
        char *memory = aligned_chunk(e, tape->slot_bytes);
        if (!memory)
            return false;
        tape->chunk[tape->n_chunk++] = memory;
    }
    nde_tape_point(tape, slot)->place = place;
    note_use(tape);
    return true;
}

static void state_refs(const NdeTape *tape, int slot, int from, int n, NdeRef *to)
{
    char *turn = tape->turn + (size_t)(slot % 2) * tape->turn_bytes;
    char *at = place_memory(tape, nde_tape_point(tape, slot)->place);
    const NdeAway *away = slot == tape->first.slot ? &tape->first : slot == tape->last.slot ? &tape->last : NULL;
    for (int k = from; k < from + n; k++, to++)
        if (away && away->at[k].at)
            *to = away->at[k];
        else
            *to = (NdeRef){(tape->is_turning[k] ? turn : at) + tape->offset[k], tape->step[k]};
}

NdeRef nde_tape_state(const NdeTape *tape, int slot, int k)
{
    NdeRef ref;
    state_refs(tape, slot, k, 1, &ref);
    return ref;
}

void nde_tape_states(const NdeTape *tape, int slot, int n, NdeRef *to)
{
    state_refs(tape, slot, 0, n, to);
}

int nde_tape_left(const NdeTape *tape)
{
    if (!tape->bound)
        return 0; /* every slot is there */
    size_t used = (size_t)(tape->places - tape->n_free), most = capacity(tape) - used - (PASSING - 1);
    return most < INT_MAX ? (int)most : INT_MAX;
}

/* ---- residuals ---- */

bool nde_tape_keeps(const NdeTape *tape, int slot)
{
    return slot < tape->rests;
}

void nde_tape_keep(NdeTape *tape)
{
    size_t rests = (size_t)tape->rests + 1;
    bool fits = tape->bound ? wanted(tape) * tape->slot_bytes + (rests + 1) * tape->rest_bytes <= tape->bytes
                            : rests <= tape->budget / (tape->rest_bytes + 1);
    if (tape->is_kept && tape->rests == tape->n && fits)
        tape->rests++;
}

bool nde_tape_rest(NdeEngine *e, NdeTape *tape, int slot, int k, int n, NdeRef *to)
{
    int place = nde_tape_keeps(tape, slot) ? slot + 1 : 0;
    char *at = tape->bound ? tape->region + tape->bytes - (size_t)(place + 1) * tape->rest_bytes : NULL;
    if (!tape->bound) {
        if (!has_room(e, &tape->rest, &tape->room_rest, place))
            return false;
        for (; tape->n_rest <= place; tape->n_rest++)
            tape->rest[tape->n_rest] = NULL;
        if (!tape->rest[place] && !(tape->rest[place] = aligned_memory(e, tape->rest_bytes)))
            return false;
        at = tape->rest[place];
    }
    note_use(tape);
    for (int i = 0; i < n; i++)
        to[i] = (NdeRef){at + tape->offset[k + i], tape->step[k + i]};
    return true;
}

/* ---- points ---- */

int nde_tape_add(NdeEngine *e, NdeTape *tape, double t)
{
    int most = tape->ring ? tape->ring - 1 : tape->n + 1;
    if (most >= tape->room) {
        int room = tape->room ? 2 * tape->room : 64;
        NdePoint *point = nde_enlarge(tape->point, (size_t)room, sizeof *point, e->error);
        if (!point)
            return e->error->exit_code;
        tape->point = point;
        tape->room = room;
        e->allocations++;
    }
    nde_tape_point(tape, tape->n)->t = t;
    nde_tape_point(tape, tape->n)->h = 0;
    nde_tape_point(tape, tape->n + 1)->place = -1;
    return 0;
}

int nde_tape_begin(NdeEngine *e, NdeFlow *f, bool is_kept, double t0)
{
    NdeTape *tape = &f->tape;
    tape->n = tape->rests = tape->places = tape->n_free = 0;
    tape->stride = 1;
    tape->free = -1;
    tape->first.slot = tape->last.slot = -1;
    tape->is_undone = f->solve->inverse != NULL;
    tape->is_kept = is_kept && !tape->is_undone;
    bool is_fixed = f->solve->set_fixed >= 0 && e->setting[f->solve->set_fixed] > 0;
    tape->ring = tape->is_undone && is_fixed ? RING : 0;
    tape->bound = tape->is_kept ? bound_of(e, f) : 0;
    int status = tape->bound ? nde_tape_check(e, f) : 0;
    if (!status && tape->bound)
        status = reserve(e, tape, point_count(e, f->solve));
    if (!status)
        status = nde_tape_add(e, tape, t0);
    if (status)
        return status;
    nde_tape_point(tape, 0)->place = -1;
    return nde_tape_open(e, tape, 0) ? 0 : e->error->exit_code;
}

void nde_tape_drop(NdeTape *tape)
{
    for (int i = 0; i < tape->n_chunk; i++)
        free(tape->chunk[i]);
    for (int i = 0; i < tape->n_rest; i++)
        free(tape->rest[i]);
    free(tape->rest);
    free(tape->chunk);
    free(tape->region);
    free(tape->point);
    tape->rest = tape->chunk = NULL;
    tape->region = NULL;
    tape->point = NULL;
    tape->n_chunk = tape->room_chunk = tape->n_rest = tape->room_rest = tape->n = tape->room = 0;
    tape->bytes = tape->most = 0;
}

void nde_tape_free(NdeTape *tape)
{
    nde_tape_drop(tape);
    *tape = (NdeTape){0};
}
