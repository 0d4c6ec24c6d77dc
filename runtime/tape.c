/* tape.c: what the reverse of a solve reads: states and carries at the ends of accepted steps, and the residuals of
 * the steps between them.
 *
 * Needs: the sizes of a slot and of the residuals. Gives: memory that stays where it is, and the times. Stage
 * derivatives for dense output are not kept: they are several states for each step, and most steps hold no saved time.
 * Elsewhere: who fills slots (solve.c) and who reads them backwards (adjoint.c). */
#include "run.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64 };

void nde_tape_reset(NdeTape *tape, bool is_kept)
{
    tape->n = 0;
    tape->is_kept = is_kept;
}

static char *aligned_memory(NdeEngine *e, size_t bytes)
{
    void *chunk = NULL;
    if (posix_memalign(&chunk, ALIGN, bytes ? bytes : ALIGN)) {
        nde_fail(e->error, NDE_EXIT_MEMORY,
                 "no memory for the steps of a solve (%zu bytes more): use a smaller batch or a looser tolerance",
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

char *nde_tape_slot(NdeEngine *e, NdeTape *tape, int slot)
{
    int place = tape->is_kept ? slot : slot % 2;
    int chunk = place / NDE_CHUNK_SLOTS;
    while (chunk >= tape->n_chunk) {
        if (tape->n_chunk == tape->room_chunk) {
            int room = tape->room_chunk ? 2 * tape->room_chunk : 16;
            char **grown = nde_enlarge(tape->chunk, (size_t)room, sizeof *grown, e->error);
            if (!grown)
                return NULL;
            tape->chunk = grown;
            tape->room_chunk = room;
            e->allocations++;
        }
        char *memory = aligned_chunk(e, tape->slot_bytes);
        if (!memory)
            return NULL;
        tape->chunk[tape->n_chunk++] = memory;
    }
    return tape->chunk[chunk] + (size_t)(place % NDE_CHUNK_SLOTS) * tape->slot_bytes;
}

NdeRef nde_tape_state(const NdeTape *tape, int slot, int k)
{
    if (tape->is_turning[k])
        return (NdeRef){tape->turn + (size_t)(slot % 2) * tape->turn_bytes + tape->offset[k], tape->step[k]};
    int place = tape->is_kept ? slot : slot % 2;
    char *at = tape->chunk[place / NDE_CHUNK_SLOTS] + (size_t)(place % NDE_CHUNK_SLOTS) * tape->slot_bytes;
    return (NdeRef){at + tape->offset[k], tape->step[k]};
}

/* ---- residuals ---- */
bool nde_tape_keeps(const NdeTape *tape, int slot)
{
    return tape->is_kept && (size_t)slot < tape->budget / (tape->rest_bytes + 1);
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

bool nde_tape_rest(NdeEngine *e, NdeTape *tape, int slot, int k, int n, NdeRef *to)
{
    int kept = (int)(tape->budget / (tape->rest_bytes + 1)), place = slot < kept ? slot : kept;
    if (!has_room(e, &tape->rest, &tape->room_rest, place))
        return false;
    for (; tape->n_rest <= place; tape->n_rest++)
        tape->rest[tape->n_rest] = NULL;
    if (!tape->rest[place] && !(tape->rest[place] = aligned_memory(e, tape->rest_bytes)))
        return false;
    for (int i = 0; i < n; i++)
        to[i] = (NdeRef){tape->rest[place] + tape->offset[k + i], tape->step[k + i]};
    return true;
}

int nde_tape_add(NdeEngine *e, NdeTape *tape, double t)
{
    if (tape->n + 1 >= tape->room) {
        int room = tape->room ? 2 * tape->room : 64;
        NdePoint *point = nde_enlarge(tape->point, (size_t)room, sizeof *point, e->error);
        if (!point)
            return e->error->exit_code;
        tape->point = point;
        double *quantity =
            nde_enlarge(tape->quantity, (size_t)room * (size_t)(tape->n_quantity + 1), sizeof *quantity, e->error);
        if (!quantity)
            return e->error->exit_code;
        tape->quantity = quantity;
        tape->room = room;
        e->allocations++;
    }
    tape->point[tape->n] = (NdePoint){t, 0};
    return 0;
}

size_t nde_tape_bytes(const NdeTape *tape)
{
    size_t bytes = (size_t)tape->n_chunk * NDE_CHUNK_SLOTS * tape->slot_bytes;
    for (int i = 0; i < tape->n_rest; i++)
        bytes += tape->rest[i] ? tape->rest_bytes : 0;
    return bytes;
}

void nde_tape_free(NdeTape *tape)
{
    for (int i = 0; i < tape->n_chunk; i++)
        free(tape->chunk[i]);
    for (int i = 0; i < tape->n_rest; i++)
        free(tape->rest[i]);
    free(tape->rest);
    free(tape->chunk);
    free(tape->point);
    free(tape->quantity);
    *tape = (NdeTape){0};
}
