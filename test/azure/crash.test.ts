import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Point, round, show, type Try } from "./crashes.ts";
import { type Stage, stage } from "./stage.ts";

let s: Stage;
let signed = 0;
beforeAll(async () => {
  s = await stage();
}, 300_000);
afterAll(() => s?.end(), 60_000);

const KEYS = "Microsoft.KeyVault/vaults/keys";
const RECORD = "Microsoft.Network/dnsZones/A";

/** Reading the authority again after the intent is the second read of the key. */
const OF_CERTIFICATES: readonly Point[] = [
  { action: `${KEYS}/read`, nth: 1, moment: "after" },
  { action: `${KEYS}/sign/action`, nth: 0, moment: "before" },
  { action: `${KEYS}/sign/action`, nth: 0, moment: "after" },
];
const CERTIFICATE: Try = {
  send: () => s.certificate(false),
  look() {
    const more = s.cloud.vault.signed.length - signed;
    expect(more).toBeLessThanOrEqual(1);
    return more === 1 ? "after" : "before";
  },
  reset() {
    signed = s.cloud.vault.signed.length;
  },
  holds(outcome, _, { action }) {
    // Whether a key signed cannot be read. That it was never asked is known from what was kept before.
    const said = action.endsWith("/read") ? ["failed", "not-issued"] : ["unknown", "signed-or-not"];
    expect([outcome?.result, outcome?.code, outcome?.changed, outcome?.certificate]).toEqual([
      ...said,
      [],
      null,
    ] as never);
  },
};

const OF_RECORDS: readonly Point[] = [
  { action: `${RECORD}/read`, nth: 1, moment: "after" },
  { action: `${RECORD}/write`, nth: 0, moment: "before" },
  { action: `${RECORD}/write`, nth: 0, moment: "after" },
  { action: `${RECORD}/read`, nth: 2, moment: "after" },
];
const RECORDS: Try = {
  send: () => s.record("replace", "10.20.0.2", false),
  look() {
    const [value] = (s.cloud.zone.look("A", "b1")?.["ARecords"] ?? []) as { ipv4Address: string }[];
    expect(["10.20.0.1", "10.20.0.2"]).toContain(value?.ipv4Address ?? "none");
    return value?.ipv4Address === "10.20.0.2" ? "after" : "before";
  },
  reset: () => s.cloud.zone.others("A", "b1", { TTL: 60, ARecords: [{ ipv4Address: "10.20.0.1" }] }),
  holds(outcome, looked) {
    if (looked === "after") expect([outcome?.result, outcome?.known_by]).toEqual(["succeeded", "state"]);
    else expect([outcome?.result, outcome?.known_by, outcome?.changed]).toEqual(["failed", "state", []]);
  },
};

test("issue-certificate: killed at each of its calls, with the answer lost, nobody has a certificate and the outcome says what is known", async () => {
  const lines: string[] = [];
  for (const point of OF_CERTIFICATES) lines.push(await round(s, CERTIFICATE, point));
  show(lines);
  expect(lines).toHaveLength(3);
}, 600_000);

test("update-dns: killed at each of its calls, with the answer lost, the outcome says what lies there", async () => {
  const lines: string[] = [];
  for (const point of OF_RECORDS) lines.push(await round(s, RECORDS, point));
  show(lines);
  expect(lines).toHaveLength(4);
  expect((await s.reeve(["audit", "verify"], "--ca", s.machine.root)).code).toBe(11);
  expect(s.cloud.problems).toEqual([]);
}, 600_000);
