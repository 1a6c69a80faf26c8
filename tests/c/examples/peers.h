/* The connections of a chat server: between the engine and sockets that poll() watches. */
#include <arpa/inet.h>
#include <errno.h>
#include <obrolan.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { FDS = 1024 };
static struct pollfd polled[FDS]; /* a file descriptor's place is its number */
static obrolan_conn conns[FDS];   /* 0 where there is no connection */
static obrolan_engine *engine;

/* Without its engine or its disk, a server ends: what is not durable was not answered. */
static void need(bool good) {
    if (good) return;
    perror(obrolan_last_error());
    exit(1);
}
#define OK(call) need((call) == OBROLAN_OK)

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* Listens on a port of this machine, on any free one if it is 0, and tells on which. */
static int listen_on(uint16_t port) {
    static struct sockaddr_in here;
    socklen_t len = sizeof here;
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    here.sin_family = AF_INET;
    here.sin_port = htons(port);
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    need(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0);
    need(bind(listener, (struct sockaddr *)&here, len) == 0 && listen(listener, 128) == 0 &&
         getsockname(listener, (struct sockaddr *)&here, &len) == 0);
    need(printf("listening on 127.0.0.1:%d\n", ntohs(here.sin_port)) > 0 && fflush(stdout) == 0);
    return listener;
}

static void watch(int fd) {
    polled[fd].fd = fd;
    polled[fd].events = POLLIN;
}

static void forget(int fd) {
    close(fd);
    polled[fd].fd = -1;
    polled[fd].revents = 0;
    conns[fd] = 0;
}

static void gone(int fd) {
    OK(obrolan_engine_peer_closed(engine, now(), conns[fd], OBROLAN_CLOSED_GONE));
    forget(fd);
}

static void accept_from(int listener) {
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    char ip[INET_ADDRSTRLEN];
    int fd = accept4(listener, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    inet_ntop(AF_INET, &from.sin_addr, ip, sizeof ip);
    bool taken = fd < FDS && !obrolan_engine_connect(engine, now(), ip, &conns[fd]);
    if (taken) watch(fd);
    if (!taken) close(fd);
}

static void read_from(int fd) {
    static uint8_t bytes[64 << 10];
    size_t taken = 0;
    bool more = false;
    ssize_t got = recv(fd, bytes, sizeof bytes, MSG_PEEK); /* what is not taken stays there */
    if (got > 0) {
        OK(obrolan_engine_receive(engine, now(), conns[fd], bytes, (size_t)got, &taken, &more));
        got = recv(fd, bytes, taken, 0); /* fails where the peer has reset the connection meanwhile */
    } else if (got == 0)
        OK(obrolan_engine_peer_closed(engine, now(), conns[fd], OBROLAN_CLOSED_EOF));
    if (got < 0 && errno != EAGAIN) gone(fd);
    else if (got >= 0 && !more) polled[fd].events &= ~POLLIN;
}

static void write_to(int fd) {
    obrolan_slice slices[16];
    size_t count;
    OK(obrolan_engine_outgoing(engine, conns[fd], slices, 16, &count));
    ssize_t sent = writev(fd, (struct iovec *)slices, (int)count);
    if (count == 0) polled[fd].events &= ~POLLOUT;
    if (sent > 0) OK(obrolan_engine_sent(engine, now(), conns[fd], (size_t)sent));
    if (sent < 0 && errno != EAGAIN) gone(fd);
}
