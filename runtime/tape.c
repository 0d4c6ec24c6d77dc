/* tape.c: the states and carries at the ends of accepted steps, which the reverse of a solve reads.
 *
 * Needs: the sizes of a slot. Gives: slots that stay where they are, and the times between them. Stage derivatives are
 * not kept: they are several states for each step, most steps hold no saved time, and running one step again costs less
 * than a third of its reverse.
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

static char *aligned_chunk(NdeEngine *e, size_t slot_bytes)
{
    size_t bytes = NDE_CHUNK_SLOTS;
    if (!nde_times(&bytes, slot_bytes)) {
        nde_fail(e->error, NDE_EXIT_MEMORY, "a step of this model is too large for this machine: use a smaller batch");
        return NULL;
    }
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
    int place = tape->is_kept ? slot : slot % 2;
    char *at = tape->chunk[place / NDE_CHUNK_SLOTS] + (size_t)(place % NDE_CHUNK_SLOTS) * tape->slot_bytes;
    return (NdeRef){at + tape->offset[k], tape->step[k]};
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
    return (size_t)tape->n_chunk * NDE_CHUNK_SLOTS * tape->slot_bytes;
}

void nde_tape_free(NdeTape *tape)
{
    for (int i = 0; i < tape->n_chunk; i++)
        free(tape->chunk[i]);
    free(tape->chunk);
    free(tape->point);
    free(tape->quantity);
    *tape = (NdeTape){0};
}
