import { expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cosignedWriter } from "../../agent/audit/cosigned.ts";
import { checkpointRecord, readCheckpoints } from "../../agent/audit/folder.ts";
import { ed25519Private, parseNote, signatureLine, signNote } from "../../agent/audit/note.ts";
import { realDisk } from "../../agent/host/real.ts";
import { started, type World, world } from "./world.ts";

/** The file of cosigned heads, which others have a hand in. */
function segments(folder: string): string[] {
  return realDisk.list(folder).filter((name) => name.endsWith(".jsonl"));
}

async function filled(): Promise<World> {
  const w = await world({ segmentBytes: 4000 });
  const log = w.open();
  while (segments(w.folder).length < 3 || log.size % 7 !== 0) log.append([started]);
  log.close();
  return w;
}

test("what came from others into the file of cosigned heads stops no start, and the newest head that is ours among it counts", async () => {
  const w = await filled();
  const note = readCheckpoints(realDisk, w.folder).notes.at(-1) ?? "";
  const text = parseNote(note)?.text ?? "";
  const beyond = text.replace(/\n\d+\n/, "\n999999\n");
  const stranger = ed25519Private(Buffer.alloc(32, 9));
  const poison = [
    `${note}${signatureLine(w.as.origin, parseNote(note)?.signatures[0]?.id ?? Buffer.alloc(4), Buffer.alloc(64, 1))}`,
    signNote(beyond, w.as.origin, stranger),
    signNote(text.replace(w.as.origin, "other.example/1"), "other.example/1", stranger),
    "nothing\n\n\u2014 x AAAAAAAA\n",
  ];
  for (const one of poison) {
    writeFileSync(join(w.folder, "cosigned"), checkpointRecord(one));
    const log = w.open();
    log.append([started]);
    log.close();
  }
  // One of ours beyond the end, though: entries are gone.
  const w2 = await filled();
  const newest = readCheckpoints(realDisk, w2.folder).notes.at(-1) ?? "";
  const last = join(w2.folder, segments(w2.folder).at(-1) ?? "");
  const lines = readFileSync(last, "utf8").trimEnd().split("\n");
  expect(lines.length).toBeGreaterThan(1);
  writeFileSync(last, `${lines.slice(0, -1).join("\n")}\n`);
  rmSync(join(w2.folder, "checkpoints"));
  writeFileSync(join(w2.folder, "cosigned"), [newest, ...poison].map(checkpointRecord).join(""));
  expect(() => w2.open()).toThrow("but its newest head covers");
});

test("cosigners with ever new keys do not make the file of cosigned heads grow without end", async () => {
  const w = await filled();
  const note = readCheckpoints(realDisk, w.folder).notes.at(-1) ?? "";
  const writer = cosignedWriter(realDisk, w.folder);
  const id = Buffer.alloc(4);
  for (let n = 0; n < 6000; n++) {
    id.writeUInt32BE(n);
    writer.add(`${note}${signatureLine("witness.example/w1", id, Buffer.alloc(72, 1))}`);
  }
  const kept = readCheckpoints(realDisk, w.folder, "cosigned");
  expect(kept.bad).toBeNull();
  // The file is written anew at a mebibyte, with some dozens of notes.
  expect(realDisk.stat(join(w.folder, "cosigned")).size).toBeLessThan(1024 * 1024 + 2000);
});
