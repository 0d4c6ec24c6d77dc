/* ast.c: nodes of the tree, and its printer.
 *
 * Needs: an arena.  Gives: nodes with their depth, and the text of --dump=ast.
 * Elsewhere: who builds the tree (grammar/parser.y), what it means (the checker). */
#include "ast.h"

#include <string.h>

Node *ast_new(Arena *a, NodeKind kind, Span span, const char *text, int n, Node **kid)
{
    Node *node = ARENA_NEW(a, Node, 1);
    *node = (Node){.kind = kind, .span = span, .text = text, .n = n, .depth = 1};
    if (n)
        node->kid = ARENA_NEW(a, Node *, n);
    for (int i = 0; i < n; i++) {
        node->kid[i] = kid[i];
        if (kid[i] && kid[i]->depth >= node->depth)
            node->depth = kid[i]->depth + 1;
    }
    return node;
}

const char *ast_kind_name(NodeKind kind)
{
    static const char *const name[] = {
#define KIND(id, text, kid) #id,
        NODE_KINDS(KIND)
#undef KIND
    };
    return name[kind];
}

static void print_doc(Text *t, const char *doc)
{
    while (*doc) {
        size_t n = strcspn(doc, "\n");
        text_line(t, "# %.*s", (int)n, doc);
        doc += n + (doc[n] == '\n');
    }
}

void ast_print(Text *t, const Node *node)
{
    if (!node) {
        text_line(t, "-");
        return;
    }
    if (node->doc)
        print_doc(t, node->doc);
    int line, column;
    span_line(node->span, &line, &column);
    const char *quote = node->kind == NODE_STRING || node->kind == NODE_INCLUDE ? "\"" : "";
    text_line(t, "%s %d:%d%s%s%s%s%s", ast_kind_name(node->kind), line, column, node->text ? " " : "", quote,
              node->text ? node->text : "", quote, node->is_frozen ? " frozen" : "");
    t->depth++;
    for (int i = 0; i < node->n; i++)
        ast_print(t, node->kid[i]);
    t->depth--;
}

bool ast_mentions(const Node *e, const char *name)
{
    bool is_there = e->kind == NODE_NAME && str_eq(e->text, name);
    for (int i = 0; !is_there && i < e->n; i++)
        is_there = e->kid[i] && ast_mentions(e->kid[i], name);
    return is_there;
}
