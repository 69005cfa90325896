import { afterAll, beforeAll, expect, test } from "bun:test";
import { testWords } from "../words.ts";
import { cannot } from "./namespaces.ts";
import { type Stage, stage } from "./stage.ts";

/**
 * The customer's one firewall rule: control plane, agent, workload and its users in network namespaces of their own, real nginx and BIND,
 * users under way all the time. `--minutes N` holds the rule longer than the thirty seconds.
 */
const unable = cannot();
const SECONDS = testWords.minutes === null ? 30 : testWords.minutes * 60;
const DROP = "add rule inet customer out ip daddr 10.77.1.2 drop";
let s: Stage;
beforeAll(async () => {
  if (unable === null) s = await stage();
}, 240_000);
afterAll(async () => {
  await s?.end();
}, 60_000);
if (unable !== null) console.log(`      skipped: this machine makes no network namespaces: ${unable}`);

const scale = (count: number): string[] => ["scale", "--group", "brokers", "--count", String(count)];

test.skipIf(unable !== null)(
  "one firewall rule ends all change: no user's request is lost, and what is still valid runs once when it goes",
  async () => {
    s.rule("add table inet customer");
    s.rule("add chain inet customer out { type filter hook output priority 0 ; }");
    // The agent waits in a long poll, whose answer a rule that drops only what leaves lets in.
    await s.until("a poll is held for a while", () => {
      const held = Date.now() - Date.parse(s.status().last_contact ?? "");
      return held > 2000 && held < 10_000;
    });
    const served = s.said.load.served;
    s.rule(DROP);
    const before = { world: s.world(), size: s.entries().length };
    const cut = Date.now();
    const expiring = s.send("5s", [], ...scale(3));
    const first = s.send("2h", [], ...scale(2));
    const record = ["--zone", "example.com", "--name", "b.prod-eu-1.example.com", "--type", "A", "--change", "create"];
    const second = s.send("2h", [], "update-dns", ...record, "--value", "10.77.3.2", "--ttl", "60s");
    await s.until("the agent says that it is cut off", () => s.status().out_of_contact !== null);
    while (Date.now() < cut + SECONDS * 1000) {
      expect(s.world()).toBe(before.world);
      await Bun.sleep(1000);
    }
    const during = s.said.load;
    const lost = s.status().out_of_contact;
    const changes = s.entries().slice(before.size).length;
    expect(changes).toBe(0);
    expect(lost?.reason).toBe("timeout");
    expect(Date.parse(lost?.since ?? "")).toBeGreaterThanOrEqual(cut - 1000);
    expect(s.statusText()).toMatch(/^contact +none since \S+: timeout, last /m);
    expect(s.said.agent).toContain("no contact with the control plane; nothing is begun until there is");
    console.log(
      `      ${SECONDS} s behind the rule: ${during.served - served} requests served, lost ${during.lost}, changes ${changes}`,
    );
    expect(during).toMatchObject({ lost: 0, why: "" });
    expect(during.served - served).toBeGreaterThan(SECONDS);

    // The same rates: of three a day one was used before, the first takes the second, the next the third.
    s.rule("flush chain inet customer out");
    const third = s.send("2h", [], ...scale(1));
    const beyond = s.send("2h", [], ...scale(2));
    const all = [expiring, first, second, third, beyond];
    await s.until("all is decided", () => all.every((id) => s.decided(id) !== undefined));
    await s.contact();
    const ends = all.map((id) => s.decided(id));
    expect(ends.map((one) => one?.["result"] ?? one?.["code"])).toEqual([
      "verify.expired",
      "succeeded",
      "succeeded",
      "succeeded",
      "policy.rate",
    ]);
    const intents = s.entries().filter((one) => one["kind"] === "intent" && all.includes(String(one["command"])));
    expect(intents.map((one) => one["command"]).filter((id) => id !== second)).toEqual([first, third]);
    expect(intents.filter((one) => one["command"] === second).length).toBe(1);
    expect(s.masters()).toBe(1);
    expect(s.said.load).toMatchObject({ lost: 0, why: "" });
    expect(s.verify().code).toBe(11);
  },
  (SECONDS + 300) * 1000,
);
