#include "executor.h"
#include "walwrite.h"

/* Set by the build that tests under sanitizers, so that a test can prove they were on. */
#ifndef LASH_SANITIZERS
#define LASH_SANITIZERS ""
#endif

static PyObject *libversion(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return lash_api ? PyUnicode_FromString(sqlite3_libversion()) : Py_NewRef(Py_None);
}

static PyObject *register_vfs(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    const char *name = lash_api ? lash_walwrite_register() : NULL;
    return name ? PyUnicode_FromString(name) : Py_NewRef(Py_None);
}

static void now_ms(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    (void)values;
    sqlite3_result_int64(context, lash_epoch_ms());
}

static PyObject *register_clock(PyObject *module, PyObject *connection)
{
    (void)module;
    sqlite3 *db = lash_api ? lash_pointer_of(connection) : NULL;
    if (db == NULL) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_RuntimeError, "no SQLite is attached; load this file as an extension first");
        }
        return NULL;
    }
    int rc = sqlite3_create_function_v2(db, "lash_now_ms", 0, SQLITE_UTF8, NULL, now_ms, NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        PyErr_Format(PyExc_RuntimeError, "SQLite refused the function lash_now_ms (code %d)", rc);
        return NULL;
    }
    return Py_NewRef(Py_None);
}

static int add_type(PyObject *module, PyType_Spec *spec, const char *name, PyObject **type)
{
    *type = PyType_FromModuleAndSpec(module, spec, NULL);
    return *type == NULL ? -1 : PyModule_AddObjectRef(module, name, *type);
}

static int intern(PyObject **place, const char *text)
{
    *place = PyUnicode_InternFromString(text);
    return *place == NULL ? -1 : 0;
}

static int import_errors(lash_module *state)
{
    PyObject *errors = PyImport_ImportModule("lash_store.errors");
    if (errors == NULL) {
        return -1;
    }
    state->invalid_plan = PyObject_GetAttrString(errors, "InvalidPlan");
    state->store_closed = PyObject_GetAttrString(errors, "StoreClosed");
    state->store_reentered = PyObject_GetAttrString(errors, "StoreReentered");
    Py_DECREF(errors);
    return state->invalid_plan && state->store_closed && state->store_reentered ? 0 : -1;
}

static int add_constants(PyObject *module)
{
    return PyModule_AddStringConstant(module, "IMPLEMENTATION", "c") ||
                   PyModule_AddStringConstant(module, "SANITIZERS", LASH_SANITIZERS) ||
                   PyModule_AddStringConstant(module, "EXTENSION_ENTRY", "sqlite3_lashnative_init") ||
                   PyModule_AddIntConstant(module, "DONE", OUTCOME_DONE) ||
                   PyModule_AddIntConstant(module, "GUARD", OUTCOME_GUARD) ||
                   PyModule_AddIntConstant(module, "FAILED", OUTCOME_FAILED) ||
                   PyModule_AddIntConstant(module, "BUSY", OUTCOME_BUSY) ||
                   PyModule_AddIntConstant(module, "INVALID", OUTCOME_INVALID) ||
                   PyModule_AddIntConstant(module, "CLOSED", OUTCOME_CLOSED)
               ? -1
               : 0;
}

static int module_exec(PyObject *module)
{
    lash_module *state = PyModule_GetState(module);
    if (import_errors(state) != 0 || add_constants(module) != 0 ||
        add_type(module, &lash_executor_spec, "Executor", &state->executor_type) != 0 ||
        add_type(module, &lash_mailbox_spec, "Mailbox", &state->mailbox_type) != 0 ||
        add_type(module, &lash_ticket_spec, "Ticket", &state->ticket_type) != 0 ||
        intern(&state->name_sql, "sql") != 0 || intern(&state->name_values, "values") != 0 ||
        intern(&state->name_expect, "expect") != 0 || intern(&state->name_otherwise, "otherwise") != 0 ||
        intern(&state->name_rows, "rows") != 0 || intern(&state->name_many, "many") != 0) {
        return -1;
    }
    return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    lash_module *state = PyModule_GetState(module);
    Py_VISIT(state->executor_type);
    Py_VISIT(state->mailbox_type);
    Py_VISIT(state->ticket_type);
    Py_VISIT(state->invalid_plan);
    Py_VISIT(state->store_closed);
    Py_VISIT(state->store_reentered);
    return 0;
}

static int module_clear(PyObject *module)
{
    lash_module *state = PyModule_GetState(module);
    PyObject **const all[] = {&state->executor_type, &state->mailbox_type,    &state->ticket_type,
                              &state->invalid_plan,  &state->store_closed,    &state->store_reentered,
                              &state->name_sql,      &state->name_values,     &state->name_expect,
                              &state->name_otherwise, &state->name_rows,      &state->name_many};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        Py_CLEAR(*all[i]);
    }
    return 0;
}

static void module_free(void *module)
{
    module_clear(module);
}

static PyMethodDef module_methods[] = {
    {"libversion", libversion, METH_NOARGS, "The version of the attached SQLite, or None."},
    {"register_vfs", register_vfs, METH_NOARGS, "The name of the VFS to open databases with, or None."},
    {"register_clock", register_clock, METH_O, "Register lash_now_ms() on a connection: the system's clock."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "lash_store.sqlite.native._native",
    .m_doc = "The executor in C: batches of plans from BEGIN IMMEDIATE to COMMIT without the GIL.",
    .m_size = sizeof(lash_module),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__native(void);

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&module_def);
}
