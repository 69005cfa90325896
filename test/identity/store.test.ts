import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, linkSync, renameSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DiskError } from "../../agent/host/host.ts";
import { realNetwork } from "../../agent/host/network.ts";
import { DIRECT } from "../../agent/host/proxy.ts";
import { leave } from "../../agent/identity/leave.ts";
import { loadOrEnrol } from "../../agent/identity/load.ts";
import { enrolled, faulted, makeWorld, ownerOf, UID, type World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await makeWorld();
  await world.placeToken();
  enrolled(await world.start());
});
afterEach(() => world.end());

for (const [what, mode] of [
  ["", 0o750],
  ["agent.json", 0o640],
  ["agent.json", 0o602],
] as const) {
  test(`identity/${what} with mode ${mode.toString(8)} refuses to start, and says chmod`, async () => {
    const path = what === "" ? world.identityFolder : join(world.identityFolder, what);
    chmodSync(path, mode);
    const fault = faulted(await world.start());
    expect(fault).toMatchObject({ fault: "permission", exit: 4 });
    expect(fault.message).toContain(path);
    expect(fault.hint).toContain(`chmod ${what === "" ? "0700" : "0600"} ${path}`);
    expect(statSync(path).mode & 0o777).toBe(mode);
  });
}

test("a state folder that others may enter refuses to start", async () => {
  chmodSync(join(world.folder, "state"), 0o755);
  expect(faulted(await world.start())).toMatchObject({ fault: "permission", exit: 4 });
});

test("an identity of another owner refuses to start", async () => {
  const fault = faulted(await world.start({ uid: UID + 1 }));
  expect(fault).toMatchObject({ fault: "permission", exit: 4 });
  expect(fault.message).toContain(`belongs to user ${UID}`);
});

test("a key file that is a link, or has a second name, refuses to start", async () => {
  const path = join(world.identityFolder, "agent.json");
  linkSync(path, join(world.folder, "second-name"));
  expect(faulted(await world.start())).toMatchObject({ fault: "permission", exit: 4 });
  const moved = join(world.folder, "moved");
  renameSync(path, moved);
  symlinkSync(moved, path);
  expect(faulted(await world.start())).toMatchObject({ fault: "permission", exit: 4 });
});

test("a changed or half identity refuses to start and is not replaced", async () => {
  const path = join(world.identityFolder, "agent.json");
  const text = await Bun.file(path).text();
  await world.placeToken();
  const other = JSON.parse(text);
  for (const bytes of [
    "",
    text.slice(0, -20),
    "[]",
    JSON.stringify({ ...other, extra: 1 }),
    JSON.stringify({ ...other, current: { ...other.current, key: other.log_key } }),
  ]) {
    writeFileSync(path, bytes);
    expect(faulted(await world.start())).toMatchObject({ fault: "damaged", exit: 6 });
    expect(await Bun.file(path).text()).toBe(bytes);
  }
  expect(world.plane.enrolKeys.size).toBe(1);
});

test("a stored trust statement that does not hold is damage, not trust", async () => {
  const path = join(world.identityFolder, "agent.json");
  const stored = JSON.parse(await Bun.file(path).text());
  const [head, , tail] = stored.trust[0].split(".");
  const forged = Buffer.from(stored.trust[0].split(".")[1], "base64url").toString().replace("cmd-1", "cmd-9");
  writeFileSync(
    path,
    JSON.stringify({ ...stored, trust: [`${head}.${Buffer.from(forged).toString("base64url")}.${tail}`] }),
  );
  expect(faulted(await world.start()).fault).toBe("damaged");
});

test("a full disk at enrolment is a fault with the disk's own code, and nothing was sent", async () => {
  leave(world.host, world.identityFolder);
  await world.placeToken();
  const bodies = world.plane.bodies.length;
  const disk = {
    ...world.host.disk,
    replace(path: string) {
      throw new DiskError("ENOSPC", path, "no space");
    },
  };
  const config = world.config();
  const result = await loadOrEnrol({
    host: { ...world.host, disk },
    net: realNetwork(DIRECT),
    config,
    owner: ownerOf(config),
    credentials: null,
    uid: UID,
    prove: null,
  });
  expect(faulted(result)).toMatchObject({ fault: "disk", exit: 4 });
  expect(world.plane.bodies.length).toBe(bodies);
});

test("a disk that fails while renewing leaves the certificate in use, and the renewal goes on later", async () => {
  let full = false;
  const disk = {
    ...world.host.disk,
    replace(path: string, bytes: Uint8Array, mode: number) {
      if (full) throw new DiskError("ENOSPC", path, "no space");
      world.host.disk.replace(path, bytes, mode);
    },
  };
  const config = world.config();
  const identity = enrolled(
    await loadOrEnrol({
      host: { ...world.host, disk },
      net: realNetwork(DIRECT),
      config,
      owner: ownerOf(config),
      credentials: null,
      uid: UID,
      prove: null,
    }),
  );
  const before = identity.chain();
  world.pass(20 * 3_600_000);
  full = true;
  expect(await identity.renewIfDue()).toEqual({ unreachable: "disk: ENOSPC" });
  expect(identity.chain()).toEqual(before);
  full = false;
  expect(await identity.renewIfDue()).toHaveProperty("renewed");
  identity.session.close();
});
