/* parse.c: any bytes make a tree and messages, and nothing worse.
 *
 * Needs: libFuzzer; with -DREPLAY it is a program that runs the files it is given.  Checks: spans lie within the
 * source and within the span of the node above, depths are kept, and a tree without messages has no ERROR in it. */
#include "ast.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "parse: %s\n", what);
    abort();
}

static void check(const Node *node, const Source *source, bool is_clean)
{
    require(node->span.source == source, "a span is of another source");
    require((size_t)node->span.at + node->span.n <= source->n, "a span ends behind the source");
    require(node->depth >= 1 && node->depth <= AST_DEPTH + 2, "the tree is too deep");
    require(!is_clean || node->kind != NODE_ERROR, "an ERROR without a message");
    for (int i = 0; i < node->n; i++) {
        const Node *kid = node->kid[i];
        if (!kid)
            continue;
        require(kid->span.at >= node->span.at, "a node starts before the one above it");
        require(kid->span.at + kid->span.n <= node->span.at + node->span.n, "a node ends behind the one above it");
        require(kid->depth < node->depth, "a depth is wrong");
        check(kid, source, is_clean);
    }
}

static void run(Node *(*parser)(Arena *, const Source *, Diags *), const uint8_t *data, size_t n)
{
    /* An exact copy without a NUL behind it, so that a sanitizer sees whoever reads on. */
    char *text = malloc(n ? n : 1);
    require(text, "out of memory");
    for (size_t i = 0; i < n; i++)
        text[i] = (char)data[i];
    Arena *a = arena_new();
    Source source = {.name = "fuzz.nde", .text = text, .n = n};
    Diags *d = diag_new(a);
    Node *tree = parser(a, &source, d);
    check(tree, &source, diag_errors(d) == 0);
    Text t = text_new(a);
    ast_print(&t, tree);
    FILE *sink = fopen("/dev/null", "w");
    require(sink, "no /dev/null");
    require((diag_print(d, sink, false) > 0) == (diag_errors(d) > 0), "errors are counted otherwise than printed");
    fclose(sink);
    arena_free(a);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    run(parse, data, n);
    run(parse_expr, data, n);
    return 0;
}

#ifdef REPLAY
int main(int argc, char **argv)
{
    enum { MOST = 1 << 20 };
    uint8_t *data = malloc(MOST);
    require(data, "out of memory");
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file) {
            perror(argv[i]);
            return 2;
        }
        size_t n = fread(data, 1, MOST, file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, n);
    }
    free(data);
    printf("parse: %d files replayed\n", argc - 1);
    return 0;
}
#endif
