/* The queue and the writer role: flat combining. One thread at a time holds the role; what it does is run the batch at
 * the head of the queue, then hand the role to whoever can run the next one. */
#include "executor.h"

enum {
    MAX_BATCH = 128,
    MANY = 32,
};


void lash_queue_push_locked(lash_executor *executor, lash_job *job)
{
    job->state = JOB_QUEUED;
    job->next = NULL;
    job->previous = executor->tail;
    if (executor->tail) {
        executor->tail->next = job;
    } else {
        executor->head = job;
    }
    executor->tail = job;
    executor->queued++;
    if (executor->queued + executor->running > executor->audience) {
        executor->audience = executor->queued + executor->running;
    }
}

/* A few callers: all of them. Many: half of them, so that while one half's batch runs the other half makes its next jobs.
 * With less, batches would dwindle: each small one is answered before others can join it, and sends its few callers off
 * on their own again. */
int lash_queue_worth_a_batch(const lash_executor *executor)
{
    int64_t wanted = executor->audience >= MANY ? executor->audience / 2 : executor->audience;
    return executor->queued >= wanted || executor->state == STOPPING || executor->head->kind != JOB_PLAN;
}

static void push_front_locked(lash_executor *executor, lash_job *job)
{
    job->state = JOB_QUEUED;
    job->previous = NULL;
    job->next = executor->head;
    if (executor->head) {
        executor->head->previous = job;
    } else {
        executor->tail = job;
    }
    executor->head = job;
    executor->queued++;
}

void lash_queue_remove_locked(lash_executor *executor, lash_job *job)
{
    if (job->previous) {
        job->previous->next = job->next;
    } else {
        executor->head = job->next;
    }
    if (job->next) {
        job->next->previous = job->previous;
    } else {
        executor->tail = job->previous;
    }
    job->next = job->previous = NULL;
    executor->queued--;
}

/* The plans at the head of the queue, up to the first job of another kind. */
static size_t take_plans_locked(lash_executor *executor, lash_job **jobs, size_t most)
{
    size_t count = 0;
    while (count < most && executor->head && executor->head->kind == JOB_PLAN) {
        jobs[count] = executor->head;
        lash_queue_remove_locked(executor, jobs[count]);
        jobs[count++]->state = JOB_RUNNING;
    }
    return count;
}

static void promote_locked(lash_executor *executor, lash_job *job)
{
    executor->role_taken = 1;
    executor->promotions++;
    job->promoted = 1;
    lash_cond_signal(&job->cond);
}

void lash_role_pass_on_locked(lash_executor *executor)
{
    lash_job *head = executor->head;
    if (head != NULL && head->waiting) {
        promote_locked(executor, head);
        return;
    }
    executor->role_taken = 0;
    if (head != NULL) {
        lash_cond_signal(&executor->worker_wakes);
    } else {
        if (executor->state == STOPPING) {
            lash_cond_signal(&executor->worker_wakes);
        }
        if (executor->resting_watched > 0) {
            lash_cond_signal(&executor->rests);
        }
    }
}

void lash_role_offer_locked(lash_executor *executor)
{
    if (!executor->role_taken) {
        lash_role_pass_on_locked(executor);
    }
}

int lash_interrupted_locked(lash_executor *executor, PyThreadState **state)
{
    lash_mutex_unlock(&executor->lock);
    PyEval_RestoreThread(*state);
    int rc = PyErr_CheckSignals();
    *state = PyEval_SaveThread();
    lash_mutex_lock(&executor->lock);
    return rc != 0;
}

/* The caller leaves: nobody runs its job any more, and the role is not left with it. */
static void leave_queue_locked(lash_executor *executor, lash_job *job)
{
    int promoted = job->promoted;
    job->promoted = job->waiting = 0;
    if (job->state == JOB_QUEUED) {
        lash_queue_remove_locked(executor, job);
        job->state = JOB_WITHDRAWN;
    }
    if (promoted) {
        lash_role_pass_on_locked(executor);
    } else {
        lash_role_offer_locked(executor);
    }
}

int lash_role_wait_locked(lash_executor *executor, lash_job *job, PyThreadState **state)
{
    /* A plan carries along whatever plans stand before it. A closure at the head belongs to the worker. */
    if (!executor->role_taken && (executor->head == job || (job->kind == JOB_PLAN && executor->head->kind == JOB_PLAN &&
                                                            !executor->head->waiting))) {
        executor->role_taken = 1;
        return 1;
    }
    job->waiting = 1;
    int leaving = 0;
    while (job->state != JOB_FINISHED && !job->promoted && !leaving) {
        uint64_t until = lash_now_ns() + LASH_SIGNALS_NS;
        lash_cond_wait_until(&job->cond, &executor->lock, until);
        leaving = job->state == JOB_QUEUED && !job->promoted && lash_now_ns() >= until &&
                  lash_interrupted_locked(executor, state);
    }
    if (leaving) {
        while (job->state == JOB_RUNNING) {
            lash_cond_wait(&job->cond, &executor->lock); /* taken meanwhile: its end has to be waited for */
        }
        leave_queue_locked(executor, job); /* if it was put back instead; if it has ended, nothing is left of it */
        return ROLE_INTERRUPTED;
    }
    job->waiting = 0;
    int promoted = job->promoted;
    job->promoted = 0;
    return promoted;
}

void lash_jobs_answer(lash_executor *executor, lash_job **jobs, size_t count)
{
    size_t kept = 0;
    lash_mutex_lock(&executor->lock);
    executor->running -= (int64_t)count;
    if (executor->state == STOPPING && executor->running == 0) {
        lash_cond_signal(&executor->worker_wakes); /* it waits for this before it leaves */
    }
    for (size_t i = 0; i < count; i++) {
        lash_job *job = jobs[i];
        job->state = JOB_FINISHED;
        if (job->mailbox != NULL) {
            jobs[kept++] = job;
        } else if (job->waiting) {
            lash_cond_signal(&job->cond); /* under the lock: the job is on the waiter's stack and goes with it */
        }
    }
    if (kept > 0) {
        executor->kicked = 0; /* the loop that hears of this kicks when its tasks have had their say */
    }
    lash_mutex_unlock(&executor->lock);
    /* All for one mailbox at once: a loop that is woken for the first of them would take them one by one, and its tasks
     * would send their next jobs one by one, each too soon for the others to share its commit. */
    for (size_t first = 0; first < kept;) {
        size_t next = first + 1;
        while (next < kept && jobs[next]->mailbox == jobs[first]->mailbox) {
            jobs[next - 1]->next_delivered = jobs[next];
            next++;
        }
        lash_mailbox_put(jobs[first]->mailbox, jobs[first], jobs[next - 1]);
        first = next;
    }
}

void lash_role_lease(lash_executor *executor, uint64_t enqueued_ns)
{
    uint64_t now = lash_now_ns();
    uint64_t deadline = enqueued_ns + executor->budget_ns;
    lash_handoff_before_begin(&executor->handoff, deadline > now ? deadline : now);
}

void lash_role_run_batch(lash_executor *executor, int idle_after)
{
    lash_job *jobs[MAX_BATCH];
    lash_mutex_lock(&executor->lock);
    size_t count = take_plans_locked(executor, jobs, MAX_BATCH);
    executor->running += (int64_t)count;
    executor->audience -= (executor->audience - executor->queued - executor->running) / 8; /* people leave, too */
    lash_mutex_unlock(&executor->lock);
    if (count == 0) {
        return;
    }
    if (executor->statements.dropped != NULL) {
        lash_statements_finalize_dropped(&executor->statements, &executor->lock);
    }
    executor->batch_thread = PyThread_get_thread_ident();
    size_t answered = lash_batch_run(executor, jobs, count);
    executor->batch_thread = 0;
    lash_mutex_lock(&executor->lock);
    for (size_t i = count; i > answered; i--) {
        push_front_locked(executor, jobs[i - 1]);
        executor->running--;
    }
    int idle = idle_after && executor->head == NULL;
    lash_mutex_unlock(&executor->lock);
    lash_handoff_released(&executor->handoff, idle);
    lash_jobs_answer(executor, jobs, answered);
    lash_checkpoint_look(executor);
}
