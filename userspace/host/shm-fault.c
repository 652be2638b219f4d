// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm-fault.h"

/*
 * The handler walks a list of these while other threads change it. So they are
 * never freed, only used again, and each has a sequence number. The one that
 * the handler needs does not change: its memory is being accessed. One that
 * does change is therefore not it, and is passed over.
 */
struct shm_fault {
	struct shm_fault *next;		/* the same for ever */
	unsigned int seq;		/* odd: not in use */
	uintptr_t start;
	size_t len;
	int prot;
	bool happened;
};

static struct shm_fault *all;
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction previous;
static int install_error;

#define LOAD(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

static bool has_address(const struct shm_fault *f, uintptr_t address,
			uintptr_t *start, size_t *len, int *prot)
{
	/* Pairs with the release store in shm_fault_watch(). */
	unsigned int seq = __atomic_load_n(&f->seq, __ATOMIC_ACQUIRE);

	*start = LOAD(f->start);
	*len = LOAD(f->len);
	*prot = LOAD(f->prot);
	/* Pairs with the release fence in shm_fault_watch(). */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return !(seq & 1) && LOAD(f->seq) == seq && address - *start < *len;
}

/*
 * Two threads may do this at once for one mapping: then the second one's pages
 * replace the first one's, and nobody cares what was in those.
 *
 * POSIX lets no handler call mmap(), so it is the bare system call. Nobody sees
 * a hole: the kernel changes the mapping under the lock that faults take.
 */
static bool replace(uintptr_t address)
{
	struct shm_fault *f = __atomic_load_n(&all, __ATOMIC_ACQUIRE);
	uintptr_t start;
	size_t len;
	int prot;

	while (f && !has_address(f, address, &start, &len, &prot))
		f = f->next;
	if (!f)
		return false;
	STORE(f->happened, true);
	/* Who sees the new memory sees the mark: shm_fault_happened(). */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	return syscall(SYS_mmap, start, len, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != -1;
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	bool is_fault = info->si_code == BUS_ADRERR || info->si_code == BUS_MCEERR_AR;
	int saved = errno;

	(void)context;
	if (!is_fault || !replace((uintptr_t)info->si_addr)) {
		sigaction(SIGBUS, &previous, NULL);
		/* A fault comes again by itself, and with its address. */
		if (info->si_code <= 0)
			raise(number);
	}
	errno = saved;
}

static void install(void)
{
	struct sigaction action = {
		.sa_sigaction = on_sigbus,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, &action, &previous))
		install_error = -errno;
}

/* One that is not in use. The list grows to the most there ever were at once. */
static struct shm_fault *find_free(void)
{
	struct shm_fault *f = all;

	while (f && !(f->seq & 1))
		f = f->next;
	if (f)
		return f;
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->seq = 1;
	f->next = all;
	/* Pairs with the acquire load in replace(). */
	__atomic_store_n(&all, f, __ATOMIC_RELEASE);
	return f;
}

int shm_fault_watch(struct shm_fault **fault, void *start, size_t len, int prot)
{
	struct shm_fault *f;

	pthread_once(&once, install);
	if (install_error)
		return install_error;
	pthread_mutex_lock(&changing);
	f = find_free();
	if (f) {
		/*
		 * A handler that sees one of these sees the number that has
		 * been odd before: pairs with the fence in has_address().
		 */
		__atomic_thread_fence(__ATOMIC_RELEASE);
		STORE(f->start, (uintptr_t)start);
		STORE(f->len, len);
		STORE(f->prot, prot);
		STORE(f->happened, false);
		__atomic_store_n(&f->seq, f->seq + 1, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&changing);
	*fault = f;
	return f ? 0 : -ENOMEM;
}

/* The caller's munmap() makes it known before the addresses are used again. */
void shm_fault_unwatch(struct shm_fault *fault)
{
	pthread_mutex_lock(&changing);
	__atomic_store_n(&fault->seq, fault->seq + 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&changing);
}

bool shm_fault_happened(const struct shm_fault *fault)
{
	/* Accesses before are made before: pairs with the fence in replace(). */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return LOAD(fault->happened);
}
