import { CONTROL, ran, type World, world } from "../e2e/world.ts";

/** A vendor and a customer's agent, both as compiled, and a day's work between them: the log is the agent's own. */
const MAY = 0;
const NO = 1;

export async function played(): Promise<World> {
  const w = await world();
  try {
    w.startAgent();
    await w.until("the agent says ready", () => w.reeve(["status"], "--json").code === 0, 120);
    const send = (expected: number, why: string, ...words: string[]): void => {
      const [by, ...rest] = words;
      const flags = [
        "--dir",
        w.data,
        "--keys",
        w.keys,
        "--cluster",
        "prod-eu-1",
        "--by",
        by ?? "",
        "--why",
        why,
        "--wait",
      ];
      const done = ran(CONTROL, "send", ...flags, ...rest);
      if (done.code !== expected)
        throw new Error(`send ${rest.join(" ")} ended with ${done.code}: ${done.stdout}${done.stderr}`);
    };
    const [maria, bot] = ["maria@vendor.example", "roll-out@vendor.example"];
    const record = (name: string, value: string): string[] => [
      ...["update-dns", "--zone", "example.com", "--name", `${name}.brokers.example.com`, "--type", "A"],
      ...["--change", "create", "--value", value, "--ttl", "60s"],
    ];
    const scale = (count: number): string[] => ["scale", "--group", "brokers", "--count", String(count)];
    send(MAY, "INC-4312: queue is growing", maria, ...scale(2));
    send(MAY, "Roll-out 2026.48", bot, ...record("b1", "10.20.0.7"));
    send(NO, "Roll-out 2026.48", bot, ...record("b2", "203.0.113.9"));
    send(MAY, "INC-4312: still growing", maria, ...scale(4));
    send(NO, "INC-4312: and growing", maria, ...scale(9));
    send(MAY, "Would one fewer be permitted?", maria, "--dry-run", ...scale(3));
    return w;
  } catch (error) {
    await w.end();
    throw error;
  }
}
