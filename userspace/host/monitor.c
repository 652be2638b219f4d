// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "monitor.h"
#include "process.h"

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* The first error counts, and then nothing more is done to the page. */
static void note(struct monitor *m, int err)
{
	if (!m->error)
		m->error = err;
}

static void complain(struct monitor *m, const char *what)
{
	if (m->trouble != what)
		log_line("%s%s: %s", m->path ? "monitor " : "", m->path ?: m->kvm_root, what);
	m->trouble = what;
}

/* What life.c orders. */

static void do_hush(void *context)
{
	struct monitor *m = context;

	if (!m->error)
		note(m, vm_hush(m->vm));
}

/*
 * Who was told the counter of this page is gone, and what has happened to it since
 * then nobody has seen.
 */
static int start_vm(struct monitor *m)
{
	int err = vm_start(m->vm, m->clock);

	if (!err && m->life.counter != LIFE_COUNTER_WATCHED)
		err = vm_disown(m->vm);
	if (err)
		return err;
	/* What was announced where it comes from was this. */
	if (m->life.has_arrived)
		vm_announce(m->vm, 0);
	if (m->vm->pub.notice)
		log_line("the guest is told of a disruption to come, as it was before; 'drain none' ends that");
	return 0;
}

static void do_open(void *context, bool came_in)
{
	struct monitor *m = context;

	note(m, start_vm(m));
	m->vm->is_restored = came_in && m->vm->options.generation == VM_GENERATION_NEW;
	do_hush(m);
}

/* Hushed as well: the counter may be told while the page has to be quiet. */
static void do_disrupt(void *context)
{
	struct monitor *m = context;

	if (!m->error)
		note(m, vm_disrupt(m->vm));
	do_hush(m);
}

/* The host's own, of a page in a file: nobody tells that. */
static bool has_own_counter(const struct monitor *m)
{
	return !m->path && !m->vm->has_guest && !m->vm->waits_for_counter;
}

static void do_feed(void *context)
{
	struct monitor *m = context;

	if (m->error)
		return;
	if (!has_own_counter(m))
		note(m, vm_set_counter(m->vm, &m->counter, m->counter_error));
	vm_resume_feed(m->vm);
}

static enum life_measured do_measure(void *context)
{
	struct monitor *m = context;
	struct guest_counter now;
	int err = kvm_counter_read(m->kvm_root, m->vm->options.qemu_pid, &now);

	if (err) {
		complain(m, err == -EDOM ? "the counters of its virtual CPUs differ" :
			 err == -EACCES ? "may not read its counter from debugfs" :
			 "KVM does not tell its counter");
		return LIFE_UNKNOWN;
	}
	m->trouble = NULL;
	if (now.offset == m->counter.offset && now.ratio == m->counter.ratio &&
	    now.frac_bits == m->counter.frac_bits)
		return LIFE_SAME;
	m->counter = now;
	m->counter_error = 0;
	return LIFE_CHANGED;
}

static void ignore_answer(void *context, const json_t *result)
{
	(void)context;
	(void)result;
}

static void do_cont(void *context)
{
	struct monitor *m = context;

	/* A page that can't be kept has not been made quiet. */
	if (!m->error)
		qmp_execute(&m->qmp, "cont", NULL, ignore_answer, m->now);
}

/* What the monitor says. Answers come in the order in which they were asked for. */

static bool is_up_to_date(struct monitor_asked *asked)
{
	bool is_outdated = asked->outdated;

	asked->count--;
	asked->outdated -= is_outdated;
	return !is_outdated;
}

static void take_status(void *context, const json_t *result)
{
	struct monitor *m = context;
	const char *name = json_string_value(json_object_get(result, "status"));

	if (is_up_to_date(&m->status) && name)
		life_status(&m->life, name);
}

/* Nothing is under way if it has no status. */
static void take_migration(void *context, const json_t *result)
{
	struct monitor *m = context;
	const char *name = json_string_value(json_object_get(result, "status"));
	bool is_new = is_up_to_date(&m->migration);

	if (!result)
		return;
	life_migration(&m->life, name ?: "none");
	if (is_new)
		life_answered(&m->life);
}

static void ask_migration(struct monitor *m)
{
	if (!qmp_execute(&m->qmp, "query-migrate", NULL, take_migration, m->now))
		m->migration.count++;
}

static void ask(struct monitor *m)
{
	if (!qmp_execute(&m->qmp, "query-status", NULL, take_status, m->now))
		m->status.count++;
	ask_migration(m);
}

static enum kvm_counter_word ask_kvm(const struct monitor *m,
				     const struct guest_counter *told, uint64_t error)
{
	return kvm_counter_compare(m->kvm_root, m->vm->options.qemu_pid, told, error);
}

static void log_denial(const struct monitor *m, const struct guest_counter *told)
{
	struct guest_counter now;
	int err = kvm_counter_read(m->kvm_root, m->vm->options.qemu_pid, &now);

	if (err == -EDOM)
		log_line("the guest's counter was told, but by KVM its virtual CPUs differ");
	else if (err)
		log_line("the guest's counter was told, and KVM has denied it");
	else
		log_line("the guest's counter was told to have the offset %lld and the ratio %llu / 2^%u, but by KVM that is %lld, %llu / 2^%u",
			 (long long)told->offset, (unsigned long long)told->ratio, told->frac_bits,
			 (long long)now.offset, (unsigned long long)now.ratio, now.frac_bits);
}

/*
 * What was told is compared with what KVM says, and not replaced by it: while a guest
 * runs guests of its own that may be their counter. Which of the two is right nobody
 * here knows, so there is no time until they agree. That KVM can't be asked any more is
 * no agreement.
 */
static void check_told(struct monitor *m)
{
	enum kvm_counter_word word;

	if (!m->is_told || m->life.is_resetting || (!m->life.has_counter && !m->was_denied))
		return;
	word = ask_kvm(m, &m->counter, m->counter_error);
	if (word == KVM_COUNTER_AGREES && m->was_denied && life_told(&m->life))
		m->was_denied = false;
	if (word == KVM_COUNTER_DENIES && m->life.has_counter) {
		log_denial(m, &m->counter);
		m->was_denied = true;
		life_disrupted(&m->life);
	}
}

/* Without a monitor nobody else tells whether there is KVM. */
static void look_at_kvm(struct monitor *m)
{
	check_told(m);
	if (!m->path && !m->is_told && m->life.counter != LIFE_COUNTER_WATCHED &&
	    kvm_counter_is_known(m->kvm_root, m->vm->options.qemu_pid))
		m->life.counter = LIFE_COUNTER_WATCHED;
	life_poll(&m->life);
}

/* Under emulation it stands still with the VM; under KVM it does not. */
static void take_accelerator(void *context, const json_t *result)
{
	struct monitor *m = context;
	bool is_first = !m->life.has_monitor;

	if (!json_is_true(json_object_get(result, "enabled")))
		m->life.counter = LIFE_COUNTER_STOPS;
	else
		m->life.counter = m->vm->options.has_tsc_offset ? LIFE_COUNTER_RUNS :
								 LIFE_COUNTER_WATCHED;
	if (is_first && m->life.counter == LIFE_COUNTER_WATCHED)
		m->life.has_counter = do_measure(m) != LIFE_UNKNOWN;
	/* Before there is a line for it. */
	check_told(m);
	life_connected(&m->life);
}

static const char others[] =
	"belongs to another user; whose QEMU it is to be, --qemu-user says";

/* Whose page it would be: the process that the operator has named, or this one. */
static const char *check_process(const struct monitor *m, pid_t pid)
{
	const struct vm_options *o = &m->vm->options;
	struct process process;
	int is_theirs = process_open(&process, o->qemu_pid ?: pid);

	if (!is_theirs) {
		is_theirs = process_is_of(&process, vm_qemu_user(o));
		process_close(&process);
	}
	if (is_theirs > 0)
		return NULL;
	return is_theirs ? strerror(-is_theirs) : others;
}

/*
 * The user's own socket, or one that was opened for them by who started us: libvirt
 * does that as root. Its process will be looked at again when its page is opened.
 */
static const char *check_peer(struct monitor *m)
{
	const char *why;
	pid_t pid;
	uid_t uid;

	if (qmp_peer(&m->qmp, &pid, &uid))
		return "does not tell whose it is";
	if (uid != vm_qemu_user(&m->vm->options) && uid != geteuid())
		return others;
	if (m->pid && m->pid != pid)
		return "belongs to another process now";
	why = check_process(m, pid);
	if (!why)
		m->pid = pid;
	return why;
}

static void on_ready(void *context)
{
	struct monitor *m = context;
	const char *why = check_peer(m);
	json_t *events;

	if (why) {
		qmp_close(&m->qmp);
		complain(m, why);
		return;
	}
	m->trouble = NULL;
	m->status = m->migration = (struct monitor_asked){ 0 };
	/* QEMU's page is that of the socket's owner, if the operator has not said. */
	if (!m->vm->options.qemu_pid)
		m->vm->options.qemu_pid = m->pid;
	events = json_pack("{s:[{s:s, s:b}]}", "capabilities", "capability", "events",
			   "state", 1);
	qmp_execute(&m->qmp, "migrate-set-capabilities", events, ignore_answer, m->now);
	qmp_execute(&m->qmp, "query-kvm", NULL, take_accelerator, m->now);
	ask(m);
}

/*
 * QEMU's main thread tells of it, rewrites the counter, and takes the next command only
 * then. If it has too many to answer to be asked now, look() asks.
 */
static void await_reset(struct monitor *m)
{
	m->status.outdated = m->status.count;
	ask(m);
}

static void on_event(void *context, const char *name, const json_t *data)
{
	struct monitor *m = context;
	const char *status = json_string_value(json_object_get(data, "status"));

	if (!strcmp(name, "MIGRATION") && status)
		life_migration(&m->life, status);
	else
		life_event(&m->life, name);
	if (!strcmp(name, "RESET"))
		await_reset(m);
	/* What comes in is there when its state says so. */
	if (m->life.run == LIFE_INCOMING)
		ask(m);
}

static void on_closed(void *context, const char *why)
{
	struct monitor *m = context;

	complain(m, why);
	m->was_denied = false;
	if (m->life.has_monitor)
		life_lost(&m->life);
}

/* There is nobody to hear: the page is there, and the VM taken to run. */
static int open_unheard(struct monitor *m)
{
	const struct vm_options *o = &m->vm->options;

	if (!m->is_told && kvm_counter_is_known(m->kvm_root, o->qemu_pid)) {
		m->life.counter = LIFE_COUNTER_WATCHED;
		m->life.has_counter = do_measure(m) != LIFE_UNKNOWN;
	}
	/* The page may be a file's, whose counter is the host's own. */
	m->life.has_counter |= !vm_needs_counter(o);
	m->error = start_vm(m);
	if (m->error)
		return m->error;
	m->life.page = LIFE_FED;
	life_assume_running(&m->life);
	if (m->life.counter == LIFE_COUNTER_WATCHED && m->life.has_counter)
		do_feed(m);
	check_told(m);
	return 0;
}

int monitor_open(struct monitor *m, struct vm *vm, struct clock *clock)
{
	const struct vm_options *o = &vm->options;
	const struct qmp_user qmp_user = { on_ready, on_event, on_closed, m };
	const struct life_user life_user = {
		do_open, do_hush, do_disrupt, do_feed, do_measure,
		o->qmp_continues ? do_cont : NULL, m,
	};

	m->vm = vm;
	m->clock = clock;
	m->path = o->qmp_path;
	m->kvm_root = m->kvm_root ?: KVM_COUNTER_ROOT;
	m->counter = o->guest;
	m->counter_error = o->offset_error;
	m->is_told = o->has_tsc_offset;
	qmp_init(&m->qmp, &qmp_user);
	life_init(&m->life, &life_user, LIFE_COUNTER_STOPS, o->has_tsc_offset);
	return m->path ? 0 : open_unheard(m);
}

static void look(struct monitor *m)
{
	int err;

	m->next = m->now + MONITOR_INTERVAL_NS;
	if (m->qmp.state == QMP_READY)
		ask(m);
	if (m->qmp.state == QMP_READY || !m->path) {
		look_at_kvm(m);
	} else if (m->qmp.fd < 0) {
		err = qmp_connect(&m->qmp, m->path, m->now);
		if (err)
			complain(m, strerror(-err));
	}
}

/* What came before an answer has been told to life.c by now, for it was read before it. */
static void hear_silence(struct monitor *m)
{
	bool is_silent = qmp_silence(&m->qmp, m->now) > MONITOR_SILENCE_NS;

	if (is_silent == m->life.is_silent)
		return;
	if (is_silent || m->qmp.state == QMP_READY)
		log_line("monitor %s: %s", m->path,
			 is_silent ? "does not answer" : "answers again");
	life_silent(&m->life, is_silent);
}

/*
 * QEMU writes the page itself when it has loaded a machine. This is looked at while
 * the page is quiet as well: the VM may be continued any moment.
 */
static void check_page(struct monitor *m)
{
	if (m->life.page != LIFE_UNTOUCHED && !m->error && m->vm->has_page &&
	    !publish_is_ours(&m->vm->pub))
		life_overwritten(&m->life);
}

int monitor_work(struct monitor *m, short revents)
{
	if (!monitor_is_busy(m))
		return m->error;
	m->now = now_ns();
	if (m->path) {
		qmp_work(&m->qmp, revents, m->now);
		hear_silence(m);
	}
	if (m->now >= m->next && !m->error)
		look(m);
	if (m->path)
		check_page(m);
	return m->error;
}

bool monitor_is_busy(const struct monitor *m)
{
	return m->path || m->vm->options.qemu_pid;
}

int monitor_tick(struct monitor *m)
{
	/* There is no page, or nothing to do to it. */
	if (m->path && (m->life.page == LIFE_UNTOUCHED || !m->life.has_counter || m->error))
		return m->error;
	return vm_tick(m->vm);
}

int monitor_overwritten(struct monitor *m)
{
	m->was_denied = false;
	life_overwritten(&m->life);
	/* QEMU is about to write the counter as well, and no monitor says when it has. */
	if (!m->path)
		m->next = now_ns() + MONITOR_INTERVAL_NS;
	return m->error;
}

int monitor_prepare(struct monitor *m)
{
	life_hold(&m->life);
	m->migration.outdated = m->migration.count;
	ask_migration(m);
	/* QEMU has the question before the operator has our answer. */
	qmp_work(&m->qmp, 0, m->now);
	return m->error;
}

int monitor_resume(struct monitor *m)
{
	life_release(&m->life);
	return m->error;
}

int monitor_disrupt(struct monitor *m)
{
	/* What is said now is told anew, not agreed upon. */
	m->was_denied = false;
	if (has_own_counter(m)) {
		note(m, vm_disrupt(m->vm));
		if (m->life.is_held)
			do_hush(m);
	} else {
		life_disrupted(&m->life);
	}
	return m->error;
}

int monitor_set_counter(struct monitor *m, const struct guest_counter *guest,
			uint64_t offset_error)
{
	const struct guest_counter before = m->counter;
	uint64_t error_before = m->counter_error;

	if (!guest->ratio || guest->frac_bits > 63)
		return -EINVAL;
	if (m->life.counter != LIFE_COUNTER_WATCHED &&
	    ask_kvm(m, guest, offset_error) == KVM_COUNTER_DENIES) {
		log_denial(m, guest);
		return -EDOM;
	}
	m->counter = *guest;
	m->counter_error = offset_error;
	if (!life_told(&m->life)) {
		m->counter = before;
		m->counter_error = error_before;
		return -EBUSY;
	}
	m->is_told = true;
	m->was_denied = false;
	/* If it was fed already. If it is not fed yet, do_feed() will. */
	if (m->life.page == LIFE_FED)
		do_feed(m);
	return m->error;
}

void monitor_close(struct monitor *m)
{
	qmp_close(&m->qmp);
}
