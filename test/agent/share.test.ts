import { expect, test } from "bun:test";
import type { Contact } from "../../agent/poll.ts";
import type { Road } from "../../agent/road.ts";
import { nextShared, sharer } from "../../agent/share.ts";
import { digestOf } from "../../agent/wire/envelope.ts";
import { SharedPolicy } from "../../agent/wire/protocol.ts";
import { ELSEWHERE, HERE, MEANT } from "./here.ts";

const D = (name: string): string => digestOf(Buffer.from(name));

test("nothing is said while nothing is shared, and what was never said is never taken back", () => {
  expect(nextShared(null, null)).toBeNull();
});

test("what is shared is said until it is taken, and said anew when it changes", () => {
  const now = { digest: D("a"), text: "a" };
  expect(nextShared(null, now)).toEqual({ kind: "policy", digest: D("a"), text: "a" });
  expect(nextShared({ digest: D("a"), taken: false }, now)).toEqual({ kind: "policy", digest: D("a"), text: "a" });
  expect(nextShared({ digest: D("a"), taken: true }, now)).toBeNull();
  expect(nextShared({ digest: D("b"), taken: true }, now)?.text).toBe("a");
});

test("what was said is taken back once it is not shared any more, also when no answer to it was heard", () => {
  for (const taken of [true, false])
    expect(nextShared({ digest: D("a"), taken }, null)).toEqual({ kind: "policy", digest: D("a"), text: null });
});

type Answer = { ok: object } | { fault: "conflict" | "not-found"; message: string } | { unreachable: string };

/** An owner's folder with one file, a log that has it on record, and a control plane that answers what it is told to. */
function world(answers: Answer[], meanwhile: () => void = () => undefined) {
  const stop = new AbortController();
  const file = { text: "share: [policy]\n", shares: true, recorded: "", meant: {} };
  file.recorded = file.text;
  const sent: SharedPolicy[] = [];
  const said: string[] = [];
  const stat = { kind: "file", uid: 0, mode: 0o644, links: 1, size: 0, inode: 1 };
  const host = {
    clock: { now: () => 0, monotonic: () => 0, sleep: async () => undefined },
    random: { bytes: () => new Uint8Array([0]), uuidv7: () => "" },
    disk: {
      stat: () => ({ ...stat, kind: "directory", mode: 0o755 }),
      read: () => ({ bytes: Buffer.from(file.text), stat }),
    },
  };
  const road = {
    ...HERE,
    host,
    owner: { disk: host.disk, at: { directory: "/owner", uid: 0 }, refresh: () => Promise.resolve() },
    log: {
      get memory() {
        return { policy: { digest: D(file.recorded), revision: 1, code: null } };
      },
    },
    readPolicy: () => ({
      digest: D(file.text),
      policy: { ...MEANT, ...file.meant, share: file.shares ? ["policy"] : [] },
    }),
  } as unknown as Road;
  const to = {
    host,
    stop: stop.signal,
    say: (_: string, words: string) => said.push(words),
    async post(path: string, body: unknown) {
      expect(path).toBe("/v1/shared");
      sent.push(SharedPolicy.parse(body));
      const answer = answers.shift() ?? { ok: {} };
      if (!("ok" in answer)) meanwhile();
      return answer;
    },
  } as unknown as Contact;
  const sharing = sharer(to, road, { flushed: async () => undefined });
  return { file, sent, said, sharing, stop };
}
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

test("it is sent again until it is taken, then never again until it changes, then taken back once", async () => {
  const { file, sent, sharing, stop } = world([{ unreachable: "refused" }, { fault: "conflict", message: "" }]);
  const running = sharing.run();
  await settle();
  expect(sent.map((one) => one.text)).toEqual([file.text, file.text, file.text]);
  for (let look = 0; look < 3; look++) {
    sharing.wake();
    await settle();
  }
  expect(sent).toHaveLength(3);
  const digest = D(file.text);
  file.text = "share: []\n";
  file.shares = false;
  sharing.wake();
  await settle();
  // The file has changed, and no entry says so yet.
  expect(sent).toHaveLength(3);
  file.recorded = file.text;
  for (let look = 0; look < 3; look++) {
    sharing.wake();
    await settle();
  }
  expect(sent.slice(3)).toEqual([{ kind: "policy", digest, text: null }]);
  stop.abort();
  await running;
});

test("what was said without an answer is taken back too, when it is withdrawn before it could be said again", async () => {
  const { file, sent, sharing, stop } = world([{ unreachable: "reset" }], () => {
    file.text = file.recorded = "share: []\n";
    file.shares = false;
  });
  const digest = D(file.text);
  const running = sharing.run();
  await settle();
  expect(sent).toEqual([
    { kind: "policy", digest, text: "share: [policy]\n" },
    { kind: "policy", digest, text: null },
  ]);
  stop.abort();
  await running;
});

test("with nothing to share nothing is sent, however often it looks", async () => {
  const { file, sent, sharing, stop } = world([]);
  file.shares = false;
  const running = sharing.run();
  for (let look = 0; look < 5; look++) {
    sharing.wake();
    await settle();
  }
  expect(sent).toEqual([]);
  stop.abort();
  await running;
});

for (const [what, meant] of ELSEWHERE)
  test(`a policy for another ${what} is not sent, and what was sent before it is taken back`, async () => {
    const { file, sent, sharing, stop } = world([]);
    const digest = D(file.text);
    const running = sharing.run();
    await settle();
    expect(sent).toHaveLength(1);
    file.text = file.recorded = "share: [policy]\n# not for here\n";
    file.meant = meant;
    for (let look = 0; look < 3; look++) {
      sharing.wake();
      await settle();
    }
    expect(sent.slice(1)).toEqual([{ kind: "policy", digest, text: null }]);
    stop.abort();
    await running;
  });

test("a control plane that does not know the call is left alone, with one line", async () => {
  const { file, sent, said, sharing, stop } = world([{ fault: "not-found", message: "there is nothing here" }]);
  await sharing.run();
  file.text = file.recorded = "share: [policy]\n# another\n";
  sharing.wake();
  await settle();
  expect(sent).toHaveLength(1);
  expect(said).toEqual(["the control plane takes no shared policy; nothing is shared"]);
  stop.abort();
});
