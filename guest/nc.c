/* A small nc: busybox's has no -k, which test scripts use to serve many clients.
 *   nc [-u] [-w SECONDS] [-s ADDRESS] HOST PORT
 *   nc -l [-k] [-u] -p PORT [-s ADDRESS] [-e PROGRAM ARGUMENT...]
 * -w limits connecting, and how long nothing may arrive after that. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int datagrams, seconds = -1;
static char **program;

static int fail(const char *what)
{
	fprintf(stderr, "nc: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct addrinfo *resolve(const char *host, const char *port, int passive)
{
	struct addrinfo *found, want = { .ai_socktype = datagrams ? SOCK_DGRAM : SOCK_STREAM, .ai_flags = passive ? AI_PASSIVE : 0 };
	int e = getaddrinfo(host, port, &want, &found);

	if (e) {
		fprintf(stderr, "nc: %s: %s\n", host ? host : port, gai_strerror(e));
		exit(1);
	}
	return found;
}

static int bound(struct addrinfo *a)
{
	int one = 1, off = 0, s = socket(a->ai_family, a->ai_socktype, 0);

	if (s < 0)
		return -1;
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (datagrams) /* the socket that answers a sender shares the port */
		setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
	if (a->ai_family == AF_INET6)
		setsockopt(s, IPPROTO_IPV6, 26 /* IPV6_V6ONLY */, &off, sizeof off);
	if (bind(s, a->ai_addr, a->ai_addrlen) == 0)
		return s;
	close(s);
	return -1;
}

/* copies between the socket and stdin/stdout until the other side ends */
static int relay(int s)
{
	char buffer[65536];
	struct pollfd fds[2] = { { s, POLLIN, 0 }, { 0, POLLIN, 0 } };

	for (;;) {
		int ready = poll(fds, 2, seconds < 0 ? -1 : seconds * 1000);
		if (ready <= 0)
			return ready < 0;
		for (int i = 0; i < 2; i++) {
			if (!fds[i].revents)
				continue;
			ssize_t n = read(fds[i].fd, buffer, sizeof buffer);
			if (n < 0 || (n == 0 && i == 0))
				return n < 0;
			if (n == 0) {
				shutdown(s, SHUT_WR);
				fds[i].fd = -1;
			} else if (write(i == 0 ? 1 : s, buffer, n) < n) {
				return 1;
			}
		}
	}
}

static int serve(int s)
{
	if (!program)
		return relay(s);
	dup2(s, 0);
	dup2(s, 1);
	execvp(program[0], program);
	return fail(program[0]);
}

/* a socket for the next client: TCP accepts it, UDP takes its first datagram */
static int next_client(int s, struct addrinfo *here)
{
	struct sockaddr_storage peer;
	socklen_t size = sizeof peer;
	char buffer[65536];
	int c;

	if (!datagrams)
		return accept(s, NULL, NULL);
	ssize_t n = recvfrom(s, buffer, sizeof buffer, 0, (struct sockaddr *)&peer, &size);
	if (n < 0)
		return -1;
	c = bound(here);
	if (c >= 0 && connect(c, (struct sockaddr *)&peer, size) < 0)
		fail("connect");
	if (!program && write(1, buffer, n) < n)
		fail("write");
	return c;
}

static int listen_on(const char *host, const char *port, int keep)
{
	struct addrinfo *a = resolve(host, port, 1);
	int s = -1;

	for (int family = AF_INET6; s < 0; family = AF_INET) { /* one IPv6 socket takes both */
		for (struct addrinfo *i = a; i && s < 0; i = i->ai_next)
			if (i->ai_family == family && (s = bound(i)) >= 0)
				a = i;
		if (family == AF_INET)
			break;
	}
	if (s < 0 || (!datagrams && listen(s, 16) < 0))
		fail("listen");
	signal(SIGCHLD, SIG_IGN);
	do {
		int c = next_client(s, a);
		if (c < 0)
			continue;
		if (!keep || fork() == 0) {
			close(s);
			return serve(c);
		}
		close(c);
	} while (keep);
	return 1;
}

static int connect_to(const char *from, const char *host, const char *port)
{
	for (struct addrinfo *a = resolve(host, port, 0); a; a = a->ai_next) {
		int s = socket(a->ai_family, a->ai_socktype, 0);
		if (s >= 0 && from && bind(s, resolve(from, "0", 1)->ai_addr, a->ai_addrlen) < 0)
			fail(from);
		if (seconds >= 0)
			alarm(seconds + 1); /* ends a connect that gets no answer */
		if (s >= 0 && connect(s, a->ai_addr, a->ai_addrlen) == 0) {
			alarm(0);
			return serve(s);
		}
		close(s);
	}
	return fail(host);
}

int main(int argc, char **argv)
{
	const char *port = NULL, *from = NULL;
	int o, server = 0, keep = 0;

	while ((o = getopt(argc, argv, "+lkunvzp:w:s:q:e:")) != -1) {
		switch (o) {
		case 'l': server = 1; break;
		case 'k': keep = 1; break;
		case 'u': datagrams = 1; break;
		case 'p': port = optarg; break;
		case 'w': seconds = atoi(optarg); break;
		case 's': from = optarg; break;
		case 'e': program = argv + optind - 1; break;
		case '?': return 1;
		}
		if (program)
			break; /* the rest are its arguments */
	}
	if (server)
		return port || optind < argc ? listen_on(from, port ? port : argv[optind], keep) : 1;
	if (argc - optind != 2) {
		fprintf(stderr, "usage: nc [-u] [-w SECONDS] [-s ADDRESS] HOST PORT | nc -l [-k] [-u] -p PORT [-e PROGRAM...]\n");
		return 1;
	}
	return connect_to(from, argv[optind], argv[optind + 1]);
}
