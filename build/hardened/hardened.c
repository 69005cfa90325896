/* Starts a program as a unit with MemoryDenyWriteExecute= does: no memory becomes executable that was writable. The filter is systemd's:
 * mmap and shmat that ask for both, mprotect and pkey_mprotect that ask to execute, end with EPERM; so do io_uring and memfd_create, which the
 * unit refuses too. It is inherited and cannot be lifted.
 *   hardened PROGRAM [ARGUMENT...]
 * Built with -DRUN_ONLY='"PATH"' it stands in for that program, and does so for its command `run` alone; it then has that program's name. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WORD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
/* Skips the next `n` unless the call is this one. */
#define UNLESS(call, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, (n))
#define ANSWER(what) BPF_STMT(BPF_RET | BPF_K, (what))
/* Of the call: refuses it when all of these bits are set in an argument. The number is loaded anew for the next. */
#define REFUSE(call, argument, bits)                                                                                   \
  UNLESS((call), 5), WORD(args[argument]), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (bits)),                                 \
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (bits), 0, 1), ANSWER(SECCOMP_RET_ERRNO | EPERM), WORD(nr)
#define DENY(call) UNLESS((call), 1), ANSWER(SECCOMP_RET_ERRNO | EPERM)

static int harden(void) {
  struct sock_filter filter[] = {
      WORD(nr),
      REFUSE(__NR_mmap, 2, PROT_EXEC | PROT_WRITE),
      REFUSE(__NR_mprotect, 2, PROT_EXEC),
      REFUSE(__NR_pkey_mprotect, 2, PROT_EXEC),
      REFUSE(__NR_shmat, 2, SHM_EXEC),
      DENY(__NR_io_uring_setup),
      DENY(__NR_io_uring_enter),
      DENY(__NR_io_uring_register),
      DENY(__NR_memfd_create),
      ANSWER(SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  /* Root needs no promise, and what it starts may then still change its user. */
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0) return 0;
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int count, char **words) {
#ifdef RUN_ONLY
  const char *path = RUN_ONLY;
  int wanted = count > 1 && strcmp(words[1], "run") == 0;
  words[0] = RUN_ONLY;
#else
  words++;
  const char *path = count > 1 ? *words : "";
  int wanted = 1;
#endif
  if (wanted && harden() != 0) {
    perror("hardened: seccomp");
    return 125;
  }
  execv(path, words);
  perror(path);
  return 127;
}
