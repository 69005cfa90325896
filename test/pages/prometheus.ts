import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { requireDebian } from "../tools.ts";

/** A real Prometheus (Debian's) that scrapes what a test serves, each second, and evaluates rules as often. */
export type Prometheus = {
  /** The value at this moment, by the label `by` of each series; of a series without it by its name. */
  query(expr: string, by: string): Promise<Map<string, number>>;
  stop(): Promise<void>;
};
const living = new Set<ChildProcess>();

export async function endPrometheus(): Promise<void> {
  for (const child of living) {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }
}

/** `scrapes`: the value of `scrape_configs`, as YAML that is JSON. `rules`: files. */
export async function prometheus(folder: string, scrapes: unknown, rules: readonly string[]): Promise<Prometheus> {
  requireDebian({ prometheus: "prometheus" });
  const path = (name: string): string => join(folder, name);
  mkdirSync(path("tsdb"));
  const every = { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" };
  writeFileSync(path("prometheus.yml"), JSON.stringify({ global: every, rule_files: rules, scrape_configs: scrapes }));
  // The kernel chooses the port; Prometheus says it in its log.
  const words = [`--config.file=${path("prometheus.yml")}`, `--storage.tsdb.path=${path("tsdb")}`];
  const child = spawn("prometheus", [...words, "--web.listen-address=127.0.0.1:0", "--log.format=json"], {
    env: { PATH: "/usr/bin:/bin" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  living.add(child);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.once("exit", () => living.delete(child));
  const port = await new Promise<string>((resolve, reject) => {
    let said = "";
    child.stderr?.on("data", (bytes: Buffer) => {
      said += bytes.toString();
      const found = /"address":"127\.0\.0\.1:([1-9]\d*)"/.exec(said)?.[1];
      if (found !== undefined) resolve(found);
    });
    void ended.then(() => reject(new Error(`prometheus ended: ${said.slice(-2000)}`)));
  });
  return {
    async query(expr, by) {
      const address = `http://127.0.0.1:${port}/api/v1/query?${new URLSearchParams({ query: expr })}`;
      const answer = await fetch(address, { keepalive: false });
      if (!answer.ok) return new Map();
      type Series = { readonly metric: Readonly<Record<string, string>>; readonly value: readonly [number, string] };
      const { data } = (await answer.json()) as { readonly data: { readonly result: readonly Series[] } };
      return new Map(
        data.result.map(({ metric, value }) => [metric[by] ?? metric["__name__"] ?? "", Number(value[1])]),
      );
    },
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** A copy of rules whose delays are a second: how long they are is promtool's to judge, on series of a day. */
export function withoutDelays(file: string, to: string): string {
  const text = readFileSync(file, "utf8");
  writeFileSync(to, text.replace(/^( {8}(?:for|keep_firing_for): ).*$/gm, "$11s"));
  return to;
}
