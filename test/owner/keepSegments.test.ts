import { afterEach, beforeEach, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { segmentName } from "../../agent/audit/folder.ts";
import { checkpointText, signNote } from "../../agent/audit/note.ts";
import { realHost } from "../../agent/host/real.ts";
import { BUCKET_LOOK_SECONDS } from "../../agent/limits.ts";
import { segmentKeeper } from "../../agent/owner/keepSegments.ts";
import { away, memoryBucket, stillClock } from "../bucket/memory.ts";

const ORIGIN = "spiffe://vendor.example/cluster/prod-eu-1/agent/epoch/2";
const { privateKey } = generateKeyPairSync("ed25519");
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "reeve-keep-"));
  mkdirSync(join(folder, "audit"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function note(size: number, root = 1, time = 1_800_000_000_000): string {
  return signNote(checkpointText({ origin: ORIGIN, size, root: Buffer.alloc(32, root), time }), ORIGIN, privateKey);
}
function write(name: string, text: string): void {
  writeFileSync(join(folder, "audit", name), text);
}

/** Looks once: the clock of these tests never wakes a sleeper, so the keeper stands still after it. */
async function once(memory: ReturnType<typeof memoryBucket>) {
  const [ends, said]: [string[], string[]] = [[], []];
  const stop = new AbortController();
  let puts = 0;
  const clock = { ...stillClock(), sleep: (ms: number, signal?: AbortSignal) => sleeping(ms, signal) };
  let slept: () => void = () => undefined;
  const looked = new Promise<void>((resolve) => {
    slept = resolve;
  });
  function sleeping(milliseconds: number, signal?: AbortSignal): Promise<void> {
    // Between two looks; the other sleep is what would end a look that takes too long.
    if (milliseconds === BUCKET_LOOK_SECONDS * 1000) slept();
    return new Promise((resolve) => signal?.addEventListener("abort", () => resolve()));
  }
  const keeper = segmentKeeper(memory.bucket, {
    host: { ...realHost(), clock },
    folder: join(folder, "audit"),
    file: join(folder, "bucket.json"),
    epoch: 2,
    say: (_level, words) => said.push(words),
    head: {
      put: async () => {
        puts += 1;
        return null;
      },
      history: (own) => own,
    },
    size: () => 7,
    another: (because) => ends.push(because),
  });
  const running = keeper.run(stop.signal);
  await Promise.race([looked, running]);
  stop.abort();
  await running;
  return { ends, said, next: keeper.next(), puts };
}

function text(memory: ReturnType<typeof memoryBucket>, name: string): string | null {
  const found = memory.objects.get(name);
  return found === undefined ? null : new TextDecoder().decode(found.bytes);
}

test("closed segments and the newest head of them lie in the bucket, the open one does not", async () => {
  write(segmentName(0), "a\nb\n");
  write(segmentName(2), "c\n");
  write(segmentName(3), "d\n");
  write("checkpoints", `${note(2)}\n${note(3)}\n${note(4)}\n`);
  const memory = memoryBucket();
  expect(await once(memory)).toMatchObject({ ends: [], next: 3, puts: 1 });
  expect([...memory.objects.keys()].sort()).toEqual(
    [
      `log/2/${segmentName(0)}`,
      `log/2/${segmentName(2)}`,
      "log/2/00000000000000000002.checkpoint",
      "log/2/00000000000000000003.checkpoint",
    ].sort(),
  );
  expect(text(memory, `log/2/${segmentName(0)}`)).toBe("a\nb\n");
  expect(text(memory, "log/2/00000000000000000003.checkpoint")).toBe(note(3));
  expect(JSON.parse(readFileSync(join(folder, "bucket.json"), "utf8"))).toEqual({
    epoch: 2,
    next: 3,
    place: memory.bucket.place,
    v: 1,
  });
});

test("what lies there is not sent again, and after a stop between sending and remembering it is sent again and good", async () => {
  write(segmentName(0), "a\n");
  write(segmentName(1), "b\n");
  write("checkpoints", `${note(1)}\n`);
  const memory = memoryBucket();
  expect((await once(memory)).next).toBe(1);
  const marks = [...memory.objects.values()].map(({ mark }) => mark);
  memory.faults.push({ of: "add", done: false, error: away("never asked") });
  expect(await once(memory)).toMatchObject({ next: 1, said: [] });
  memory.faults.length = 0;
  rmSync(join(folder, "bucket.json"));
  // The head is signed anew each hour: the same one at another time is good.
  write("checkpoints", `${note(1, 1, 1_800_000_000_001)}\n`);
  expect(await once(memory)).toMatchObject({ ends: [], next: 1 });
  expect([...memory.objects.values()].map(({ mark }) => mark)).toEqual(marks);
});

test("a head with cosignatures lies there beside the newest signed one", async () => {
  write(segmentName(0), "a\nb\nc\n");
  write(segmentName(3), "d\n");
  write("checkpoints", `${note(2)}\n${note(3)}\n${note(4)}\n`);
  write("cosigned", `${note(1)}\n${note(4)}\n`);
  const memory = memoryBucket();
  await once(memory);
  expect([...memory.objects.keys()].filter((name) => name.endsWith(".checkpoint")).sort()).toEqual([
    "log/2/00000000000000000003.checkpoint",
  ]);
  expect(text(memory, "log/2/00000000000000000003.cosigned")).toBe(note(1));
});

test("other bytes under a segment's name, or another head of the same size, are another agent's: this one ends", async () => {
  write(segmentName(0), "a\n");
  write(segmentName(1), "b\n");
  write("checkpoints", `${note(1)}\n`);
  const memory = memoryBucket();
  memory.put(`log/2/${segmentName(0)}`, "x\n");
  const ended = await once(memory);
  expect([ended.ends.length, ended.next, existsSync(join(folder, "bucket.json"))]).toEqual([1, 0, false]);
  memory.remove(`log/2/${segmentName(0)}`);
  memory.put("log/2/00000000000000000001.checkpoint", note(1, 9));
  expect((await once(memory)).ends.length).toBe(1);
});

test("a bucket that is away is said once, and nothing counts as kept", async () => {
  write(segmentName(0), "a\n");
  write(segmentName(1), "b\n");
  const memory = memoryBucket();
  memory.faults.push({ of: "add", done: true, error: away() });
  expect(await once(memory)).toMatchObject({
    ends: [],
    next: 0,
    said: ["the log cannot be added to the owner's bucket: no answer (timeout)"],
  });
  expect(await once(memory)).toMatchObject({ ends: [], next: 1 });
});
