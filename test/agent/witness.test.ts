import { expect, test } from "bun:test";
import { cosign, cosignerText } from "../../agent/audit/cosignature.ts";
import type { Log } from "../../agent/audit/log.ts";
import {
  ed25519Private,
  ed25519Public,
  keyId,
  parseCheckpoint,
  parseNote,
  signatureLine,
  verifierKey,
} from "../../agent/audit/note.ts";
import { witnessLines } from "../../agent/doctor/witnesses.ts";
import { type WitnessConfig, WitnessesConfig } from "../../agent/witness/config.ts";
import { type AskWitness, follower } from "../../agent/witness/follow.ts";
import type { WitnessSaid } from "../../agent/witness/submission.ts";
import { started, world } from "../audit/world.ts";

const key = ed25519Private(Buffer.alloc(32, 5));
const CONFIG: WitnessConfig = {
  name: "w1",
  url: "https://witness.example/reeve",
  key: cosignerText({ name: "witness.example/w1", publicKey: ed25519Public(key) }),
  required: true,
};

test("a witness is named by https, or http on this very machine, and by a cosigner's key; whether it is required is written out", () => {
  const good = [
    CONFIG.url,
    "https://witness.example:8443",
    "http://127.0.0.1:8080",
    "http://[::1]:8080/x",
    "http://localhost:1",
  ];
  for (const url of good) expect([url, WitnessesConfig.safeParse([{ ...CONFIG, url }]).success]).toEqual([url, true]);
  const bad = [
    "http://witness.example",
    "http://127.0.0.1.example",
    "http://10.0.0.1:80",
    "https://witness.example/",
    "https://user:pass@witness.example",
    "https://witness.example?x",
    "https://witness.example#x",
    "https://WITNESS.example",
    "ftp://witness.example",
    "witness.example",
  ];
  for (const url of bad) expect([url, WitnessesConfig.safeParse([{ ...CONFIG, url }]).success]).toEqual([url, false]);
  const { required: _, ...unsaid } = CONFIG;
  const log = verifierKey("witness.example/w1", ed25519Public(key));
  for (const one of [unsaid, { ...CONFIG, key: log }, { ...CONFIG, ca: "ca.pem" }, { ...CONFIG, more: 1 }])
    expect(WitnessesConfig.safeParse([one]).success).toBe(false);
  const other = { ...CONFIG, name: "w2", url: "https://other.example" };
  expect(WitnessesConfig.safeParse([CONFIG, other]).success).toBe(false);
});

/** A log of nine entries, and a witness that answers as it is told. */
async function asked(answers: (path: string, body: string, log: Log) => WitnessSaid) {
  const log = (await world()).open();
  while (log.size < 9) log.append([started]);
  const kept: string[] = [];
  let questions = 0;
  const ask: AskWitness = async (_, path, body) => {
    questions++;
    return answers(path, body, log);
  };
  const result = await follower(CONFIG, log, ask, (note) => kept.push(note)).attempt();
  log.close();
  return { result, kept, questions };
}
const said = (status: number, text: string, type = "text/plain"): WitnessSaid => ({ status, type, text });
const stale = (size: string): WitnessSaid => said(409, size, "text/x.tlog.size");
const line = (log: Log, by = key, name = "witness.example/w1"): string =>
  cosign(parseNote(log.checkpoint())?.text ?? "", name, by, 1_795_000_000);

test("a cosignature is kept when it is this witness's over this very head, and with no line of others", async () => {
  const good = await asked((_, __, log) =>
    said(200, `${line(log)}${line(log, ed25519Private(Buffer.alloc(32, 6)), "other")}`),
  );
  expect(good.result).toBeNull();
  expect(good.kept).toHaveLength(1);
  expect(good.kept[0]).not.toContain("\u2014 other ");
  const bad: ((log: Log) => string)[] = [
    () => "",
    () => "\u2014 witness.example/w1 AAAA\n",
    (log) => line(log, ed25519Private(Buffer.alloc(32, 6))),
    (log) => line(log, key, "witness.example/w2"),
    (log) => line(log).trim(),
    (log) => `${line(log)}\n${log.checkpoint()}`,
    () => `${cosign("another\n1\nAAAA\n", "witness.example/w1", key, 5)}`,
  ];
  for (const text of bad) {
    const { result, kept } = await asked((_, __, log) => said(200, text(log)));
    expect(result).toEqual({ failed: "answer: no cosignature by its key" });
    expect(kept).toEqual([]);
  }
});

test("a line under the log's own name, or a second one under the witness's, never comes out of an answer", async () => {
  const named = (log: Log): string => parseCheckpoint(log.checkpoint())?.origin ?? "";
  const bytes = Buffer.alloc(64, 1);
  const forged: ((log: Log) => string)[] = [
    (log) => signatureLine(named(log), Buffer.from("00000000", "hex"), bytes),
    (log) => signatureLine(named(log), parseNote(log.checkpoint())?.signatures[0]?.id ?? bytes, bytes),
    (log) => signatureLine(named(log), keyId(named(log), ed25519Public(key)), bytes),
    () => signatureLine("witness.example/w1", Buffer.from("00000000", "hex"), bytes),
  ];
  for (const more of forged)
    for (const text of [(log: Log) => more(log) + line(log), (log: Log) => line(log) + more(log)]) {
      let clean = "";
      const { result, kept } = await asked((_, __, log) => {
        clean = `${log.checkpoint()}${line(log)}`;
        return said(200, text(log));
      });
      expect([result, kept]).toEqual([null, [clean]]);
    }
});

test("a size that the witness names is gone to; one beyond the log says that the log was set back", async () => {
  const answers = (_: string, body: string, log: Log): WitnessSaid =>
    body.startsWith("old 4\n") ? said(200, line(log)) : stale("4\n");
  expect(await asked(answers)).toMatchObject({ result: null, questions: 2 });
  expect((await asked(() => stale("10\n"))).result).toMatchObject({ code: "rolled-back" });
  for (const text of ["", "04\n", "-1\n", "4.0\n", "99999999999999999999\n"])
    expect([text, (await asked(() => stale(text))).result]).toEqual([text, { failed: "answer: status 409" }]);
  expect((await asked(() => said(409, "4\n"))).result).toEqual({ failed: "answer: status 409" });
});

test("no continuation of what it has cosigned is a fork; of nothing it is only a wrong answer", async () => {
  const forked = await asked((_, body) => (body.startsWith("old 0\n") ? stale("4\n") : said(422, "")));
  expect(forked.result).toMatchObject({ code: "forked" });
  expect((await asked(() => said(422, ""))).result).toEqual({ failed: "answer: status 422" });
});

test("a witness that answers round and round, or anything else, is asked a few times and then later", async () => {
  let size = 0;
  const round = await asked(() => {
    size = (size % 8) + 1;
    return stale(`${size}\n`);
  });
  expect(round.result).toEqual({ failed: "it asks on and on" });
  expect(round.questions).toBeLessThan(10);
  for (const status of [204, 301, 400, 429, 500, 503])
    expect((await asked(() => said(status, ""))).result).toEqual({ failed: `answer: status ${status}` });
  expect((await asked(() => ({ unreachable: "timeout" }))).result).toEqual({ failed: "timeout" });
});

test("a log that it does not know is shown to it once; without add-log its operator must", async () => {
  const paths: string[] = [];
  const unknown = await asked((path) => {
    paths.push(path);
    return said(path === "/add-log" ? 200 : 404, "");
  });
  expect(paths).toEqual(["/add-checkpoint", "/add-log", "/add-checkpoint"]);
  expect(unknown.result).toEqual({ failed: "it does not take this log (status 404)" });
  expect((await asked(() => said(404, ""))).result).toEqual({
    failed: "it does not know this log: its operator must add the log's key",
  });
});

test("who refuses a signature is shown the newest two keys first, and no answer has the log read again for the same keys", async () => {
  const log = (await world({ segmentBytes: 3000 })).open();
  while (log.segments().length < 9) log.append([started]);
  let read = 0;
  const counted: Log = Object.create(log, {
    lines: {
      value: (from: number, max: number) => {
        read++;
        return log.lines(from, max);
      },
    },
    size: { get: () => log.size },
  });
  const bodies: string[] = [];
  const answers: { [path: string]: number } = { "/add-checkpoint": 403, "/add-log": 403 };
  const ask: AskWitness = async (_, path, body) => {
    if (path === "/add-log") bodies.push(body);
    return said(answers[path] ?? 500, "");
  };
  const one = follower(CONFIG, counted, ask, () => undefined);
  let turns = 0;
  let watching = true;
  const turn = (): void => {
    turns++;
    if (watching) setImmediate(turn);
  };
  setImmediate(turn);
  expect(await one.attempt()).toMatchObject({ failed: expect.stringContaining("it does not take this log") });
  watching = false;
  // Others had their turn between the lines.
  expect(turns).toBeGreaterThanOrEqual(9);
  const counts = bodies.map((body) => (JSON.parse(body) as { namings: unknown[] }).namings.length);
  expect(counts).toEqual([2, 9]);
  const once = read;
  for (let n = 0; n < 3; n++) await one.attempt();
  expect(read).toBe(once);
  expect(new Set(bodies).size).toBe(2);
  answers["/add-checkpoint"] = 404;
  await one.attempt();
  expect(bodies.at(-1)).toBe(bodies[1] ?? "");
  expect(read).toBe(once);
  // A newer key is shown.
  while (log.segments().length < 10) log.append([started]);
  await one.attempt();
  expect((JSON.parse(bodies.at(-1) ?? "") as { namings: unknown[] }).namings).toHaveLength(10);
  log.close();
});

test("doctor: a witness that is away is a warning, a required one a failure, and none at all is said", () => {
  const seen = { name: "w1", size: 7, at: "2026-11-24T09:14:07.000Z", failing: null };
  const kept = {
    state: "kept",
    alive: true,
    says: "ready",
    reason: "",
    pid: 7,
    contact: null,
    witnesses: [seen],
  } as const;
  const away = { ...seen, failing: { since: "2026-11-24T10:00:00.000Z", reason: "timeout" } };
  const level = (config: WitnessConfig[], status: Parameters<typeof witnessLines>[1]): string | undefined =>
    witnessLines({ witnesses: config } as Parameters<typeof witnessLines>[0], status)[0]?.level;
  const optional = { ...CONFIG, required: false };
  expect(level([CONFIG], kept)).toBe("ok");
  expect(level([optional], { ...kept, witnesses: [away] })).toBe("warn");
  expect(level([CONFIG], { ...kept, witnesses: [away] })).toBe("fail");
  expect(level([CONFIG], { ...kept, witnesses: [] })).toBe("warn");
  expect(level([CONFIG], { ...kept, alive: false })).toBe("warn");
  expect(level([], kept)).toBe("ok");
});
