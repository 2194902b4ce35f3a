/* What the parts of lash_store.records._encoder share: tables, output, and what each part does. */
#ifndef LASH_ENCODER_H
#define LASH_ENCODER_H

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

#define DEEPEST 127    /* levels that every JSON reader accepts; what nests deeper is left to Python */

/* NOT_MINE: Python must decide, and no exception is set. FAILED: one is. */
typedef enum { WROTE, NOT_MINE, FAILED } status;

typedef enum {
    COMPACT,    /* JSON, keys in declared order */
    HASHED,     /* JSON, keys sorted, without what differs between two attempts at one turn */
    PACKED,     /* MessagePack, keys in declared order */
} language;

typedef enum {
    BOOLEAN, BYTES, CONSTANT, FIELDS, FREE, INTEGER, LIST, MEMBER, NULLED, OPTIONAL, RECORD, SORTED_SET, TEXT,
    TRIMMED, WRAPPED,
    /* layouts of values that nobody here interprets */
    AS_GIVEN, MAP_OF, OCTETS, SORTED, STRUCT,
} form_kind;

typedef enum { NEVER, IF_NONE, IF_EMPTY, IF_HOLLOW } omission;

/* A key as it is written in both languages: `,"name":` and a MessagePack string. */
typedef struct {
    char *json;
    size_t json_length;
    char *packed;
    size_t packed_length;
} key_text;

typedef struct shape shape;

/* One key of a record or of a struct. The objects are borrowed from the table, which the writer holds. */
typedef struct {
    PyObject *name;
    key_text key;
    const shape *value;
    omission omit;       /* of a record's key */
    int inner;           /* the attribute is one of the object that lies at `through` */
    int scrubbed;        /* never hashed, though checked */
    PyObject *absent;    /* of a struct's key: see `layout.Key` */
    PyObject *needs;
    int always;
} entry;

/* The keys of one object. Of an `ambiguous` one it depends on its values whether its id is hashed. */
typedef struct {
    PyTypeObject *type;
    size_t count;
    entry *declared;
    entry **sorted;
    int ambiguous;
} listing;

/* One class or member among those that a value may be. */
typedef struct {
    PyObject *object;
    PyObject *writer;
    key_text key;    /* its JSON is `,"name":`; a member's text lies between the comma and the colon */
} choice;

struct shape {
    form_kind kind;
    int64_t low;
    uint64_t high;
    const shape *inner;
    size_t count;
    choice *choices;
    listing *listings;
    PyObject *through;    /* NULL, or the attribute whose keys lie beside the record's own; its class decides */
    key_text *variant;    /* NULL, or the one key around the record */
};

typedef struct {
    PyTypeObject *writer_type;
    PyObject *other_keys;
} encoder_state;

/* Blocks that are freed together. */
typedef struct block block;

typedef struct {
    PyObject_HEAD
    PyObject *table;
    shape *root;
    block *memory;
} writer;

typedef struct {
    char *start;
    size_t length;
    size_t room;
    int depth;
    language wording;
    const encoder_state *state;
} output;

/* A text as UTF-8, owned by its object. */
typedef struct {
    const char *start;
    size_t length;
} utf8;

/* output.c */
status out_reserve(output *out, size_t more);
status out_raw(output *out, const char *bytes, size_t length);
status out_key(output *out, const key_text *key);
status out_text(output *out, utf8 text);
status out_literal(output *out, PyObject *value);
void put_number(output *out, int mark, uint64_t number, int bytes);
status out_octets(output *out, PyObject *bytes);
status out_octet_list(output *out, PyObject *list);
status out_open(output *out, char mark, size_t count);
status out_close(output *out, size_t start, char open, char close);
status utf8_of(PyObject *text, utf8 *found);
void fill_decimals(void);

/* numbers.c */
status out_integer(output *out, PyObject *value, int64_t low, uint64_t high);
status out_double(output *out, PyObject *value);

/* opaque.c */
status write_free(output *out, const shape *layout, PyObject *value);
int is_never_hashed(utf8 key);

/* defaults.c */
status keys_are_plain(PyObject *dict);
status is_written(const entry *key, PyObject *value, int *written);
status is_hollow(const output *out, const shape *layout, PyObject *value, int *hollow);

/* records.c */
status write_form(output *out, const shape *form, PyObject *value);

/* table.c */
shape *read_table(writer *owner, const encoder_state *state, PyObject *table);
void free_blocks(block *newest);

#endif
