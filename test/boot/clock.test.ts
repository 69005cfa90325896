/** A machine whose clock, name service or control plane is not there yet when it starts: it says so, waits, and uses nothing up. */
import { afterEach, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { send, type World, world } from "../e2e/world.ts";
import { ended } from "./ran.ts";
import { atAnotherTime } from "./time.ts";

const LONG = 60;
let w: World;
afterEach(async () => {
  await w?.end();
}, 60_000);

type Told = { state: string; reason: string };
function told(): Told {
  const path = join(w.folder, "runtime/status.json");
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Told) : { state: "", reason: "" };
}
type Fleet = { clusters: { epoch: number; alarms: unknown[] }[] };
const fleet = () => (JSON.parse(w.vendor("fleet", "--json").stdout) as Fleet).clusters[0];
const said = () => readFileSync(join(w.folder, "agent.err"), "utf8");
/** The same token, made at another time: the agent, which knows nobody yet, cannot tell that it is not the vendor's. */
function remade(token: string, by: number): string {
  const [header = "", payload = "", signature = ""] = token.split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as Record<string, number>;
  const moved = { ...claims, exp: (claims["exp"] ?? 0) + by, iat: (claims["iat"] ?? 0) + by };
  const text = JSON.stringify(Object.fromEntries(Object.entries(moved).sort(([a], [b]) => (a < b ? -1 : 1))));
  return `${header}.${Buffer.from(text).toString("base64url")}.${signature}`;
}

test("a clock that is behind at boot is said and waited for: no token is sent, and it goes on by itself", async () => {
  w = await world();
  const good = readFileSync(w.token, "utf8");
  writeFileSync(w.token, remade(good, 2 * 3600), { mode: 0o600 });
  const agent = w.startAgent();
  await w.until("it waits", () => told().reason.includes("the clock is behind"), LONG);
  expect(told().state).toBe("enrolling");
  expect(told().reason).toMatch(
    /^Cannot join yet: this machine's clock says 2\S+Z, and the join token was made at 2\S+Z: the clock is behind\.$/,
  );
  expect([w.reeve(["status"]).code, w.reeve(["status"]).stdout.includes("the clock is behind")]).toEqual([1, true]);
  expect([fleet()?.epoch ?? 0, agent.exitCode]).toEqual([0, null]);
  writeFileSync(w.token, good, { mode: 0o600 });
  await w.until("it is ready", () => w.reeve(["status"], "--json").code === 0, LONG);
  expect([fleet()?.epoch, fleet()?.alarms, send(w, "scale", "--group", "brokers", "--count", "1").code]).toEqual([
    1,
    [],
    0,
  ]);
}, 180_000);

test("where the control plane's time is later, its certificate says so before a token is sent", async () => {
  w = await world({ under: atAnotherTime("+2h") });
  // Made for this machine's time: the token is no sign of the clock.
  writeFileSync(w.token, remade(readFileSync(w.token, "utf8"), -2 * 3600), { mode: 0o600 });
  const agent = w.startAgent();
  await w.until("it waits", () => told().reason.includes("valid only from"), LONG);
  expect(told().reason).toContain("the control plane's certificate is valid only from");
  expect([fleet()?.epoch ?? 0, agent.exitCode]).toEqual([0, null]);
}, 120_000);

test("a token that looks expired to a clock that is ahead is kept, and both times are said; one that has expired is an end", async () => {
  w = await world({ under: atAnotherTime("-2d") });
  const agent = w.startAgent();
  await w.until("it waits", () => told().reason.includes("by this one it has expired"), LONG);
  expect(told()).toMatchObject({ state: "enrolling" });
  expect(told().reason).toMatch(
    /clock says 2\S+Z, and the control plane's 2\S+Z: by its clock the join token is good until 2\S+Z/,
  );
  expect([existsSync(w.token), fleet()?.epoch ?? 0]).toEqual([true, 0]);
  agent.kill("SIGTERM");
  expect(await ended(agent)).toBe(0);
  writeFileSync(w.token, remade(readFileSync(w.token, "utf8"), -5 * 24 * 3600), { mode: 0o600 });
  expect(await ended(w.startAgent())).toBe(6);
  expect(said()).toContain('"code":"token-expired"');
}, 180_000);

test("a name that is not known yet is named and waited for, and so is a control plane that does not answer yet", async () => {
  w = await world();
  const config = readFileSync(w.config, "utf8");
  const token = readFileSync(w.token, "utf8");
  const [port = ""] = /:(\d+)$/.exec(w.ports.enrol)?.slice(1) ?? [];
  const nobody = `https://control.vendor.invalid:${port}`;
  const [header = "", payload = "", signature = ""] = token.split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as Record<string, unknown>;
  const there = Buffer.from(JSON.stringify({ ...claims, url: nobody })).toString("base64url");
  writeFileSync(w.token, `${header}.${there}.${signature}`, { mode: 0o600 });
  writeFileSync(w.config, config.replace(`https://${w.ports.enrol}`, nobody));
  const early = w.startAgent();
  await w.until("it waits", () => told().reason.includes("control.vendor.invalid"), LONG);
  expect(told()).toEqual(expect.objectContaining({ state: "enrolling", reason: `Cannot reach ${nobody}: dns.` }));
  early.kill("SIGTERM");
  expect(await ended(early)).toBe(0);

  writeFileSync(w.config, config);
  writeFileSync(w.token, token, { mode: 0o600 });
  await w.stopControl();
  w.startAgent();
  await w.until("it waits", () => told().reason === `Cannot reach https://${w.ports.enrol}: refused.`, LONG);
  await w.startControl();
  await w.until("it is ready", () => w.reeve(["status"], "--json").code === 0, LONG);
  expect(fleet()).toMatchObject({ epoch: 1, alarms: [] });
}, 180_000);
