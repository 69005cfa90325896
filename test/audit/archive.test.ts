import { expect, test } from "bun:test";
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { archiveEpoch, LogDamaged, LogUnavailable, openLog } from "../../agent/audit/log.ts";
import { verifyLog } from "../../agent/audit/verify.ts";
import { realDisk, realHost } from "../../agent/host/real.ts";
import { fill, intent, started, world } from "./world.ts";

const host = realHost();

test("a former epoch's log is put aside whole, and its newest head is told, also when asked again", async () => {
  const one = await world({ segmentBytes: 3000 });
  const log = one.open();
  const id = Bun.randomUUIDv7();
  log.append([intent(id)]);
  for (let n = 0; n < 30; n++) log.append([started]);
  const head = log.checkpoint();
  expect(() => archiveEpoch(host, one.folder, 2)).toThrow(LogUnavailable);
  log.close();
  expect(archiveEpoch(host, one.folder, 1)).toBeNull();
  const before = archiveEpoch(host, one.folder, 2);
  expect(before).toMatchObject({ epoch: 1, checkpoint: head });
  expect(before?.memory()?.open.get(id)?.index).toBe(1);
  expect(await verifyLog(realDisk, join(one.folder, "epoch-1"), { ca: one.caPem })).toMatchObject({
    exit: 11,
    size: log.size,
  });
  const two = await world({ epoch: 2 });
  fill(openLog(host, one.folder, two.as));
  expect(archiveEpoch(host, one.folder, 2)?.checkpoint).toBe(head);
  expect(await verifyLog(realDisk, one.folder, { ca: two.caPem })).toMatchObject({ exit: 11, size: 8 });
  expect(() => archiveEpoch(host, one.folder, 1)).toThrow(LogDamaged);
});

test("putting aside goes on where a crash stopped it, after any number of files", async () => {
  const one = await world({ segmentBytes: 3000 });
  const log = one.open();
  for (let n = 0; n < 30; n++) log.append([started]);
  const head = log.checkpoint();
  log.close();
  const names = realDisk.list(one.folder).filter((name) => /^\d/.test(name));
  const to = join(one.folder, "epoch-1");
  realDisk.makeDirectory(to, 0o700);
  for (let moved = 0; moved < names.length; moved++) {
    renameSync(join(one.folder, names[moved] ?? ""), join(to, names[moved] ?? ""));
    if (moved % 2 === 1) continue;
    expect(archiveEpoch(host, one.folder, 2)?.checkpoint).toBe(head);
    expect((await verifyLog(realDisk, to, { ca: one.caPem })).exit).toBe(11);
    for (const name of [...names.slice(moved + 1), "checkpoints"]) renameSync(join(to, name), join(one.folder, name));
  }
  rmSync(one.folder, { recursive: true });
  expect(archiveEpoch(host, one.folder, 2)).toBeNull();
});
