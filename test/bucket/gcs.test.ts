import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { dialer } from "../../agent/host/dial.ts";
import { DIRECT } from "../../agent/host/proxy.ts";
import { realHost } from "../../agent/host/real.ts";
import { BucketFailed } from "../../providers/bucket.ts";
import { gcsBucket } from "../../providers/gcp/bucket.ts";
import { freePort } from "../demo/bind.ts";
import { goTool } from "./goTool.ts";
import { failed, holds, ON, type OwnedStore, SIGNAL } from "./suite.ts";

let endpoint = "";

function bucketIn(name: string, at = endpoint) {
  const config = { bucket: `gs://${name}/prod-eu-1`, endpoint: at };
  const setting = { host: realHost(), version: "9.9.9", dial: dialer(DIRECT), owner: config };
  return gcsBucket(setting, config, { current: async () => "token", forget: () => undefined });
}

/** fake-gcs-server (fsouza), which judges nobody: what Cloud Storage says to who may not, only a real account can show. */
async function start(): Promise<OwnedStore> {
  const port = await freePort();
  endpoint = `http://127.0.0.1:${port}`;
  const flags = ["-scheme", "http", "-host", "127.0.0.1", "-port", String(port), "-backend", "memory"];
  const child = spawn(goTool("github.com/fsouza/fake-gcs-server"), flags, {
    stdio: "ignore",
    env: { PATH: "/usr/bin" },
  });
  const until = performance.now() + 60_000;
  const json = { "content-type": "application/json" };
  const made = () =>
    fetch(`${endpoint}/storage/v1/b?project=p`, {
      method: "POST",
      headers: json,
      body: JSON.stringify({ name: "the-owners", versioning: { enabled: true } }),
    }).catch(() => null);
  while ((await made())?.ok !== true) {
    if (child.exitCode !== null || performance.now() > until) throw new Error("fake-gcs-server does not start");
    await Bun.sleep(50);
  }
  const object = (name: string): string => encodeURIComponent(`prod-eu-1/${name}`);
  const at = (name: string): string => `${endpoint}/storage/v1/b/the-owners/o/${object(name)}`;
  return {
    bucket: bucketIn("the-owners"),
    async put(name, text) {
      const url = `${endpoint}/upload/storage/v1/b/the-owners/o?uploadType=media&name=${object(name)}`;
      expect((await fetch(url, { method: "POST", body: text })).status).toBe(200);
    },
    async remove(name) {
      expect((await fetch(at(name), { method: "DELETE" })).ok).toBe(true);
    },
    async content(name) {
      const found = await fetch(`${at(name)}?alt=media`);
      return found.ok ? found.text() : null;
    },
    async stop() {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await gone;
    },
  };
}

holds("fake-gcs-server", start);

test("what Cloud Storage says to who may not, is told apart", async () => {
  const said: [number, BucketFailed["what"]][] = [
    [401, "unreachable"],
    [403, "denied"],
    [429, "unreachable"],
    [503, "unreachable"],
    [400, "refused"],
  ];
  for (const [status, what] of said) {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("{}", { status }) });
    const refused = await failed(bucketIn("the-owners", `http://127.0.0.1:${server.port}`).get(ON, 100, SIGNAL));
    expect(refused).toBeInstanceOf(BucketFailed);
    expect([status, refused.what]).toEqual([status, what]);
    await server.stop(true);
  }
});
