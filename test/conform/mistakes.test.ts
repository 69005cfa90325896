import { afterAll, expect, test } from "bun:test";
import { conform, endPlanes, readResults, startTiny } from "./planes.ts";

afterAll(endPlanes);

/** A control plane's mistake (test/conform/tiny/mistakes.go), and the cases that must find it. */
const MISTAKES = [
  ["token-not-burnt", ["enrol-again-same-key", "enrol-burnt-after-use", "enrol-theft"]],
  ["theft-unnoticed", ["enrol-theft"]],
  ["expired-token-taken", ["enrol-token-expired"]],
  ["csr-more-taken", ["enrol-csr-other-name", "enrol-csr-second-name", "enrol-csr-extension"]],
  ["epoch-stays", ["enrol-epoch-rises"]],
  ["root-not-sent", ["tls-root-in-chain"]],
  ["foreign-client", ["tls-foreign-certificate"]],
  ["redirects", ["tls-no-redirect"]],
  ["wrong-status", ["enrol-theft", "enrol-token-forged"]],
  ["before-entry-0", ["poll-before-entry-0"]],
  ["handed-out-twice", ["poll-same-process"]],
  ["not-handed-out-again", ["poll-other-process"]],
  ["two-a-resource", ["poll-one-a-resource"]],
  ["take-ignored", ["poll-take"]],
  ["hold-ignored", ["poll-hold"]],
  ["cancel-forgotten", ["poll-cancel"]],
  ["changed-entry-taken", ["report-changed"]],
  ["forged-checkpoint-taken", ["report-forged-head"]],
  ["root-not-compared", ["report-wrong-root", "report-head-ahead", "report-head-ahead-asked"]],
  ["gap-taken", ["report-gap"]],
  ["half-a-report", ["report-whole-or-not"]],
  ["binding-not-checked", ["report-entry-0-unbound", "report-entry-0-other-certificate"]],
  ["older-certificate-served", ["renew-older-refused", "renew-older-is-a-copy"]],
  ["same-key-renewed", ["renew-key-used"]],
  ["copy-unnoticed", ["copy-process", "report-changed"]],
  ["shorter-taken", ["copy-shorter", "copy-shorter-late"]],
  ["inventory-of-any-policy", ["optional-inventory"]],
  ["others-manifest", ["optional-manifest"]],
] as const;

test.each(MISTAKES)(
  "%s: the cases for it fail, and the exit is 1",
  async (mistake, cases) => {
    const plane = await startTiny(mistake);
    try {
      const said = await conform(...plane.words, "--json", "--only", ...cases);
      const { cases: seen } = readResults(said);
      expect(seen.map(({ id, result }) => `${result} ${id}`).sort()).toEqual(cases.map((id) => `failed ${id}`).sort());
      expect(said.code).toBe(1);
    } finally {
      await plane.end();
    }
  },
  300_000,
);

test("without a mistake these cases pass", async () => {
  const plane = await startTiny();
  const all = [...new Set(MISTAKES.flatMap(([, cases]) => cases))];
  const said = await conform(...plane.words, "--json", "--only", ...all);
  const { cases } = readResults(said);
  expect(cases.map(({ id, result }) => `${result} ${id}`).sort()).toEqual(all.map((id) => `passed ${id}`).sort());
  expect(said.code).toBe(0);
}, 300_000);
