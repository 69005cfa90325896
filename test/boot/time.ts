import { readdirSync } from "node:fs";
import { join } from "node:path";

const FOLDER = "/usr/lib";

/**
 * What starts a program at another time of day (Debian's faketime), in its very own process: `-2d`, `+2h`, `-86370s`. The agent itself takes no
 * such environment, so it is the control plane's clock that differs.
 */
export function atAnotherTime(shift: string): string[] {
  const [library] = readdirSync(FOLDER)
    .map((name) => join(FOLDER, name, "faketime/libfaketime.so.1"))
    .filter((path) => Bun.file(path).size > 0);
  if (library === undefined) throw new Error("there is no libfaketime: apt-get install faketime");
  return ["env", `LD_PRELOAD=${library}`, `FAKETIME=${shift}`, "FAKETIME_DONT_FAKE_MONOTONIC=1"];
}
