import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawn, spawnSync } from "node:child_process";
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CHECKS } from "../../agent/doctor/line.ts";
import { RULES, send, type World, writePolicy } from "../e2e/world.ts";
import {
  AGENT,
  AS_AGENT,
  asIf,
  doctor,
  doctorOf,
  having,
  levels,
  line,
  plain,
  snapshot,
  tokenOf,
  worldOfTwo,
} from "./looked.ts";
import { NAMELESS } from "./proxies.ts";

const LONG = 120_000;
const ONE = ["--group", "brokers", "--count", "1"];
let w: World;
const at = (name: string): string => join(w.folder, name);

describe("a machine that has not joined", () => {
  beforeAll(async () => {
    w = await worldOfTwo();
  }, LONG);
  afterAll(async () => {
    await w?.end();
  }, LONG);

  test("all that joining needs is looked at, nothing fails, and the token is good for a while and not printed", () => {
    const report = doctor(w);
    expect(levels(report, "fail")).toEqual([]);
    expect(report.code).toBe(0);
    expect(line(report, "enrolment", "join token").found).toMatch(/good for (?:1 h|59 min)/);
    expect(report.text).not.toContain(readFileSync(tokenOf(w), "utf8").slice(0, 24));
    expect(line(report, "tls-pin").found).toContain("that the join token pins");
    expect(line(report, "contact").level).toBe("warn");
  });

  test("it spends no token and changes nothing, also as the agent's user", () => {
    const before = snapshot(w.folder);
    doctor(w);
    doctor(w, AS_AGENT);
    plain(w);
    expect(snapshot(w.folder)).toBe(before);
  });

  test("a token that is missing, another cluster's, past its end or open to others fails, and says what to do", async () => {
    await having(tokenOf(w), null, () => {
      const found = line(doctor(w), "enrolment");
      expect([found.level, found.found]).toEqual(["fail", `Cannot enrol: there is no join token at ${tokenOf(w)}.`]);
      expect(found.hint).toContain("Ask the vendor");
    });
    const stuck = asIf(at("inbox"), { uid: 0, mode: 0o755 }, () => line(doctor(w), "enrolment"));
    expect([stuck.level, stuck.found.includes("cannot remove it after use")]).toEqual(["fail", true]);
    const other = w.vendor("token", "--cluster", "prod-us-1").stdout.trim();
    await having(tokenOf(w), other, () =>
      expect(line(doctor(w), "enrolment").found).toContain("is for the cluster prod-us-1"),
    );
    const short = w.vendor("token", "--cluster", "prod-eu-1", "--ttl", "1s").stdout.trim();
    await having(tokenOf(w), short, async () => {
      await Bun.sleep(2100);
      expect(line(doctor(w), "enrolment").found).toMatch(/the token expired \d s ago/);
    });
    asIf(tokenOf(w), { mode: 0o644 }, () => {
      const found = line(doctor(w), "enrolment");
      expect([found.level, found.found.includes("others can read it")]).toEqual(["fail", true]);
      expect(found.hint).toContain("chmod 0600");
    });
    await having(
      w.config,
      readFileSync(w.config, "utf8").replace(/token: .*/, "token: { credential: reeve-token }"),
      () => {
        const found = line(doctor(w), "enrolment");
        expect([found.level, found.found.includes("only the unit can see")]).toEqual(["warn", true]);
      },
    );
  });

  test("without a config it says so, and goes on with what it can", () => {
    const report = doctorOf("/nowhere/reeve.yaml");
    expect(report.code).toBe(1);
    expect(line(report, "config").found).toContain("there is no such file");
    expect(line(report, "config").found).toContain("were not looked at");
    expect([...new Set(report.lines.map(({ check }) => check))]).toEqual(["environment", "config", "clock"]);
  });

  test("a config that does not parse fails with its line, and one that others may write with the chmod", async () => {
    await having(w.config, `${readFileSync(w.config, "utf8")}proxy: none\n`, () =>
      expect(line(doctor(w), "config").found).toMatch(/reeve\.yaml:\d+:1: .*proxy/),
    );
    const open = asIf(w.config, { mode: 0o666 }, () => line(doctor(w), "config"));
    expect([open.level, open.hint]).toEqual(["fail", `chmod go-w ${w.config}`]);
  });

  test("a config that the agent's user cannot read, or can change, fails for that user although root could read it", () => {
    const closed = asIf(w.config, { mode: 0o600 }, () => line(doctor(w), "config"));
    expect(closed.level).toBe("fail");
    expect(closed.found).toBe(`it is valid, but the agent's user, uid ${AGENT}, cannot read it (EACCES)`);
    const own = asIf(w.config, { uid: AGENT }, () => line(doctor(w), "config"));
    expect([own.level, own.found]).toEqual(["fail", `the agent's user, uid ${AGENT}, can change it`]);
    const folder = asIf(w.folder, { uid: AGENT }, () => line(doctor(w), "config"));
    expect(folder.found).toContain(`for it can write in ${w.folder}`);
  });

  test("who is neither root nor the agent's user is told that much cannot be seen", () => {
    const report = doctor(w, ["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups"]);
    expect(report.code).toBe(1);
    expect(line(report, "environment")).toMatchObject({
      level: "fail",
      hint: "Run it as root or as the agent's user: sudo reeve doctor",
    });
  });

  test("names in its own environment that `run` would refuse are a warning, and a proxy among them is not used", () => {
    const report = doctor(w, ["env", "HTTPS_PROXY=http://127.0.0.1:9", "NODE_TLS_REJECT_UNAUTHORIZED=0"]);
    expect(line(report, "environment", "HTTPS_PROXY").level).toBe("warn");
    expect(line(report, "proxy").found).toBe(
      "none: every connection goes directly; HTTPS_PROXY of the environment is not used",
    );
    expect(line(report, "endpoint").level).toBe("ok");
  });

  test("a name that nobody knows fails, with what to compare", async () => {
    const config = readFileSync(w.config, "utf8").replace(/https:\/\/127\.0\.0\.1/, "https://control.vendor.invalid");
    await having(w.config, config, () => {
      const report = doctor(w, NAMELESS);
      expect(line(report, "dns")).toMatchObject({ level: "fail", looked_at: "control.vendor.invalid" });
      expect(line(report, "dns").hint).toContain("/etc/resolv.conf");
      expect(line(report, "endpoint").found).toContain("not reached (dns)");
    });
  });

  test(
    "a group's program, an authority's key and a zone's file that cannot be used fail, each with what to do",
    async () => {
      const program = asIf(at("workload"), { mode: 0o700 }, () => line(doctor(w), "provider", "group brokers"));
      expect([program.level, program.hint]).toEqual(["fail", `chmod a+rx ${at("workload")}`]);
      await having(at("workload"), null, () =>
        expect(line(doctor(w), "provider", "group brokers").found).toContain("there is no program"),
      );
      const key = asIf(at("authority/ca.key"), { mode: 0o640 }, () => line(doctor(w), "provider", "authority"));
      expect([key.level, key.found.includes("chmod 600")]).toEqual(["fail", true]);
      const other = asIf(at("authority/ca.key"), { uid: 1234 }, () => line(doctor(w), "provider", "authority"));
      expect(other.found).toContain("EACCES");
      await having(at("authority/ca.crt"), null, () =>
        expect(line(doctor(w), "provider", "authority").found).toContain("ENOENT"),
      );
      await having(at("zone/example.com.zone"), "( unended\n", () =>
        expect(line(doctor(w), "provider", "zone").found).toContain("line 1: a bracket without end"),
      );
      const folder = asIf(at("zone"), { uid: 0 }, () => line(doctor(w), "provider", "zone"));
      expect(folder.found).toContain("cannot be written by the agent's user");
      const server = readFileSync(w.config, "utf8").replace(
        /zones: .*/,
        `zones: { example.com: { server: "127.0.0.1:9", tsig: { name: k, algorithm: hmac-sha256, secret_file: ${at("tsig")} } } }`,
      );
      writeFileSync(at("tsig"), Buffer.alloc(32, 7).toString("base64"), { mode: 0o600 });
      spawnSync("chown", [String(AGENT), at("tsig")]);
      await having(w.config, server, () => {
        expect(line(doctor(w), "provider", "zone").hint).toContain("Start the name server");
        const open = asIf(at("tsig"), { mode: 0o644 }, () => line(doctor(w), "provider", "zone"));
        expect(open.found).toContain("chmod 600");
      });
    },
    LONG,
  );
});

describe("a machine whose agent runs", () => {
  beforeAll(async () => {
    w = await worldOfTwo();
    w.startAgent(...AS_AGENT);
    await w.until("ready", () => w.reeve(["status"], "--json").code === 0);
    expect(send(w, "scale", ...ONE).code).toBe(0);
  }, LONG);
  afterAll(async () => {
    await w?.end();
  }, LONG);

  test("every check has a line, nothing fails, as root with the agent's rights and as the agent's user", () => {
    for (const before of [[], AS_AGENT]) {
      const report = doctor(w, before);
      expect(levels(report, "fail")).toEqual([]);
      expect(report.code).toBe(0);
      expect([...new Set(report.lines.map(({ check }) => check))]).toEqual([...CHECKS]);
      expect(line(report, "environment").found).toContain(`the agent's user, uid ${AGENT} (${w.state} belongs to it)`);
      expect(line(report, "environment").found).toContain(
        before.length === 0 ? "doctor runs as root" : `doctor runs as uid ${AGENT}`,
      );
      expect(line(report, "clock", "against the control plane").found).toContain("by the Date of its answer");
      expect(line(report, "log").found).toContain("signed by this agent's key");
      expect(line(report, "trust").found).toContain("command keys cmd-");
      expect(line(report, "contact").found).toContain("the control plane answers it");
      expect(line(report, "provider", "group brokers").found).toContain("1 of its processes live");
    }
  });

  test(
    "beside a running agent it takes no lock and changes nothing but what the agent writes itself",
    async () => {
      const before = w.entries().length;
      const doctors = [1, 2, 3].map(() =>
        spawn(join(import.meta.dir, "../../dist/reeve"), ["doctor", "--config", w.config], {
          env: {},
          stdio: "ignore",
        }),
      );
      expect(send(w, "scale", "--group", "brokers", "--count", "2").code).toBe(0);
      await Promise.all(doctors.map((one) => new Promise((resolve) => one.once("exit", resolve))));
      expect(send(w, "scale", ...ONE).code).toBe(0);
      expect(w.entries().length).toBeGreaterThan(before);
      expect(w.reeve(["status"], "--json").code).toBe(0);
    },
    LONG,
  );

  test("for people it ends with how many are ok, warn and fail, and what to do stands below each that is not ok", () => {
    const shown = plain(w);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/\n\d+ ok, \d+ warn, 0 fail\n$/);
    expect(shown.stdout).toMatch(/^ok {4}environment {2}/);
    const lines = shown.stdout.split("\n");
    for (const [index, text] of lines.entries())
      if (text.startsWith("warn")) expect(lines[index + 1]).toMatch(/^ {6}hint: ./);
  });

  test(
    "a policy that permits nothing fails with why: missing, unparsable, failing tests, another cluster's or cloud's, older, others' to write",
    async () => {
      const path = join(w.owner, "policy.yaml");
      const good = readFileSync(path, "utf8");
      const found = (content: string | null) => having(path, content, () => line(doctor(w), "policy"));
      expect((await found(null)).found).toContain("policy.unreadable");
      expect((await found("version: 2\n")).found).toContain("policy.invalid");
      const failing = `tests:\n  - { given: { count: 1, at: 2026-11-24T09:00:00Z }, ask: { action: scale, group: brokers, count: 2 }, refuse: count }\n`;
      expect((await found(good.replace("tests: []\n", failing))).found).toContain("policy.tests-fail");
      expect((await found(good.replace("cluster: prod-eu-1", "cluster: prod-us-1"))).found).toContain(
        "it is for the cluster prod-us-1",
      );
      expect(
        (await found(good.replace("cloud: local", 'cloud: aws, account: "111122223333", region: eu-west-1'))).found,
      ).toContain("it is for the cloud aws, and the config says local");
      const open = asIf(path, { mode: 0o666 }, () => line(doctor(w), "policy"));
      expect([open.level, open.hint]).toEqual(["fail", `sudo chmod go-w ${path}`]);
      expect((await found(good)).level).toBe("ok");
    },
    LONG,
  );

  test(
    "a revision lower than the log has seen fails",
    async () => {
      writePolicy(w, RULES, 7);
      await w.until("on record", () => line(doctor(w), "policy").found.includes("the log has seen 7"));
      writePolicy(w, RULES, 6);
      const found = line(doctor(w), "policy");
      expect([found.level, found.found]).toEqual([
        "fail",
        "it permits nothing: the policy's revision 6 is lower than 7, which the log has seen",
      ]);
      writePolicy(w, RULES, 7);
    },
    LONG,
  );

  test("the switch taken away is a warning with its reason, one that cannot be judged fails", async () => {
    const on = join(w.owner, "on");
    expect(w.reeve(["suspend"], "--why", "audit week").code).toBe(0);
    const off = line(doctor(w), "switch");
    expect([off.level, off.found]).toEqual(["warn", "off, so every command is refused: audit week"]);
    expect(off.hint).toContain("reeve resume");
    symlinkSync(join(w.owner, "policy.yaml"), on);
    expect(line(doctor(w), "switch").level).toBe("fail");
    rmSync(on);
    expect(w.reeve(["resume"]).code).toBe(0);
  });

  test("an owner's folder that the agent's user could change fails: its own, open to others, or replaceable from above", () => {
    const look = () => line(doctor(w), "owner");
    expect(asIf(w.owner, { uid: AGENT }, look)).toMatchObject({ level: "fail", hint: `chown 0 ${w.owner}` });
    expect(asIf(w.owner, { mode: 0o775 }, look)).toMatchObject({ level: "fail", hint: `chmod go-w ${w.owner}` });
    expect(asIf(w.owner, { mode: 0o700 }, look).level).toBe("ok");
    expect(asIf(w.owner, { mode: 0o700 }, () => line(doctor(w), "policy")).found).toContain("EACCES");
    const above = asIf(w.folder, { mode: 0o777 }, look);
    expect([above.level, above.found.includes(`can write in ${w.folder}`)]).toEqual(["fail", true]);
    expect(asIf(w.folder, { mode: 0o1777 }, look).level).toBe("ok");
  });

  test(
    "rules that ask for approvals want their folder, and one that is not the owner's alone fails",
    async () => {
      const folder = join(w.owner, "approvals");
      const key = readFileSync(join(makeKey(), "key.pub"), "utf8").split(" ").slice(0, 2).join(" ");
      const path = join(w.owner, "policy.yaml");
      const asking = readFileSync(path, "utf8")
        .replace("people: {}", `people: { alice: ${key} }`)
        .replace("approval: none", "approval: { by: [alice], need: 1, within: 2h }");
      await having(path, asking, () => {
        expect(line(doctor(w), "policy", "people").found).toBe("alice named; approval asked by brokers-grow");
        expect(line(doctor(w), "approvals")).toMatchObject({
          level: "warn",
          hint: `install -d -o 0 -m 0755 ${folder}`,
        });
        mkdirSync(folder, { mode: 0o755 });
        expect(line(doctor(w), "approvals").level).toBe("ok");
        expect(asIf(folder, { uid: AGENT, mode: 0o777 }, () => line(doctor(w), "approvals")).level).toBe("ok");
        expect(asIf(folder, { mode: 0o700 }, () => line(doctor(w), "approvals")).hint).toBe(`chmod o+x ${folder}`);
        rmSync(folder, { recursive: true });
        writeFileSync(folder, "");
        expect(line(doctor(w), "approvals").found).toBe("it is not a folder");
        rmSync(folder);
      });
    },
    LONG,
  );

  test("what keeps the clock is found by its process, and its absence is a warning", async () => {
    expect(line(doctor(w), "clock", "what keeps it").level).toBe("warn");
    copyFileSync("/usr/bin/sleep", at("chronyd"));
    const service = spawn(at("chronyd"), ["60"]);
    await Bun.sleep(100);
    expect(line(doctor(w), "clock", "what keeps it")).toMatchObject({ level: "ok", found: "chrony runs" });
    service.kill("SIGKILL");
  });

  test(
    "folders and files of the state that are open, another's, linked or no files fail, each with its command",
    async () => {
      const identity = join(w.state, "identity");
      const look = (path: string, change: { uid?: number; mode?: number }) =>
        asIf(path, change, () => line(doctor(w), "permissions", path));
      expect(look(join(identity, "agent.json"), { mode: 0o640 }).hint).toContain(`chmod 0600 ${identity}/agent.json`);
      expect(look(join(w.state, "audit"), { mode: 0o750 }).hint).toContain(`chmod 0700 ${w.state}/audit`);
      expect(look(join(w.state, "details"), { uid: 0 }).hint).toContain(`chown ${AGENT} ${w.state}/details`);
      linkSync(join(identity, "root.pem"), at("root-link"));
      expect(line(doctor(w), "permissions", "root.pem").found).toContain("a second name");
      rmSync(at("root-link"));
      mkdirSync(join(identity, "pending.json"));
      expect(line(doctor(w), "permissions", "pending.json").found).toBe("it is not a plain file");
      rmSync(join(identity, "pending.json"), { recursive: true });
      expect(line(doctor(w), "permissions").level).toBe("ok");
    },
    LONG,
  );

  test("an identity that cannot be used fails and says so once; a join token left behind is a warning", async () => {
    const path = join(w.state, "identity/agent.json");
    await having(path, "{}", () => {
      const found = line(doctor(w), "enrolment");
      expect([found.level, found.found.includes("it is not what the agent wrote")]).toEqual(["fail", true]);
    });
    writeFileSync(tokenOf(w), w.vendor("token", "--cluster", "prod-eu-1").stdout.trim(), { mode: 0o600 });
    expect(line(doctor(w), "enrolment", tokenOf(w))).toMatchObject({ level: "warn" });
    rmSync(tokenOf(w));
    const other = readFileSync(w.config, "utf8").replace(/trust_sha256: .{43}/, `trust_sha256: ${"A".repeat(43)}`);
    await having(w.config, other, () => expect(line(doctor(w), "enrolment", "config and identity").level).toBe("fail"));
  });

  test(
    "a spent reserve fails, and a full disk is told before the agent stops by it",
    async () => {
      await having(join(w.state, "audit/ballast"), null, () => {
        const found = line(doctor(w), "disk", "the reserve");
        expect([found.level, found.hint?.includes("Free 1.0 MiB")]).toEqual(["fail", true]);
      });
      mkdirSync(at("small"));
      expect(
        spawnSync("mount", ["-t", "tmpfs", "-o", `size=4m,nr_inodes=100,mode=700,uid=${AGENT}`, "tmpfs", at("small")])
          .status,
      ).toBe(0);
      try {
        await having(
          w.config,
          readFileSync(w.config, "utf8").replace(`state: ${w.state}`, `state: ${at("small")}`),
          () => {
            expect(line(doctor(w), "disk", at("small"))).toMatchObject({ level: "fail" });
            spawnSync("mount", ["-o", "remount,size=1g,nr_inodes=10000", at("small")]);
            expect(line(doctor(w), "disk", at("small")).level).toBe("ok");
            spawnSync("mount", ["-o", "remount,nr_inodes=15", at("small")]);
            expect(line(doctor(w), "disk", at("small")).level).toBe("fail");
          },
        );
      } finally {
        spawnSync("umount", [at("small")]);
      }
    },
    LONG,
  );

  test(
    "an agent out of contact, and one that has ended, are told from its last words",
    async () => {
      w.control.kill("SIGKILL");
      await w.until("out of contact", () => levels(doctor(w), "fail").includes("contact"));
      const report = doctor(w);
      expect(line(report, "endpoint", "enrolment").found).toContain("not reached (refused)");
      expect(line(report, "endpoint", "agents").level).toBe("fail");
      expect(report.code).toBe(1);
      await w.startControl();
      await w.until("in contact", () => levels(doctor(w), "fail").length === 0, 60);
    },
    LONG,
  );

  test(
    "a log that is not what its head says fails, also by one byte, and says where to look",
    async () => {
      const [pid] = spawnSync("pgrep", ["-f", `${w.config}$`], { encoding: "utf8" }).stdout.split("\n");
      process.kill(Number(pid), "SIGTERM");
      await w.until("it ended", () => line(doctor(w), "contact").found.includes("does not run"));
      expect(line(doctor(w), "contact").level).toBe("warn");
      const segment = join(w.state, "audit/00000000000000000000.jsonl");
      const text = readFileSync(segment, "utf8");
      const changed = await having(segment, text.replace("INC-4312", "INC-4313"), () => line(doctor(w), "log"));
      expect([changed.level, changed.hint?.includes("reeve audit verify")]).toEqual(["fail", true]);
      const cut = await having(segment, text.split("\n").slice(0, 3).join("\n").concat("\n"), () =>
        line(doctor(w), "log"),
      );
      expect(cut.found).toContain("holds 3 entries, but its newest head covers");
      const torn = await having(segment, `${text}{"half`, () => line(doctor(w), "log"));
      expect([torn.level, torn.found.includes("did not end")]).toEqual(["warn", true]);
      const foreign = await having(join(w.state, "audit/checkpoints"), "nothing\n\nof ours\u2014\n\n", () =>
        line(doctor(w), "log"),
      );
      expect(foreign.level).toBe("fail");
    },
    LONG,
  );

  test("a fenced agent is told as that, with the reason that it was given", () => {
    const path = join(w.state, "identity/fenced.json");
    writeFileSync(path, JSON.stringify({ v: 1, reason: "epoch 2 was enrolled\u001b[31m", at_ms: 1_795_000_000_000 }), {
      mode: 0o600,
    });
    spawnSync("chown", [`${AGENT}:${AGENT}`, path]);
    const report = doctor(w);
    expect(line(report, "epoch")).toMatchObject({ level: "fail" });
    expect(line(report, "epoch").found).toContain("epoch 2 was enrolled\\u{1b}[31m");
    expect(line(report, "epoch").hint).toContain("reeve leave");
    rmSync(path);
  });
});

function makeKey(): string {
  const folder = mkdtempSync(join(tmpdir(), "reeve-key-"));
  const made = spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", join(folder, "key")]);
  if (made.status !== 0) throw new Error(`ssh-keygen: ${made.stderr}`);
  return folder;
}
