// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loads the modules named by the arguments, in their order, from /vm.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char path[128];
		int fd;

		snprintf(path, sizeof(path), "/vm/%s.ko", argv[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0)) {
			perror(path);
			return 1;
		}
		close(fd);
	}
	return 0;
}
