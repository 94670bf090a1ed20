#include "yaml_parts.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <libfyaml.h>
#include <string.h>

#define KEYS_MAX  64   /* of one table */
#define ITEMS_MAX 4096 /* of one list or one free mapping */

CLEANUP_OF(fy_parser_drop, struct fy_parser *, fy_parser_destroy)
CLEANUP_OF(fy_diag_drop, struct fy_diag *, fy_diag_destroy)
CLEANUP_OF(fy_text_drop, char *, free)

struct loader {
    const char *file, *source;
    struct yaml_report *report;
};

static void complain(struct loader *in, struct yaml_at at, const char *help, const char *format,
                     ...) FORMAT(4, 5);
static void complain(struct loader *in, struct yaml_at at, const char *help, const char *format,
                     ...)
{
    CLEANUP(str_free) struct str text = { 0 };
    va_list ap;
    va_start(ap, format);
    str_vaddf(&text, format, ap);
    va_end(ap);
    yaml_report_text(in->report, in->file, in->source, at, str_text(&text), help);
}

/* Where a node stands; mappings and lists have no mark of their own, so their first member's
 * counts. */
static struct yaml_at node_at(struct fy_node *node, struct yaml_at otherwise)
{
    while (node) {
        if (fy_node_is_mapping(node)) {
            struct fy_node_pair *pair = fy_node_mapping_get_by_index(node, 0);
            node = pair ? fy_node_pair_key(pair) : NULL;
        } else if (fy_node_is_sequence(node)) {
            node = fy_node_sequence_get_by_index(node, 0);
        } else {
            break;
        }
    }
    struct fy_token *token = node ? fy_node_get_scalar_token(node) : NULL;
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
    if (!mark)
        return otherwise;
    enum fy_node_style style = fy_node_get_style(node);
    /* The mark of a quoted text or an alias is behind its first character. */
    bool inside = style == FYNS_SINGLE_QUOTED || style == FYNS_DOUBLE_QUOTED || style == FYNS_ALIAS;
    return (struct yaml_at){ mark->line + 1, mark->column + (inside && mark->column > 0 ? 0 : 1) };
}

/* The scalar's text, owned; NULL after a complaint when the node is something else. */
static char *scalar_text(struct loader *in, struct fy_node *node, struct yaml_at at,
                         const char *what, const char *help)
{
    size_t len = 0;
    if (node && fy_node_is_alias(node)) {
        complain(in, at, help, "%s: aliases (*name) are not allowed here", what);
        return NULL;
    }
    if (node && fy_node_get_tag_token(node)) {
        complain(in, at, help, "%s: tags (!name) are not allowed here", what);
        return NULL;
    }
    if (node && !fy_node_is_scalar(node)) {
        complain(in, at, help, "%s needs a single value, not a %s", what,
                 fy_node_is_mapping(node) ? "mapping" : "list");
        return NULL;
    }
    const char *text = node ? fy_node_get_scalar(node, &len) : NULL;
    if (!text || (len == 0 && fy_node_get_style(node) == FYNS_PLAIN)) {
        complain(in, at, help, "%s has no value", what);
        return NULL;
    }
    if (memchr(text, '\0', len)) {
        complain(in, at, help, "%s holds a zero byte", what);
        return NULL;
    }
    return text_printf("%.*s", (int)len, text);
}

static void scalar_read(struct loader *in, const struct yaml_field *field, enum yaml_kind kind,
                        struct fy_node *node, struct yaml_at at, void *to)
{
    CLEANUP(str_free) struct str why = { 0 };
    CLEANUP(fy_text_drop) char *text = scalar_text(in, node, at, field->key, field->help);
    if (text && !yaml_scalar(field, kind, text, to, &why))
        complain(in, at, field->help, "%s: %s", field->key, str_text(&why));
}

static bool shape_is(struct loader *in, const struct yaml_field *field, struct fy_node *node,
                     struct yaml_at at)
{
    bool list = field->kind == YAML_LIST;
    if (node && !fy_node_is_alias(node) &&
        (list ? fy_node_is_sequence(node) : fy_node_is_mapping(node))) {
        if (!fy_node_get_tag_token(node))
            return true;
        complain(in, at, field->help, "%s: tags (!name) are not allowed here", field->key);
    } else if (node && fy_node_is_alias(node)) {
        complain(in, at, field->help, "%s: aliases (*name) are not allowed here", field->key);
    } else {
        complain(in, at, field->help, "%s needs a %s", field->key,
                 list ? "list: \"- item\" on lines of their own, or [item, item]"
                      : "mapping: \"key: value\"");
    }
    return false;
}

static void map_read(struct loader *in, const char *what, const struct yaml_field *fields,
                     struct fy_node *node, struct yaml_at at, char *out);

static size_t list_item_size(const struct yaml_field *field)
{
    if (field->item_size)
        return field->item_size;
    return sizeof(char *);
}

static void item_read(struct loader *in, struct yaml_field *item, struct fy_node *node,
                      struct yaml_at at, void *place)
{
    item->kind = item->fields ? YAML_MAP : item->item;
    if (!item->fields)
        scalar_read(in, item, item->item, node, at, place);
    else if (shape_is(in, item, node, at))
        map_read(in, item->key, item->fields, node, at, place);
}

static void list_read(struct loader *in, const struct yaml_field *field, struct fy_node *node,
                      struct yaml_at at, struct yaml_list *to)
{
    int count = fy_node_sequence_item_count(node);
    uint64_t most = field->max ? field->max : ITEMS_MAX;
    if ((uint64_t)count < field->min || (uint64_t)count > most) {
        complain(in, at, field->help, "%s has %d items; it takes %llu to %llu", field->key, count,
                 (unsigned long long)field->min, (unsigned long long)most);
        return;
    }
    size_t size = list_item_size(field);
    to->items = mem_zero((size_t)count + 1, size);
    to->at = mem_zero((size_t)count + 1, sizeof *to->at);
    to->count = (size_t)count;
    void *iter = NULL;
    /* The bounds of the field are those of the list, not of its items. */
    struct yaml_field item = *field;
    item.min = item.max = 0;
    for (size_t i = 0; i < to->count; i++) {
        struct fy_node *member = fy_node_sequence_iterate(node, &iter);
        char *place = (char *)to->items + i * size;
        to->at[i] = node_at(member, at);
        item_read(in, &item, member, to->at[i], place);
    }
}

/* One item that stands where its list is allowed to be left out. */
static void single_read(struct loader *in, const struct yaml_field *field, struct fy_node *node,
                        struct yaml_at at, struct yaml_list *to)
{
    struct yaml_field item = *field;
    item.min = item.max = 0;
    to->items = mem_zero(2, list_item_size(field));
    to->at = mem_zero(2, sizeof *to->at);
    to->count = 1;
    to->at[0] = at;
    item_read(in, &item, node, at, to->items);
}

static bool key_seen(struct fy_node *node, int before, const char *key)
{
    for (int i = 0; i < before; i++) {
        size_t len = 0;
        struct fy_node *other = fy_node_pair_key(fy_node_mapping_get_by_index(node, i));
        const char *text =
            other && fy_node_is_scalar(other) ? fy_node_get_scalar(other, &len) : NULL;
        if (text && len == strlen(key) && memcmp(text, key, len) == 0)
            return true;
    }
    return false;
}

static void pairs_read(struct loader *in, const struct yaml_field *field, struct fy_node *node,
                       struct yaml_at at, struct yaml_list *to)
{
    int count = fy_node_mapping_item_count(node);
    uint64_t most = field->max ? field->max : 64;
    if ((uint64_t)count < field->min || (uint64_t)count > most) {
        complain(in, at, field->help, "%s has %d pairs; it takes %llu to %llu", field->key, count,
                 (unsigned long long)field->min, (unsigned long long)most);
        return;
    }
    struct yaml_pair *pairs = mem_zero((size_t)count + 1, sizeof *pairs);
    to->items = pairs;
    for (int i = 0; i < count; i++) {
        struct fy_node_pair *member = fy_node_mapping_get_by_index(node, i);
        struct yaml_at key_at = node_at(fy_node_pair_key(member), at);
        struct yaml_pair *pair = &pairs[to->count];
        CLEANUP(fy_text_drop)
        char *key = scalar_text(in, fy_node_pair_key(member), key_at, field->key, field->help);
        if (!key)
            continue;
        if (key_seen(node, i, key)) {
            complain(in, key_at, NULL, "duplicate key \"%s\" in %s", key, field->key);
            continue;
        }
        struct yaml_at value_at = node_at(fy_node_pair_value(member), key_at);
        pair->value = scalar_text(in, fy_node_pair_value(member), value_at, key, field->help);
        if (!pair->value)
            continue;
        pair->key = TAKE(key);
        pair->at = key_at;
        to->count++;
    }
}

static void field_read(struct loader *in, const struct yaml_field *field, struct fy_node *node,
                       struct yaml_at key_at, char *out)
{
    struct yaml_at at = node_at(node, key_at);
    void *to = out + field->offset;
    if (field->at_offset)
        *(struct yaml_at *)(void *)(out + field->at_offset) = at;
    if (yaml_kind_is_scalar(field->kind)) {
        scalar_read(in, field, field->kind, node, at, to);
        return;
    }
    if (field->single && node &&
        (field->fields ? fy_node_is_mapping(node) : fy_node_is_scalar(node))) {
        single_read(in, field, node, at, to);
        return;
    }
    if (!shape_is(in, field, node, at))
        return;
    if (field->kind == YAML_LIST)
        list_read(in, field, node, at, to);
    else if (field->kind == YAML_PAIRS)
        pairs_read(in, field, node, at, to);
    else
        map_read(in, field->key, field->fields, node, at, to);
}

/* Answers the known key that was probably meant, or NULL. */
static const char *unknown_key(struct loader *in, const char *what, const struct yaml_field *fields,
                               const char *key, struct yaml_at at)
{
    CLEANUP(str_free) struct str text = { 0 };
    const char *words[KEYS_MAX + 1] = { NULL };
    for (size_t i = 0; i < KEYS_MAX && fields[i].key; i++)
        words[i] = fields[i].key;
    str_addf(&text, "unknown key \"%s\" in %s", key, what);
    const char *meant = yaml_suggest(key, words);
    if (meant) {
        yaml_suggest_add(&text, key, words);
    } else {
        str_add(&text, "; known keys:");
        for (size_t i = 0; words[i]; i++)
            str_addf(&text, "%s %s", i ? "," : "", words[i]);
    }
    complain(in, at, NULL, "%s", str_text(&text));
    return meant;
}

/* A key that is there under a wrong spelling is not missing as well. */
static void missing_keys(struct loader *in, const char *what, const struct yaml_field *fields,
                         const bool *seen, const char *const *meant, struct yaml_at at)
{
    for (size_t f = 0; f < KEYS_MAX && fields[f].key; f++) {
        bool misspelt = false;
        for (size_t i = 0; meant[i]; i++)
            misspelt = misspelt || strcmp(meant[i], fields[f].key) == 0;
        if (fields[f].needed && !seen[f] && !misspelt)
            complain(in, at, fields[f].help, "missing key \"%s\" in %s", fields[f].key, what);
    }
}

static void map_read(struct loader *in, const char *what, const struct yaml_field *fields,
                     struct fy_node *node, struct yaml_at at, char *out)
{
    bool seen[KEYS_MAX] = { false };
    const char *meant[KEYS_MAX + 1] = { NULL };
    size_t meant_count = 0;
    int count = fy_node_mapping_item_count(node);
    for (int i = 0; i < count; i++) {
        struct fy_node_pair *pair = fy_node_mapping_get_by_index(node, i);
        struct yaml_at key_at = node_at(fy_node_pair_key(pair), at);
        CLEANUP(fy_text_drop)
        char *key = scalar_text(in, fy_node_pair_key(pair), key_at, "a key", NULL);
        size_t f = 0;
        if (!key)
            continue;
        while (f < KEYS_MAX && fields[f].key && strcmp(fields[f].key, key) != 0)
            f++;
        if (f == KEYS_MAX || !fields[f].key) {
            const char *near = unknown_key(in, what, fields, key, key_at);
            if (near && meant_count < KEYS_MAX)
                meant[meant_count++] = near;
        } else if (seen[f]) {
            complain(in, key_at, NULL, "duplicate key \"%s\" in %s", key, what);
        } else {
            seen[f] = true;
            field_read(in, &fields[f], fy_node_pair_value(pair), key_at, out);
        }
    }
    missing_keys(in, what, fields, seen, meant, at);
}

/* The parser's own complaints about the syntax; "indendation" is its spelling, not ours. */
static void syntax_report(struct loader *in, struct fy_diag *diag)
{
    void *iter = NULL;
    struct fy_diag_error *error;
    int before = in->report->errors;
    while ((error = fy_diag_errors_iterate(diag, &iter))) {
        CLEANUP(str_free) struct str text = { 0 };
        const char *msg = error->msg ? error->msg : "no valid YAML",
                   *slip = strstr(msg, "indendation");
        if (slip)
            str_addf(&text, "%.*sindentation%s", (int)(slip - msg), msg,
                     slip + strlen("indendation"));
        else
            str_add(&text, msg);
        complain(in, (struct yaml_at){ error->line, error->column }, NULL, "%s", str_text(&text));
    }
    if (in->report->errors == before)
        complain(in, (struct yaml_at){ 1, 1 }, NULL, "no valid YAML");
}

static void root_read(struct loader *in, struct fy_node *root, const struct yaml_field *fields,
                      void *out)
{
    struct yaml_at start = { 1, 1 };
    struct yaml_at at = node_at(root, start);
    if (!root || (fy_node_is_scalar(root) && !fy_node_get_scalar_length(root)))
        complain(in, (struct yaml_at){ 0, 0 }, NULL, "the file holds no keys");
    else if (!fy_node_is_mapping(root))
        complain(in, at, NULL, "the file must be a mapping: \"key: value\" lines");
    else
        map_read(in, "the file", fields, root, at, out);
}

static int documents_read(struct loader *in, size_t len, const struct yaml_field *fields, void *out,
                          struct err *err)
{
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    CLEANUP(fy_diag_drop) struct fy_diag *diag = fy_diag_create(&diag_cfg);
    if (!diag)
        return err_set(err, FAIL_INTERNAL, "cannot make a YAML parser");
    fy_diag_set_collect_errors(diag, true);
    /* Duplicates are let through here so that they are ours to report, with all the other errors.
     * Aliases stay unresolved, so an alias bomb stays as small as its text. */
    struct fy_parse_cfg cfg = { .flags = FYPCF_ALLOW_DUPLICATE_KEYS | FYPCF_DEFAULT_VERSION_1_2 |
                                         FYPCF_JSON_NONE,
                                .diag = diag };
    CLEANUP(fy_parser_drop) struct fy_parser *parser = fy_parser_create(&cfg);
    if (!parser || fy_parser_set_string(parser, in->source, len) != 0)
        return err_set(err, FAIL_INTERNAL, "cannot make a YAML parser");
    struct fy_document *document = fy_parse_load_document(parser), *second = NULL;
    if (document)
        second = fy_parse_load_document(parser);
    if (fy_parser_get_stream_error(parser))
        syntax_report(in, diag);
    else
        root_read(in, document ? fy_document_root(document) : NULL, fields, out);
    if (second)
        complain(in, node_at(fy_document_root(second), (struct yaml_at){ 0, 0 }), NULL,
                 "a second document begins here; the file holds one");
    if (second)
        fy_parse_document_destroy(parser, second);
    if (document)
        fy_parse_document_destroy(parser, document);
    return 0;
}

int yaml_load_text(const char *name, const char *text, size_t len, const struct yaml_field *fields,
                   void *out, struct yaml_report *report, struct err *err)
{
    int before = report->errors;
    CLEANUP(fy_text_drop) char *source = NULL;
    if (len > YAML_SIZE_MAX)
        return err_set(err, FAIL_LIMIT, "%s: %zu bytes, but at most %d are read", name, len,
                       YAML_SIZE_MAX);
    source = mem_zero(len + 1, 1);
    if (len > 0)
        memcpy(source, text, len);
    struct loader in = { name, source, report };
    if (memchr(source, '\0', len))
        complain(&in, (struct yaml_at){ 0, 0 }, NULL,
                 "the file holds a zero byte; it must be UTF-8 text");
    else if (!text_is_utf8(source, len))
        complain(&in, (struct yaml_at){ 0, 0 }, NULL, "the file is not UTF-8 text");
    else if (documents_read(&in, len, fields, out, err) != 0)
        return -FAIL_INTERNAL;
    if (report->errors > before)
        return err_set(err, FAIL_USAGE, "%s: %d error%s", name, report->errors - before,
                       report->errors - before == 1 ? "" : "s");
    return 0;
}

int yaml_load(const char *path, const struct yaml_field *fields, void *out,
              struct yaml_report *report, char **ret_source, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    int result = fs_read(path, YAML_SIZE_MAX, &text, err);
    if (result != 0)
        return result;
    result = yaml_load_text(path, str_text(&text), text.len, fields, out, report, err);
    if (ret_source)
        *ret_source = text_dup(str_text(&text));
    return result;
}

static void list_free(const struct yaml_field *field, struct yaml_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        char *item = (char *)list->items + i * list_item_size(field);
        if (field->fields)
            yaml_free(field->fields, item);
        else if (yaml_kind_is_text(field->item))
            free_mem(item);
    }
    free(list->items);
    free(list->at);
    *list = (struct yaml_list){ 0 };
}

static void pairs_free(struct yaml_list *list)
{
    struct yaml_pair *pairs = list->items;
    for (size_t i = 0; i < list->count; i++) {
        free(pairs[i].key);
        free(pairs[i].value);
    }
    free(list->items);
    *list = (struct yaml_list){ 0 };
}

void yaml_free(const struct yaml_field *fields, void *out)
{
    for (; fields->key; fields++) {
        void *value = (char *)out + fields->offset;
        if (yaml_kind_is_text(fields->kind))
            free_mem(value);
        else if (fields->kind == YAML_LIST)
            list_free(fields, value);
        else if (fields->kind == YAML_PAIRS)
            pairs_free(value);
        else if (fields->kind == YAML_MAP)
            yaml_free(fields->fields, value);
    }
}
