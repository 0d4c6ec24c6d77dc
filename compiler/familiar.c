/* familiar.c: words of other tools.
 *
 * Needs: familiar.def.  Gives: how a word that means nothing here is written, for the help of a message.
 * Elsewhere: the nearest word of the language (str.c). */
#include "base.h"

#include <stddef.h>

const char *familiar_text(const char *place, const char *word)
{
    static const struct {
        const char *place, *word, *text;
    } row[] = {
#define FAMILIAR(place, word, text) {#place, word, text},
#include "familiar.def"
#undef FAMILIAR
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (str_eq(row[i].place, place) && str_eq(row[i].word, word))
            return row[i].text;
    return NULL;
}

bool familiar_help(Diags *d, const char *place, const char *word)
{
    const char *text = familiar_text(place, word);
    if (text)
        diag_help(d, "that is written, for example,  %s", text);
    return text != NULL;
}
