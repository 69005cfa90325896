import type { Disk } from "../../agent/host/host.ts";
import { realDisk } from "../../agent/host/real.ts";

/** A disk that stops the process at its n-th change, before or after that change was done. */
export function stopping(stopAt: number, done: boolean): { disk: Disk; changes(): number } {
  let changes = 0;
  const change = <T>(act: () => T): T => {
    changes += 1;
    if (changes === stopAt && !done) throw new Error("stopped here");
    const result = act();
    if (changes === stopAt) throw new Error("stopped here");
    return result;
  };
  return {
    changes: () => changes,
    disk: {
      ...realDisk,
      replace: (path, bytes, mode) => change(() => realDisk.replace(path, bytes, mode)),
      remove: (path) => change(() => realDisk.remove(path)),
      truncate: (path, size) => change(() => realDisk.truncate(path, size)),
      rename: (from, to) => change(() => realDisk.rename(from, to)),
      makeDirectory: (path, mode) => realDisk.makeDirectory(path, mode),
      appender(path, mode) {
        const file = realDisk.exists(path)
          ? realDisk.appender(path, mode)
          : change(() => realDisk.appender(path, mode));
        return {
          get size() {
            return file.size;
          },
          append: (bytes) => change(() => file.append(bytes)),
          sync: () => change(() => file.sync()),
          intact: () => file.intact(),
          close: () => file.close(),
        };
      },
    },
  };
}
