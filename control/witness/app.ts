import { createHash } from "node:crypto";
import { type Context, Hono } from "hono";
import { jsonOf } from "../json.ts";
import type { Store } from "../store.ts";
import { addCheckpoint } from "./add.ts";
import { AddLog, judgeNamings } from "./enrol.ts";
import { follow } from "./follow.ts";
import type { WitnessKey } from "./key.ts";
import { parseSubmission } from "./request.ts";
import { readLogs } from "./state.ts";

/** 63 proof lines and a note with its signatures are under 12 KiB. */
const MAX_SUBMISSION_BYTES = 64 * 1024;
/** Some lines of 4 KiB each, their proofs, a note, as JSON. */
const MAX_LOG_BYTES = 4 * 1024 * 1024;
const BODY_TIMEOUT_MS = 20_000;
const TEXT = "text/plain; charset=utf-8";

export type Witness = {
  readonly key: WitnessKey;
  readonly store: Store;
  /** PEM: who may vouch for a log's key. */
  readonly ca: string;
  /** Told of each refusal, for the operator's eyes. */
  said(what: string, because: string): void;
};

/** One witness over HTTP: c2sp.org/tlog-witness, and `add-log` beside it. Nobody is authenticated but by what the log's key signed. */
export function witnessApp(witness: Witness): Hono {
  const app = new Hono();
  app.notFound((c) => c.text("there is nothing here\n", 404));
  app.onError((error, c) => {
    // Our own mistake, or the disk's: said here, and the caller learns nothing of it.
    witness.said("a call failed", String(error));
    return c.text("this did not work; try again\n", 500);
  });
  app.post("/add-checkpoint", async (c) => {
    const body = await readText(c, MAX_SUBMISSION_BYTES);
    const asked = body === null ? null : parseSubmission(body);
    if (asked === null) return c.text("the body is not of its form\n", 400);
    const added = await witness.store.transaction((sql) => addCheckpoint(sql, witness.key, asked));
    if (added.status === 200) return c.body(added.lines, 200, { "content-type": TEXT });
    if (added.status === 409) return c.body(`${added.size}\n`, 409, { "content-type": "text/x.tlog.size" });
    witness.said(`add-checkpoint ${added.status}`, added.because);
    return c.text(`${added.because}\n`, added.status);
  });
  app.post("/add-log", async (c) => {
    const asked = AddLog.safeParse(jsonOf((await readText(c, MAX_LOG_BYTES)) ?? ""));
    if (!asked.success) return c.text("the body is not of its form\n", 400);
    const judged = await judgeNamings(asked.data, witness.ca);
    const answer =
      "status" in judged
        ? judged
        : await witness.store.transaction((sql) => follow(sql, judged, asked.data.checkpoint));
    if (answer === null) return c.body("", 200, { "content-type": TEXT });
    witness.said(`add-log ${answer.status}`, answer.because);
    return c.text(`${answer.because}\n`, answer.status);
  });
  app.get("/:hash/checkpoint", async (c) => {
    const wanted = c.req.param("hash");
    const logs = await witness.store.transaction(readLogs);
    const log = logs.find(({ origin }) => createHash("sha256").update(origin).digest("hex") === wanted);
    if (log === undefined || log.note === "") return c.text("nothing of this log was cosigned here\n", 404);
    return c.body(log.note, 200, { "content-type": TEXT });
  });
  return app;
}

/** The body as UTF-8 of at most `max` bytes; null for anything else, and for one that does not come. */
async function readText(c: Context, max: number): Promise<string | null> {
  const body = c.req.raw.body;
  if (body === null) return null;
  const reader = body.getReader();
  const late = AbortSignal.timeout(BODY_TIMEOUT_MS);
  late.addEventListener("abort", () => void reader.cancel().catch(() => undefined), { once: true });
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (late.aborted) return null;
    if (done) break;
    size += value.length;
    if (size > max) {
      await reader.cancel().catch(() => undefined);
      return null;
    }
    chunks.push(value);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    return null;
  }
}
