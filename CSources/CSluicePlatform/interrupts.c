// Signals: when a process may be interrupted, and how a crash ends it.
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "sluice_platform.h"

static void change_mask(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(how, &set, NULL);
}

void sl_signals_block(void) {
    change_mask(SIG_BLOCK);
}

void sl_signals_unblock(void) {
    change_mask(SIG_UNBLOCK);
}

static volatile sig_atomic_t crash_code;

static void crash(int signal_number) {
    static const char text[] = "sluice: internal error: please report this with the command\n";
    (void)signal_number;
    const ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    _exit(crash_code);
}

void sl_crash_exit_install(int code) {
    static const int signals[] = {SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
    crash_code = code;
    // Where the calling thread crashes on when its stack has run out.
    static char spare[64 << 10];
    const stack_t stack = {.ss_sp = spare, .ss_size = sizeof spare};
    sigaltstack(&stack, NULL);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = crash;
    action.sa_flags = SA_ONSTACK;
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        sigaction(signals[i], &action, NULL);
    }
    // A file beyond the size limit of the process is then a write that fails, like a full disk.
    signal(SIGXFSZ, SIG_IGN);
}
