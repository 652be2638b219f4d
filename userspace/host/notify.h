/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Telling the service manager how far we are, as sd_notify(3) describes.
 */
#ifndef HOST_NOTIFY_H
#define HOST_NOTIFY_H

/**
 * notify_manager() - send a state
 * @state: such as "READY=1". Nobody has to be there, and nothing comes of an error.
 */
void notify_manager(const char *state);

#endif /* HOST_NOTIFY_H */
