import { expect, test } from "bun:test";
import { LOOP_SILENT_MAX_SECONDS, STOP_DEADLINE_SECONDS } from "../../agent/limits.ts";
import { keepAlive, pulse } from "../../agent/pulse.ts";

/** Seconds of `length` in which systemd is told that the agent lives, asked every ten. `at`: what happens in each second. */
async function told(length: number, at: (second: number, heart: ReturnType<typeof pulse>) => void): Promise<number[]> {
  let second = 0;
  const heart = pulse(() => second * 1000);
  const pings: number[] = [];
  const said: string[] = [];
  const end = new AbortController();
  const sleep = async (milliseconds: number): Promise<void> => {
    for (const until = second + milliseconds / 1000; second < until; second++) at(second, heart);
    if (second >= length) end.abort();
  };
  const watchdog = { everyMs: 10_000, ping: () => void pings.push(second) };
  await keepAlive(watchdog, heart, { sleep }, (silent) => void said.push(silent), end.signal);
  // Said once, and only when it hangs.
  expect(said.length).toBe(pings.length * 10 < length ? 1 : 0);
  return pings;
}

const everyTen = (from: number, to: number): number[] =>
  Array.from({ length: Math.floor((to - from) / 10) + 1 }, (_, at) => from + at * 10);

test("systemd is told that the agent lives for as long as both loops go round", async () => {
  const pings = await told(1000, (_, heart) => {
    heart.beat("contact");
    heart.beat("look");
  });
  expect(pings).toEqual(everyTen(0, 990));
});

test.each(["contact", "look"] as const)(
  "when the loop %s hangs, the timer alone tells systemd nothing any more",
  async (hangs) => {
    const pings = await told(1000, (second, heart) => {
      heart.beat(hangs === "contact" ? "look" : "contact");
      if (second <= 300) heart.beat(hangs);
    });
    expect(pings).toEqual(everyTen(0, 300 + LOOP_SILENT_MAX_SECONDS));
  },
);

test("while running commands are finished before the end the loops stand still and systemd is told, but not for ever", async () => {
  const pings = await told(1000, (second, heart) => {
    if (second === 100) heart.ending();
    if (second >= 100) return;
    heart.beat("contact");
    heart.beat("look");
  });
  expect(pings).toEqual(everyTen(0, 100 + Math.floor(STOP_DEADLINE_SECONDS / 10) * 10));
});
