// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Opening: by name, and by a descriptor of any kind.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "internal.h"
#include "pages.h"
#include "tap.h"
#include "vmclk.h"

static int open_fd_of(int fd)
{
	struct vmclk *clk = NULL;
	int err = vmclk_open_fd(fd, &clk);

	vmclk_close(clk);
	return err;
}

static bool send_fd(int socket, int fd)
{
	char byte = 0, room[CMSG_SPACE(sizeof(fd))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room,
			      .msg_controllen = sizeof(room) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	*cmsg = (struct cmsghdr){ CMSG_LEN(sizeof(fd)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(socket, &msg, 0) == 1;
}

static int receive_fd(int socket)
{
	int fd = -1;
	char byte, room[CMSG_SPACE(sizeof(fd))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room,
			      .msg_controllen = sizeof(room) };

	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* Sealed against every change, and open for reading only. */
TAP_TEST(a_read_only_memfd_that_came_over_a_socket_is_mapped)
{
	struct vmclock_page page = good_page();
	struct test_page t = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK | F_SEAL_GROW);
	struct vmclk_snapshot snap;
	int fds[2], fd = open(t.path, O_RDONLY | O_CLOEXEC);
	struct vmclk *clk;

	need(fd >= 0 && !socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	ok(!fcntl(t.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL));
	ok(send_fd(fds[0], fd));
	close(fd);
	fd = receive_fd(fds[1]);
	need(fd >= 0 && !vmclk_open_fd(fd, &clk));
	close(fd);
	close(fds[0]);
	close(fds[1]);
	ok(clk->page);
	is_int(vmclk_snapshot(clk, &snap), 0);
	is_u64(snap.disruption_marker, 0x1111111111111111);
	is_int(vmclk_revalidate(clk), 0);
	ok(!strcmp(vmclk_path(clk), ""));
	vmclk_close(clk);
	page_drop(&t);
}

TAP_TEST(the_same_page_by_name_and_by_descriptor_has_one_identity)
{
	struct vmclock_page page = good_page();
	struct test_page t = page_make(&page, PAGE_BYTES, 0);
	struct vmclk *by_name, *by_fd;

	need(!vmclk_open(t.path, &by_name));
	need(!vmclk_open_fd(t.fd, &by_fd));
	is_u64(by_fd->page_id, by_name->page_id);
	ok(!by_fd->page);
	vmclk_close(by_name);
	vmclk_close(by_fd);
	page_drop(&t);
}

TAP_TEST(the_callers_descriptor_and_its_offset_stay_as_they_are)
{
	struct vmclock_page page = good_page();
	struct test_page t = page_make(&page, PAGE_BYTES, 0);
	struct vmclk_snapshot snap = { 0 };
	struct vmclk *clk;

	is_int(lseek(t.fd, 77, SEEK_SET), 77);
	need(!vmclk_open_fd(t.fd, &clk));
	ok(clk->fd != t.fd && fcntl(clk->fd, F_GETFD) == FD_CLOEXEC);
	is_int(vmclk_snapshot(clk, &snap), 0);
	is_int(vmclk_refresh(clk, &snap), 0);
	is_int(vmclk_revalidate(clk), 0);
	is_int(lseek(t.fd, 0, SEEK_CUR), 77);
	vmclk_close(clk);
	ok(fcntl(t.fd, F_GETFD) >= 0);
	page_drop(&t);
}

TAP_TEST(a_descriptor_that_cannot_be_read_is_refused)
{
	struct vmclock_page page = good_page();
	struct test_page t = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);
	int path_only = open(t.path, O_PATH | O_CLOEXEC);
	int write_only = open(t.path, O_WRONLY | O_CLOEXEC);
	int pipes[2];

	need(path_only >= 0 && write_only >= 0 && !pipe(pipes));
	is_int(open_fd_of(path_only), -EBADF);
	is_int(open_fd_of(write_only), -EBADF);
	is_int(open_fd_of(-1), -EBADF);
	is_int(open_fd_of(pipes[0]), -VMCLK_EMALFORMED);
	close(pipes[0]);
	is_int(open_fd_of(pipes[0]), -EBADF);
	close(pipes[1]);
	close(path_only);
	close(write_only);
	page_drop(&t);
}

TAP_TEST(a_memfd_not_sealed_against_shrinking_is_not_mapped)
{
	struct vmclock_page page = good_page();
	struct test_page t = page_make(&page, PAGE_BYTES, F_SEAL_GROW);
	struct vmclk_snapshot snap;
	struct vmclk *clk;

	need(!vmclk_open_fd(t.fd, &clk));
	ok(!clk->page);
	ok(!ftruncate(t.fd, 0));
	is_int(vmclk_snapshot(clk, &snap), -VMCLK_EMALFORMED);
	is_int(vmclk_revalidate(clk), -VMCLK_ENOTINIT);
	vmclk_close(clk);
	page_drop(&t);
}

/*
 * Mapped by its own pages. Where none are to be had, the file is all zeros and
 * no page, which must be said and not died of.
 */
TAP_TEST(a_memfd_of_huge_pages_is_read_or_refused)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
	struct vmclock_page page = good_page();
	struct vmclk_snapshot snap;
	struct vmclk *clk;
	struct stat st;
	void *p;

	if (fd < 0)
		return;		/* a kernel without them: nothing to refuse */
	need(!fstat(fd, &st) && !ftruncate(fd, st.st_blksize));
	ok(!fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	p = mmap(NULL, st.st_blksize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		note("no huge pages here");
		ok(open_fd_of(fd) < 0);
		close(fd);
		return;
	}
	memcpy(p, &page, sizeof(page));
	is_int(vmclk_open_fd(fd, &clk), 0);
	ok(clk->page && !clk->boot_unknown);
	is_int(vmclk_snapshot(clk, &snap), 0);
	vmclk_close(clk);
	munmap(p, st.st_blksize);
	close(fd);
}

/* 104 bytes: header and body up to the bound, no generation counter. */
TAP_TEST(a_segment_of_104_bytes_gives_time)
{
	struct vmclock_page page = good_page();
	struct vmclk_snapshot snap;
	struct vmclk_stamp stamp;
	struct test_page t;
	struct vmclk *clk;

	page.size = htole32(104);
	page.seq_count = 0;
	t = page_make(&page, 104, 0);
	need(!vmclk_open_fd(t.fd, &clk));
	is_int(vmclk_snapshot(clk, &snap), 0);
	snap.counter_valid = 1;
	is_int(vmclk_stamp_at(&snap, 1024000000000, &stamp), 0);
	is_int(stamp.latest.nsec, 500000000 + 1701 + 1);
	is_int(stamp.valid & VMCLK_STAMP_GENERATION, 0);
	vmclk_close(clk);
	page_drop(&t);
}

static int open_of(const struct vmclock_page *page, off_t len)
{
	struct test_page t = page_make(page, len, 0);
	int err = open_fd_of(t.fd);

	page_drop(&t);
	return err;
}

TAP_TEST(a_file_that_ends_inside_the_header_is_malformed)
{
	struct vmclock_page page = good_page();

	is_int(open_of(&page, 0), -VMCLK_ENOTINIT);
	for (off_t len = 1; len < 16; len++)
		is_int(open_of(&page, len), -VMCLK_EMALFORMED);
	is_int(open_of(&page, 26), -VMCLK_EMALFORMED);
}

/* Sixteen bytes are a header, and say what else is wrong. */
TAP_TEST(the_header_is_judged_in_order)
{
	struct vmclock_page page = good_page();

	page.size = htole32(4);
	is_int(open_of(&page, 16), -VMCLK_EMALFORMED);
	page.version = htole16(999);
	is_int(open_of(&page, 16), -VMCLK_EMALFORMED);
	page.size = htole32(104);
	is_int(open_of(&page, 16), -VMCLK_EVERSION);
	page.version = 0;
	is_int(open_of(&page, 16), -VMCLK_ENOTINIT);
	page.magic = htole32(VMCLOCK_PAGE_MAGIC_GONE);
	is_int(open_of(&page, 16), -VMCLK_EGONE);
	memcpy(&page, "foobarbaz", 9);
	is_int(open_of(&page, 16), -VMCLK_EMALFORMED);
}

int main(void)
{
	return tap_main();
}
