/* lash_store.records._encoder: records as JSON and MessagePack, straight from their attributes.
 *
 * Everything that is usual is written here, in one pass and without a single object in between. Whatever is not (a
 * wrong type, a number out of range, a lone surrogate, a subclass, keys of a later version, ...) is answered with None:
 * then Python, which knows the rules in full, writes it or says what is wrong. `encoder.py` makes the tables,
 * _encoder.pyi is the contract.
 *
 * Rules of this file and its neighbours: nothing is borrowed across a call that could run code of Python's; there is no
 * mutable state; the interpreter's lock is held throughout, since the values are the caller's and may change.
 */
#include "encoder.h"

/* Set by the build that tests under sanitizers, so that a test can prove they were on. */
#ifndef LASH_SANITIZERS
#define LASH_SANITIZERS ""
#endif

#define FIRST_ROOM 2048

static const encoder_state *state_of(PyObject *self)
{
    return PyType_GetModuleState(Py_TYPE(self));
}

static PyObject *written(PyObject *self, PyObject *value, language wording)
{
    const writer *with = (writer *)self;
    output out = {.wording = wording, .state = state_of(self)};
    PyObject *result = NULL;
    if (with->root == NULL) {
        Py_RETURN_NONE;
    }
    status done = out_reserve(&out, FIRST_ROOM);
    if (done == WROTE) {
        done = write_form(&out, with->root, value);
    }
    if (done == WROTE) {
        result = PyBytes_FromStringAndSize(out.start, (Py_ssize_t)out.length);
    }
    else if (done == NOT_MINE) {
        result = Py_NewRef(Py_None);
    }
    PyMem_Free(out.start);
    return result;
}

static PyObject *compact(PyObject *self, PyObject *value)
{
    return written(self, value, COMPACT);
}

static PyObject *hashed(PyObject *self, PyObject *value)
{
    return written(self, value, HASHED);
}

static PyObject *packed(PyObject *self, PyObject *value)
{
    return written(self, value, PACKED);
}

static PyObject *define(PyObject *self, PyObject *table)
{
    writer *defined = (writer *)self;
    if (defined->table != NULL) {
        PyErr_SetString(PyExc_ValueError, "the writer has its table already");
        return NULL;
    }
    defined->table = Py_NewRef(table);
    defined->root = read_table(defined, state_of(self), table);
    if (defined->root == NULL) {
        return NULL;    /* it keeps the table, and writes nothing */
    }
    Py_RETURN_NONE;
}

static int writer_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((writer *)self)->table);
    return 0;
}

static int writer_clear(PyObject *self)
{
    writer *cleared = (writer *)self;
    cleared->root = NULL;    /* it borrows from the table */
    free_blocks(cleared->memory);
    cleared->memory = NULL;
    Py_CLEAR(cleared->table);
    return 0;
}

static void writer_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    writer_clear(self);
    freefunc give_back = (freefunc)PyType_GetSlot(type, Py_tp_free);
    give_back(self);
    Py_DECREF(type);
}

static PyMethodDef WRITER_METHODS[] = {
    {"compact", compact, METH_O, "compact(value) -> JSON in declared order, or None"},
    {"define", define, METH_O, "define(table), once"},
    {"hashed", hashed, METH_O, "hashed(value) -> the JSON that is hashed, or None"},
    {"packed", packed, METH_O, "packed(value) -> MessagePack in declared order, or None"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot WRITER_SLOTS[] = {
    {Py_tp_methods, WRITER_METHODS},
    {Py_tp_traverse, (void *)writer_traverse},
    {Py_tp_clear, (void *)writer_clear},
    {Py_tp_dealloc, (void *)writer_dealloc},
    {Py_tp_new, (void *)PyType_GenericNew},
    {0, NULL},
};

static PyType_Spec WRITER_SPEC = {
    .name = "lash_store.records._encoder.Writer",
    .basicsize = sizeof(writer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = WRITER_SLOTS,
};

static int on_load(PyObject *module)
{
    encoder_state *state = PyModule_GetState(module);
    fill_decimals();
    state->other_keys = PyUnicode_InternFromString("other_keys");
    state->writer_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &WRITER_SPEC, NULL);
    if (state->other_keys == NULL || state->writer_type == NULL || PyModule_AddType(module, state->writer_type) < 0) {
        return -1;
    }
    return PyModule_AddStringConstant(module, "SANITIZERS", LASH_SANITIZERS);
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    const encoder_state *state = PyModule_GetState(module);
    Py_VISIT(state->writer_type);
    return 0;
}

static int module_clear(PyObject *module)
{
    encoder_state *state = PyModule_GetState(module);
    Py_CLEAR(state->writer_type);
    Py_CLEAR(state->other_keys);
    return 0;
}

static void module_free(void *module)
{
    module_clear(module);
}

static PyModuleDef_Slot SLOTS[] = {
    {Py_mod_exec, on_load},
    {0, NULL},
};

static PyModuleDef DEFINITION = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "lash_store.records._encoder",
    .m_doc = "Records as JSON and MessagePack, straight from their attributes.",
    .m_size = sizeof(encoder_state),
    .m_slots = SLOTS,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__encoder(void)
{
    return PyModuleDef_Init(&DEFINITION);
}
