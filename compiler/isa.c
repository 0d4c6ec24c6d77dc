/* isa.c: the instruction sets that a program can be built for.
 *
 * Needs: isa.def.  Gives: a set by its name, or a message; the name of this processor.
 * Elsewhere: building for it (toolchain.c); choosing one when a program starts (runtime/variant.c). */
#include "isa.h"

#include <stdio.h>
#include <string.h>

/* A program is linked with ndec's own runtime, so it is for ndec's own kind of machine. */
enum {
    ANY = true,
#if defined(__x86_64__)
    X86 = true,
    ARM = false
#elif defined(__aarch64__)
    X86 = false,
    ARM = true
#else
    X86 = false,
    ARM = false
#endif
};
#if defined(__aarch64__)
#define NATIVE "-mcpu=native" /* clang knows no -march=native there before version 16 */
#else
#define NATIVE "-march=native"
#endif

const Isa isa_row[ISA_COUNT] = {
#define ISA(name, machine, flag, is_level, what) {#name, what, flag, machine, is_level},
#include "isa.def"
#undef ISA
};

void isa_list(FILE *to)
{
    const char *comma = "";
    for (int i = 0; i < ISA_COUNT; i++)
        if (isa_row[i].is_here) {
            fprintf(to, "%s%s", comma, isa_row[i].name);
            comma = ", ";
        }
    fputc('\n', to);
}

const Isa *isa_find(const char *name)
{
    int i = 0;
    while (i < ISA_COUNT && !str_eq(name, isa_row[i].name))
        i++;
    if (i < ISA_COUNT && isa_row[i].is_here)
        return &isa_row[i];
    if (i < ISA_COUNT)
        fprintf(stderr, "ndec: --isa %s (%s) is for another kind of machine. Here there are: ", name, isa_row[i].what);
    else
        fprintf(stderr, "ndec: there is no instruction set '%s'. There are: ", name);
    isa_list(stderr);
    return NULL;
}

/* The lines of the first processor in /proc/cpuinfo that say what it is, and not how fast it is just now. */
const char *isa_processor(Arena *a)
{
    static const char *const telling[] = {"vendor_id",       "cpu family",  "model",    "stepping", "flags", /* x86 */
                                          "CPU implementer", "CPU variant", "CPU part", "Features" /* ARM */};
    char line[8192];
    const char *text = "";
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f) && line[0] != '\n')
        for (size_t i = 0; i < sizeof telling / sizeof *telling; i++)
            if (!strncmp(line, telling[i], strlen(telling[i])))
                text = str_format(a, "%s%s", text, line);
    if (f)
        fclose(f);
    return text;
}
