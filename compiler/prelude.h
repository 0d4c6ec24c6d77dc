/* prelude.h: the prelude's files as text; the array is made by the Makefile and ends with a NULL name. */
#ifndef NDEC_PRELUDE_H
#define NDEC_PRELUDE_H

struct PreludeFile {
    const char *name, *text;
};
extern const struct PreludeFile prelude_file[];

#endif
