/**
 * `bun bench/scale/load.ts LIST`: the agents of a JSON file, in one process. Says a line `{"polling":N}` now and then, `{"answered":N}` each second for the
 * polls that were answered so far, and one for each command.
 */
import "reflect-metadata";
import { readFileSync } from "node:fs";
import { type Place, pollForEver } from "./agent.ts";

/** `hold`: seconds that each poll may be held. */
export type List = Place & {
  readonly hold: number;
  readonly agents_list: readonly { readonly cluster: string; readonly token: string }[];
};
/** Enrolments under way at a time. */
const WIDTH = 16;

const { agents_list: all, hold, ...at } = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as List;
const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`);
const rest = [...all];
let [polling, answered] = [0, 0];
setInterval(() => say({ answered }), 1000);

function fail(error: unknown): never {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
}

async function lane(): Promise<void> {
  for (let who = rest.shift(); who !== undefined; who = rest.shift()) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const got = (jws: string): void => {
      const id = (JSON.parse(Buffer.from(jws.split(".")[1] ?? "", "base64url").toString()) as { jti: string }).jti;
      say({ got: id, at: Date.now() });
    };
    pollForEver(at, who, hold, { polling: resolve, answered: () => void answered++, got }).catch(fail);
    await promise;
    polling++;
    if (polling % 100 === 0 || polling === all.length) say({ polling });
  }
}
await Promise.all(Array.from({ length: WIDTH }, lane));
