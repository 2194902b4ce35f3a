/* The executor as a Python object: its making and end, its counters. */
#include "executor.h"

static PyObject *executor_owned(PyObject *self, PyObject *unused)
{
    (void)unused;
    unsigned long me = PyThread_get_thread_ident();
    return PyBool_FromLong(((lash_executor *)self)->role_thread == me || ((lash_executor *)self)->batch_thread == me);
}

sqlite3 *lash_pointer_of(PyObject *connection)
{
    PyObject *address = PyObject_CallMethod(connection, "sqlite3_pointer", NULL);
    void *pointer = address ? PyLong_AsVoidPtr(address) : NULL;
    Py_XDECREF(address);
    if (pointer == NULL && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "the connection is closed");
    }
    return pointer;
}

static PyObject *executor_serve_checkpoints(PyObject *self, PyObject *args)
{
    PyObject *locker, *checkpointer;
    if (!PyArg_UnpackTuple(args, "serve_checkpoints", 2, 2, &locker, &checkpointer)) {
        return NULL;
    }
    sqlite3 *locker_db = lash_pointer_of(locker);
    sqlite3 *checkpointer_db = locker_db ? lash_pointer_of(checkpointer) : NULL;
    if (checkpointer_db == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    lash_checkpoint_serve((lash_executor *)self, locker_db, checkpointer_db);
    Py_END_ALLOW_THREADS
    PyErr_Clear(); /* a VFS written in Python leaves its exception behind; the counters tell of it */
    return Py_NewRef(Py_None);
}

static PyObject *executor_note_commit(PyObject *self, PyObject *argument)
{
    lash_executor *executor = (lash_executor *)self;
    long long members = PyLong_AsLongLong(argument);
    if (members == -1 && PyErr_Occurred()) {
        return NULL;
    }
    executor->commits += members;
    executor->batches++;
    if (members > executor->largest_batch) {
        executor->largest_batch = members;
    }
    return Py_NewRef(Py_None);
}

static PyObject *executor_checkpointer_ended(PyObject *self, PyObject *unused)
{
    (void)unused;
    lash_executor *executor = (lash_executor *)self;
    lash_mutex_lock(&executor->lock);
    executor->checkpointer_started = 0;
    lash_mutex_unlock(&executor->lock);
    return Py_NewRef(Py_None);
}

static PyObject *executor_last_wait_ms(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromLongLong((long long)((lash_executor *)self)->handoff.last_wait_ns / (long long)LASH_NS_PER_MS);
}

static PyObject *executor_counters(PyObject *self, PyObject *unused)
{
    (void)unused;
    lash_executor *executor = (lash_executor *)self;
    lash_handoff *handoff = &executor->handoff;
    lash_mutex_lock(&executor->lock); /* so long the words in the WAL index stay where they are */
    long long pages = lash_checkpoint_log_frames(executor);
    long long pending = lash_checkpoint_pending_frames(executor);
    lash_mutex_unlock(&executor->lock);
    return Py_BuildValue("{s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L}", "commits",
                         (long long)executor->commits, "batches", (long long)executor->batches, "largest_batch",
                         (long long)executor->largest_batch, "conflicts", (long long)executor->conflicts, "busy_waits",
                         (long long)handoff->waits, "busy_wait_ms", (long long)(handoff->waited_ns / 1000000),
                         "handoffs", (long long)(handoff->handoffs + executor->promotions), "checkpoints", (long long)executor->checkpoints,
                         "restarts", (long long)executor->restarts, "checkpoint_errors",
                         (long long)executor->checkpoint_errors, "queued", (long long)executor->queued, "wal_pages",
                         pages, "wal_pages_pending", pending);
}

static PyObject *stop(lash_executor *executor, int abort)
{
    if (!executor->ready) {
        return Py_NewRef(Py_None);
    }
    lash_mutex_lock(&executor->lock);
    executor->state = STOPPING;
    lash_job *dropped = NULL;
    while (abort && executor->head) {
        lash_job *job = executor->tail; /* from the tail: the list comes out in the queue's order */
        lash_queue_remove_locked(executor, job);
        job->outcome = OUTCOME_CLOSED;
        if (job->mailbox == NULL) {
            job->state = JOB_FINISHED; /* now: its thread may be on its way, with the role or to it */
            if (job->waiting) {
                lash_cond_signal(&job->cond);
            }
            continue;
        }
        job->state = JOB_RUNNING;
        executor->running++;
        job->next = dropped;
        dropped = job;
    }
    if (!executor->role_taken && executor->head == NULL && executor->resting_watched > 0) {
        lash_cond_signal(&executor->rests);
    }
    lash_cond_signal(&executor->worker_wakes);
    lash_cond_signal(&executor->checkpointer_wakes);
    lash_mutex_unlock(&executor->lock);
    while (dropped) {
        lash_job *job = dropped;
        dropped = job->next;
        lash_jobs_answer(executor, &job, 1);
    }
    return Py_NewRef(Py_None);
}

static PyObject *executor_stop(PyObject *self, PyObject *unused)
{
    (void)unused;
    return stop((lash_executor *)self, 0);
}

static PyObject *executor_abort(PyObject *self, PyObject *unused)
{
    (void)unused;
    return stop((lash_executor *)self, 1);
}

static PyObject *executor_wait_idle(PyObject *self, PyObject *argument)
{
    lash_executor *executor = (lash_executor *)self;
    long long timeout_ms = PyLong_AsLongLong(argument);
    if (timeout_ms == -1 && PyErr_Occurred()) {
        return NULL;
    }
    int idle, interrupted = 0;
    PyThreadState *state = PyEval_SaveThread();
    uint64_t until = lash_now_ns() + (timeout_ms > 0 ? (uint64_t)timeout_ms : 0) * LASH_NS_PER_MS;
    lash_mutex_lock(&executor->lock);
    executor->resting_watched++;
    while ((executor->role_taken || executor->head) && lash_now_ns() < until && !interrupted) {
        uint64_t slice = lash_now_ns() + LASH_SIGNALS_NS;
        lash_cond_wait_until(&executor->rests, &executor->lock, slice < until ? slice : until);
        interrupted = lash_now_ns() >= slice && lash_interrupted_locked(executor, &state);
    }
    executor->resting_watched--;
    if (executor->resting_watched > 0) {
        lash_cond_signal(&executor->rests); /* one signal wakes one: pass it on */
    }
    idle = !executor->role_taken && executor->head == NULL;
    lash_mutex_unlock(&executor->lock);
    PyEval_RestoreThread(state);
    return interrupted ? NULL : PyBool_FromLong(idle);
}

static void detach(lash_executor *executor)
{
    if (executor->ready) {
        executor->ready = 0;
        executor->state = STOPPING;
        /* A closure may have closed the connection: then SQLite's handle lives as long as its last statement. */
        lash_handoff_detach(&executor->handoff, executor->db);
        sqlite3_wal_hook(executor->db, NULL, NULL);
        lash_statements_close(&executor->statements);
        lash_batch_finalize(executor);
    }
}

static PyObject *executor_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    detach((lash_executor *)self);
    return Py_NewRef(Py_None);
}

static int on_wal(void *context, sqlite3 *db, const char *name, int frames)
{
    (void)db;
    (void)name;
    lash_executor *executor = context;
    if (frames <= executor->wal_frames) {
        executor->wal_copied = 0; /* every commit makes the log longer, so it was started over */
    }
    executor->wal_frames = frames;
    return SQLITE_OK;
}

/* One integer from a statement such as PRAGMA page_size; also makes SQLite open the WAL and its index. */
static int read_integer(sqlite3 *db, const char *text, int *result)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v3(db, text, -1, 0, &statement, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        *result = (int)sqlite3_column_int64(statement, 0);
        rc = SQLITE_OK;
    }
    int finalized = sqlite3_finalize(statement);
    return rc != SQLITE_OK ? rc : finalized;
}

static int make_locks(lash_executor *executor)
{
    if (lash_mutex_init(&executor->lock) != 0 || lash_cond_init(&executor->worker_wakes) != 0 ||
        lash_cond_init(&executor->checkpointer_wakes) != 0 || lash_cond_init(&executor->rests) != 0) {
        PyErr_NoMemory();
        return -1;
    }
    executor->locks = 1;
    return 0;
}

static int attach(lash_executor *executor)
{
    if ((executor->db = lash_pointer_of(executor->connection)) == NULL || make_locks(executor) != 0 ||
        lash_statements_init(&executor->statements) != 0) {
        return -1;
    }
    int rc, tables;
    Py_BEGIN_ALLOW_THREADS
    rc = read_integer(executor->db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc == SQLITE_OK) {
        rc = read_integer(executor->db, "PRAGMA page_size", &executor->page_size);
    }
    if (rc == SQLITE_OK) {
        rc = lash_batch_prepare(executor);
    }
    if (rc == SQLITE_OK) {
        lash_handoff_init(&executor->handoff, executor->db, executor->budget_ns);
        sqlite3_wal_hook(executor->db, on_wal, executor);
        executor->ready = 1;
    } else {
        lash_batch_finalize(executor);
    }
    Py_END_ALLOW_THREADS
    if (rc != SQLITE_OK) {
        PyErr_Format(PyExc_RuntimeError, "SQLite refused the writer's statements (code %d)", rc);
        return -1;
    }
    return 0;
}

static PyObject *executor_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"connection", "busy_timeout_ms", "start_worker", "start_checkpointer", NULL};
    PyObject *connection, *start_worker, *start_checkpointer;
    long long busy_timeout_ms;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O$LOO", names, &connection, &busy_timeout_ms, &start_worker,
                                     &start_checkpointer)) {
        return NULL;
    }
    if (lash_api == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "no SQLite is attached; load this file as an extension first");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    lash_executor *executor = (lash_executor *)allocate(type, 0); /* zeroed */
    if (executor == NULL) {
        return NULL;
    }
    executor->module = PyType_GetModuleState(type);
    executor->process = lash_process();
    executor->connection = Py_NewRef(connection);
    executor->start_worker = Py_NewRef(start_worker);
    executor->start_checkpointer = Py_NewRef(start_checkpointer);
    executor->budget_ns = (busy_timeout_ms > 0 ? (uint64_t)busy_timeout_ms : 0) * LASH_NS_PER_MS;
    executor->path = PyObject_GetAttrString(connection, "filename");
    if (executor->path == NULL || attach(executor) != 0) {
        Py_DECREF((PyObject *)executor);
        return NULL;
    }
    return (PyObject *)executor;
}

static int executor_traverse(PyObject *self, visitproc visit, void *arg)
{
    lash_executor *executor = (lash_executor *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(executor->connection);
    Py_VISIT(executor->path);
    Py_VISIT(executor->start_worker);
    Py_VISIT(executor->start_checkpointer);
    return lash_statements_traverse(&executor->statements, visit, arg);
}

static int executor_clear(PyObject *self)
{
    lash_executor *executor = (lash_executor *)self;
    Py_CLEAR(executor->start_worker);
    Py_CLEAR(executor->start_checkpointer);
    return 0;
}

static void executor_dealloc(PyObject *self)
{
    lash_executor *executor = (lash_executor *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    detach(executor);
    Py_CLEAR(executor->statements.by_text);
    executor_clear(self);
    Py_CLEAR(executor->connection);
    Py_CLEAR(executor->path);
    if (executor->locks) {
        lash_cond_destroy(&executor->worker_wakes);
        lash_cond_destroy(&executor->checkpointer_wakes);
        lash_cond_destroy(&executor->rests);
        lash_mutex_destroy(&executor->lock);
    }
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef executor_methods[] = {
    {"run", lash_executor_run, METH_O, "Run a plan on the calling thread, or wait for another thread to carry it along."},
    {"submit", lash_executor_submit, METH_VARARGS, "Queue a plan for the worker."},
    {"acquire", lash_executor_acquire, METH_NOARGS, "Wait in the queue for the writer role and take it."},
    {"hold", lash_executor_hold, METH_O, "Call a function while the calling thread holds the writer role."},
    {"submit_call", lash_executor_submit_call, METH_VARARGS, "Queue a Python job for the worker."},
    {"release", lash_executor_release, METH_NOARGS, "Give the writer role back."},
    {"kick", lash_executor_kick, METH_NOARGS, "Have the worker run what is queued."},
    {"serve", lash_executor_serve, METH_O, "Run plans until Python jobs stand at the head, and return those."},
    {"finish", lash_executor_finish, METH_VARARGS, "Answer a Python job."},
    {"owned", executor_owned, METH_NOARGS, "True when the calling thread holds the writer role in Python."},
    {"serve_checkpoints", executor_serve_checkpoints, METH_VARARGS, "The checkpointer's loop."},
    {"checkpointer_ended", executor_checkpointer_ended, METH_NOARGS, "The checkpointer's thread is gone."},
    {"before_begin", lash_executor_before_begin, METH_O, "A closure's BEGIN follows."},
    {"lend", lash_executor_lend, METH_NOARGS, "The connection goes to code that may do anything with it."},
    {"counters", executor_counters, METH_NOARGS, "What was counted so far."},
    {"note_commit", executor_note_commit, METH_O, "Count a transaction of Python jobs."},
    {"last_wait_ms", executor_last_wait_ms, METH_NOARGS, "How long the last BEGIN waited for the write lock."},
    {"stop", executor_stop, METH_NOARGS, "Refuse new jobs and let the queued ones run."},
    {"abort", executor_abort, METH_NOARGS, "Refuse new jobs and answer the queued ones as closed."},
    {"wait_idle", executor_wait_idle, METH_O, "Wait until nothing is queued and nobody holds the role."},
    {"close", executor_close, METH_NOARGS, "Finalise statements, remove handler and hook."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot executor_slots[] = {
    {Py_tp_doc, "The writer of one database; see the stub for the contract."},
    {Py_tp_new, executor_new},
    {Py_tp_dealloc, executor_dealloc},
    {Py_tp_traverse, executor_traverse},
    {Py_tp_clear, executor_clear},
    {Py_tp_methods, executor_methods},
    {0, NULL},
};

PyType_Spec lash_executor_spec = {
    .name = "lash_store.sqlite.native._native.Executor",
    .basicsize = sizeof(lash_executor),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = executor_slots,
};
