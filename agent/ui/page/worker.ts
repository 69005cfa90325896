import "reflect-metadata";
import type { Entry } from "../../audit/entry.ts";
import { utf8 } from "./bytes.ts";
import { type Check, type Heads, newCheck, type Verdict } from "./check.ts";
import { emptyLeaves, keepLeaf, leafAt } from "./leaves.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { isSame, leafOf } from "./tree.ts";
import { addUse, emptyUsage } from "./usage.ts";

/** Reads the whole log once, beside the page: checks it, and counts what was used of each rule. Then it answers for lines that the page shows. */
const NEWLINE = 10;
const PROGRESS_LINES = 20_000;
const leaves = emptyLeaves();
const usage = emptyUsage(Date.now());
let checked = 0;
let next = 0;

function tell(message: FromWorker): void {
  self.postMessage(message);
}

self.addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if ("key" in data) {
    look(data.key).catch((error: unknown) => tell({ kind: "failed", because: String(error) }));
    return;
  }
  const { ask, index, line } = data;
  const leaf = index < checked ? leafAt(leaves, index) : null;
  tell({ kind: "same", ask, same: leaf === null ? null : isSame(leaf, leafOf(utf8(line))) });
});

async function look(key: string): Promise<void> {
  const headers = { "x-reeve-key": key };
  const answer = await fetch("/api/heads", { headers });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  // Heads first: lines that are read later are at least those that the heads cover.
  const heads = (await answer.json()) as Heads;
  const check = newCheck(heads);
  let verdict: Verdict;
  try {
    for (const [number, segment] of heads.segments.entries()) {
      tell({ kind: "progress", lines: next, segment: number, segments: heads.segments.length });
      await lookAt(segment, check, headers);
    }
    verdict = await check.end();
  } catch (error) {
    verdict = await check.verdictOf(error);
  }
  checked = verdict.damage?.index ?? verdict.size;
  tell({ kind: "verdict", verdict, usage });
}

async function lookAt(segment: number, check: Check, headers: Record<string, string>): Promise<void> {
  const answer = await fetch(`/api/lines?segment=${segment}`, { headers });
  if (!answer.ok || answer.body === null)
    throw new Error(`the server answered ${answer.status} for the segment ${segment}`);
  let first = true;
  for await (const line of linesOf(answer.body)) {
    if (first) {
      await check.begin(segment, line);
      next = segment;
      first = false;
    }
    keepLeaf(leaves, next, await check.take(line));
    next += 1;
    countUse(line);
    if (next % PROGRESS_LINES === 0) tell({ kind: "progress", lines: next, segment: 0, segments: 0 });
  }
}

/** Whole lines; bytes that no newline ends yet are a write under way. */
async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  let rest = new Uint8Array(0);
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const bytes = new Uint8Array(rest.length + piece.value.length);
    bytes.set(rest);
    bytes.set(piece.value, rest.length);
    let begin = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, begin)) {
      yield bytes.subarray(begin, end);
      begin = end + 1;
    }
    rest = bytes.slice(begin);
  }
}

const decoder = new TextDecoder();

function countUse(line: Uint8Array): void {
  const text = decoder.decode(line);
  // Most lines count nothing; what these words stand in by chance is sorted out by the entry's own kind.
  if (!text.includes('"kind":"intent"') && !text.includes('"kind":"refused"')) return;
  try {
    addUse(usage, JSON.parse(text) as Entry);
  } catch {
    // A line that is no entry counts nothing: the check says what is wrong with the log.
    return;
  }
}
