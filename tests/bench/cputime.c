/* cputime.c: a clock for machines that do other things too. Loaded before a program (LD_PRELOAD), its CLOCK_MONOTONIC
 * counts the processor time of the process: what it is made to wait for others is left out, in every program alike. For
 * programs of one thread; a reading costs a system call, so not for what takes microseconds. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    return (int)syscall(SYS_clock_gettime, clock == CLOCK_MONOTONIC ? CLOCK_PROCESS_CPUTIME_ID : clock, now);
}
