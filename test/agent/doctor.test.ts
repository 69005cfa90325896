import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import type { ClockFact, EndpointFact, IdentityFact, Joined, LogFact, Ran } from "../../agent/doctor/facts.ts";
import { enrolmentLines, epochLines, trustLines } from "../../agent/doctor/identity.ts";
import { type Line, size, span } from "../../agent/doctor/line.ts";
import { boundedDisk, orLate } from "../../agent/doctor/look.ts";
import { clockLines, diskLines, environmentLines } from "../../agent/doctor/machine.ts";
import { contactLines, logLines, providerLines } from "../../agent/doctor/record.ts";
import { tarOf } from "../../agent/doctor/tar.ts";
import { type AgentUser, foldersOf, groupsOf, mayEnter, mayWrite, replaceableIn } from "../../agent/doctor/user.ts";
import { linesJson, linesText } from "../../agent/doctor/words.ts";
import { DiskError, type Stat } from "../../agent/host/host.ts";
import { realClock, realDisk } from "../../agent/host/real.ts";
import { CLOCK_SKEW_SECONDS } from "../../agent/limits.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = 1_795_000_000_000;
const USER: AgentUser = { uid: 990, gids: [990, 50], by: "/var/lib/reeve belongs to it" };

const CERTIFICATE = { serial: "01", from: NOW - HOUR, until: NOW + 23 * HOUR };
const JOINED: Joined & { state: "joined"; left: null; fenced: null } = {
  state: "joined",
  left: null,
  fenced: null,
  agentId: "spiffe://vendor.example/cluster/c/agent",
  epoch: 2,
  enrolledAt: NOW - HOUR,
  certificate: CERTIFICATE,
  chain: [],
  renewing: false,
  elsewhere: null,
  trust: { version: 3, keys: ["cmd-1"], roots: 1 },
  statements: [],
};
const WHOLE: Extract<LogFact, { state: "whole" }> = {
  state: "whole",
  folder: "/var/lib/reeve/audit",
  size: 10,
  head: { size: 10, time: NOW - 1000 },
  held: true,
  torn: false,
  newest: NOW - 1000,
  epoch: 2,
  revision: 1,
  open: 0,
};
const CLOCK: ClockFact = { services: ["chrony"], synchronized: null, jumpMs: 0 };
const said = (lines: readonly Line[]): string[] => lines.map(({ level, found }) => `${level}: ${found}`);

test("a token that is missing fails, and is a remark only where the machine's platform may do in its place", () => {
  const line = (platform: boolean): Line | undefined =>
    enrolmentLines(
      { state: "none", began: null, fenced: null, token: { state: "bad", message: "none", hint: "ask", platform } },
      NOW,
      "/c",
    )[0];
  expect([line(false)?.level, line(true)?.level]).toEqual(["fail", "warn"]);
  expect(line(true)?.hint).toContain("reeve-control admit");
});

describe("the certificate", () => {
  const at = (after: number): Line => {
    const [line] = enrolmentLines(JOINED, CERTIFICATE.from + after, "/c");
    if (line === undefined) throw new Error("no line");
    return line;
  };
  const cases: [string, number, string, RegExp][] = [
    ["young", HOUR, "ok", /valid until .*; renewal is due from /],
    ["in its renewal's time", 17 * HOUR, "ok", /renewal is due from/],
    ["not renewed when it should have been", 20 * HOUR, "warn", /its renewal is overdue by 1 h 36 min/],
    ["at its last second", DAY, "warn", /overdue/],
    ["expired, orLate the grace", 2 * DAY, "fail", /expired 1 d ago; for 6 d more it can be renewed/],
    ["past the grace", 9 * DAY, "fail", /past its grace of 7 d/],
    ["of the future", -HOUR, "fail", /valid only from/],
  ];
  test.each(cases)("%s", (_, after, level, words) => {
    const line = at(after);
    expect(line.level).toBe(level as Line["level"]);
    expect(line.found).toMatch(words);
  });
  test("past the grace a new token is named, orLate it the agent is to be started", () => {
    expect(at(9 * DAY).hint).toContain("new join token");
    expect(at(2 * DAY).hint).toContain("Start the agent");
  });
  test("joining that did not end is told with its begin", () => {
    const began: IdentityFact = { state: "none", began: NOW - HOUR, token: { state: "unseen" }, fenced: null };
    expect(said(enrolmentLines(began, NOW, "/c"))[0]).toStartWith("warn: joining began ");
  });
});

describe("the clock", () => {
  test("a set clock is seen while doctor runs: over a minute fails, less warns", () => {
    const jump = (jumpMs: number): string[] => said(clockLines({ ...CLOCK, jumpMs }, NOW, null, []));
    expect(jump(900)[1]).toStartWith("ok");
    expect(jump(-5000)[1]).toBe("warn: it was set by 5 s back while doctor ran");
    expect(jump(120_000)[1]).toBe("fail: it was set by 2 min forward while doctor ran");
  });
  test("a clock behind the log's newest entry fails", () => {
    const lines = clockLines(CLOCK, NOW, { ...WHOLE, newest: NOW + 90_000 }, []);
    expect(said(lines)[2]).toStartWith("fail: it is 1 min 30 s behind the log's newest entry");
    expect(clockLines(CLOCK, NOW, { ...WHOLE, newest: NOW }, [])).toHaveLength(2);
  });
  test("a time service that has not set it yet is a warning", () => {
    const fact = { ...CLOCK, services: ["systemd-timesyncd"] };
    expect(said(clockLines({ ...fact, synchronized: false }, NOW, null, []))[0]).toContain("has not set the clock yet");
    expect(said(clockLines({ ...fact, synchronized: true }, NOW, null, []))[0]).toBe(
      "ok: systemd-timesyncd runs and has set the clock",
    );
  });
  const endpoint = (skewMs: number | null, from = NOW - DAY, until = NOW + DAY): EndpointFact => ({
    what: "enrolment",
    place: "c:1",
    via: "direct",
    lookup: null,
    shown: { chain: [{ subject: "", issuer: "", sha256: "", from, until }] },
    verified: { unreachable: null },
    skewMs,
  });
  test("exactly the skew that commands are allowed passes as a warning, a millisecond more fails", () => {
    const level = (skewMs: number): string => clockLines(CLOCK, NOW, null, [endpoint(skewMs)])[2]?.level ?? "";
    expect([level(CLOCK_SKEW_SECONDS * 1000), level(-CLOCK_SKEW_SECONDS * 1000)]).toEqual(["warn", "warn"]);
    expect([level(CLOCK_SKEW_SECONDS * 1000 + 1), level(-CLOCK_SKEW_SECONDS * 1000 - 1)]).toEqual(["fail", "fail"]);
  });
  test("without a Date the shown certificate's validity is what it is held to, and that is said", () => {
    const about = (from: number, until: number): string =>
      said(clockLines(CLOCK, NOW, null, [endpoint(null, from, until)]))[2] ?? "";
    expect(about(NOW - DAY, NOW + DAY)).toContain("nothing closer is known");
    expect(about(NOW + DAY, NOW + 2 * DAY)).toBe("fail: it is 1 d before that certificate's begin");
    expect(about(NOW - 2 * DAY, NOW - DAY)).toBe("fail: it is 1 d after that certificate's end");
  });
});

describe("identity, epoch, trust and log together", () => {
  test("a log of the epoch before is told, for the next start puts it aside", () => {
    expect(epochLines(JOINED, { ...WHOLE, epoch: 1 })[0]?.level).toBe("warn");
    expect(epochLines(JOINED, WHOLE)[0]?.level).toBe("ok");
  });
  test("a trust statement that does not hold fails, none is a warning", () => {
    const broken = { because: "its signature is not by the key that it names", hint: "Ask the vendor." };
    expect(trustLines({ ...JOINED, trust: broken })[0]).toMatchObject({ level: "fail", found: broken.because });
    expect(trustLines({ ...JOINED, trust: { version: 0, keys: [], roots: 1 } })[0]?.level).toBe("warn");
  });
  test("a log too long to be read is a warning, one that cannot be read fails", () => {
    expect(logLines({ state: "long", folder: "/a", limit: 2 ** 27 })[0]).toMatchObject({
      level: "warn",
      found: "its newest part is over 128.0 MiB and was not read",
    });
    expect(logLines({ state: "closed", folder: "/a", code: "EACCES" })[0]?.level).toBe("fail");
    expect(logLines({ ...WHOLE, held: false })[0]?.found).toContain("was not held to a key");
    expect(logLines({ ...WHOLE, head: null })[0]?.level).toBe("warn");
  });
  test("what the agent says of itself: refusing, fenced and stopped fail while it lives", () => {
    const kept = {
      state: "kept",
      alive: true,
      says: "ready",
      reason: "",
      pid: 7,
      contact: null,
      witnesses: [],
    } as const;
    expect(contactLines(kept)[0]?.level).toBe("ok");
    for (const says of ["refusing", "fenced", "stopped"])
      expect(contactLines({ ...kept, says })[0]?.level).toBe("fail");
    expect(contactLines({ ...kept, says: "enrolling" })[0]?.level).toBe("warn");
    expect(contactLines({ ...kept, alive: false })[0]?.level).toBe("warn");
  });
  test("a provider that does not answer, or that the config gives nothing to do, is a warning", () => {
    expect(providerLines({ name: "local", unknown: "it did not say orLate 10 s" })[0]?.level).toBe("warn");
    expect(providerLines({ name: "local", parts: [] })[0]?.level).toBe("warn");
  });
  test("a root that cannot take the agent's rights says as whom it looked, and how to look as the agent", () => {
    const ran: Ran = {
      version: "1",
      runtime: "bun",
      at: NOW,
      uid: 0,
      user: USER,
      rights: { not: "EPERM" },
      forbidden: [],
    };
    expect(environmentLines(ran)[0]).toMatchObject({
      level: "warn",
      hint: "Run it as the agent's user: setpriv --reuid 990 --clear-groups reeve doctor",
    });
  });
  test("space that cannot be told is a warning, and a file system without a number of inodes is none", () => {
    expect(diskLines({ path: "/s", space: { code: "EIO" }, reserve: null })[0]?.level).toBe("warn");
    const space = { freeBytes: 2 ** 40, totalBytes: 2 ** 41, freeInodes: 0, totalInodes: 0 };
    expect(diskLines({ path: "/s", space, reserve: null })[0]).toMatchObject({
      level: "ok",
      found: "1.0 TiB of 2.0 TiB free",
    });
  });
});

describe("who can change a folder", () => {
  const stat = (uid: number, gid: number, mode: number): Stat => ({
    kind: "directory",
    uid,
    gid,
    mode,
    links: 1,
    size: 0,
    inode: 1,
  });
  test("its owner whatever the mode says, its group and others by the mode", () => {
    expect(mayWrite(stat(990, 0, 0o500), USER)).toBe(true);
    expect(mayWrite(stat(0, 50, 0o770), USER)).toBe(true);
    expect(mayWrite(stat(0, 51, 0o770), USER)).toBe(false);
    expect(mayWrite(stat(0, 0, 0o757), USER)).toBe(true);
    expect(mayWrite(stat(0, 50, 0o755), USER)).toBe(false);
  });
  test("entering is by the first of owner, group and others that fits, as the kernel has it", () => {
    expect(mayEnter(stat(990, 0, 0o077), USER)).toBe(false);
    expect(mayEnter(stat(0, 50, 0o707), USER)).toBe(false);
    expect(mayEnter(stat(0, 0, 0o701), USER)).toBe(true);
  });
  test("a sticky folder lets nobody replace another's, but its owner", () => {
    const at = (one: Stat) => [{ path: "/tmp", stat: one, code: null }];
    expect(replaceableIn(at(stat(0, 0, 0o1777)), USER)).toBeNull();
    expect(replaceableIn(at(stat(0, 0, 0o777)), USER)?.path).toBe("/tmp");
    expect(replaceableIn(at(stat(990, 0, 0o1777)), USER)?.path).toBe("/tmp");
  });
  test("folders and groups are read as passwd(5) and group(5) have them", () => {
    expect(foldersOf("/etc/reeve/")).toEqual(["/", "/etc", "/etc/reeve"]);
    const passwd = "root:x:0:0::/:/bin/sh\nreeve:x:990:991::/:/bin/false\nbad line\n";
    expect(groupsOf(990, passwd, "reeve:x:991:\nssl-cert:x:107:postgres,reeve\nnot:x:108:reeves\n")).toEqual([
      991, 107,
    ]);
    expect(groupsOf(5, passwd, "")).toEqual([]);
  });
});

describe("words and bounds", () => {
  test("spans and sizes are short", () => {
    expect([span(0), span(-61_000), span(90_061_000), span(7 * DAY)]).toEqual(["0 s", "1 min 1 s", "1 d 1 h", "7 d"]);
    expect([size(5), size(1024), size(1.5 * 2 ** 30)]).toEqual(["5 bytes", "1.0 KiB", "1.5 GiB"]);
  });
  test("others' words reach neither terminal nor program unescaped", () => {
    const lines: Line[] = [
      { check: "tls-pin", level: "fail", looked_at: "h\u001b[2J", found: "by \u202eO=x", hint: "a\nb" },
    ];
    const text = linesText(lines);
    expect(text).toBe("fail  tls-pin      h\\u{1b}[2J: by \\u{202e}O=x\n      hint: a\\u{a}b\n0 ok, 0 warn, 1 fail\n");
    expect(linesJson(lines, { version: "1", time: "t" })).not.toMatch(/[\u001b\u202e]/);
  });
  test("a bounded disk reads so much and no more, and cannot write", () => {
    const folder = mkdtempSync(join(tmpdir(), "reeve-bounded-"));
    const path = join(folder, "a");
    writeFileSync(path, "x".repeat(100));
    const disk = boundedDisk(realDisk, 150);
    expect(disk.range(path, 0, 100)).toHaveLength(100);
    expect(() => disk.read(path, 1000)).toThrow(DiskError);
    expect(() => disk.range(path, 0, 100)).toThrow("over 150 bytes");
    expect(() => boundedDisk(realDisk, 150).replace(path, new Uint8Array(), 0o600)).toThrow("a reader wrote");
    rmSync(folder, { recursive: true });
  });
  test("what takes too long is given up", async () => {
    expect(await orLate(new Promise<string>(() => undefined), 20, realClock.sleep, "late")).toBe("late");
    expect(await orLate(Promise.resolve("there"), 20, realClock.sleep, "late")).toBe("there");
  });
});

test("what is packed is what Debian's tar takes out, byte for byte, and it says nothing against the archive", () => {
  const names = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9.-]{0,40}$/), { minLength: 1, maxLength: 5 });
  const property = fc.property(
    names,
    fc.array(fc.uint8Array({ maxLength: 1500 }), { minLength: 5, maxLength: 5 }),
    (list, contents) => {
      const folder = mkdtempSync(join(tmpdir(), "reeve-tar-"));
      const files = list.map((name, index) => ({ name, bytes: contents[index] ?? new Uint8Array() }));
      writeFileSync(join(folder, "a.tar"), tarOf(files, 1_795_000_000));
      const listed = spawnSync("tar", ["-tvf", join(folder, "a.tar")], {
        encoding: "utf8",
        env: { TZ: "UTC", PATH: "/usr/bin:/bin" },
      });
      expect([listed.status, listed.stderr]).toEqual([0, ""]);
      expect(
        listed.stdout
          .trim()
          .split("\n")
          .map((row) => row.split(/\s+/).at(-1)),
      ).toEqual(list);
      for (const { name, bytes } of files) {
        const out = spawnSync("tar", ["-xOf", join(folder, "a.tar"), name]);
        expect(Buffer.compare(out.stdout, bytes)).toBe(0);
      }
      rmSync(folder, { recursive: true });
    },
  );
  fc.assert(property, { numRuns: 10 });
  expect(() => tarOf([{ name: "a b", bytes: new Uint8Array() }], 0)).toThrow(RangeError);
  expect(() => tarOf([{ name: "a".repeat(101), bytes: new Uint8Array() }], 0)).toThrow(RangeError);
});
