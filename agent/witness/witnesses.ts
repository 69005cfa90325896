import type { Log } from "../audit/log.ts";
import { timeText } from "../audit/time.ts";
import type { Host } from "../host/host.ts";
import type { Logger } from "../logger.ts";
import type { Post } from "../poll.ts";
import type { WitnessConfig } from "./config.ts";
import { controlWitness } from "./controlPlane.ts";
import { type AskWitness, type Contradiction, type Follower, follower } from "./follow.ts";
import { type Loop, loop } from "./loop.ts";

/** What `status` says of one witness. Times are RFC 3339. */
export type WitnessStatus = {
  readonly name: string;
  readonly required: boolean;
  /** Entries that it has cosigned, since this agent started; 0 before the first. */
  readonly size: number;
  readonly at: string | null;
  /** Null while it is reached and cosigns. */
  readonly failing: { readonly since: string; readonly reason: string } | null;
};

export type Witnesses = {
  run(): Promise<void>;
  /** Entries were added, or a head was signed. */
  wake(): void;
  status(): readonly WitnessStatus[];
  /** Resolves when each was asked once, and each required one has cosigned what is on record, or cannot. */
  settled(): Promise<void>;
  /** Why no command is taken: a required witness has not cosigned the newest entries. Null when all have. */
  heldBack(): string | null;
  /** Resolves when nothing is held back, or this agent is to end. */
  cleared(): Promise<void>;
  /** Has the last entries of a process that ends well cosigned, once each: what is not done within seconds is done at the next start. */
  last(): Promise<void>;
  /** The same as heldBack, when it is not merely on its way: that witness does not cosign. */
  waitingFor(): string | null;
};

type Deps = {
  readonly host: Host;
  readonly log: Log;
  readonly say: Logger;
  readonly stop: AbortSignal;
  readonly witnesses: readonly WitnessConfig[];
  readonly ask: AskWitness;
  readonly post: Post;
  /** The control plane's own witness keys. */
  keys(): ReadonlyMap<string, string>;
  /** Resolves when the control plane holds every entry of this moment, or cannot be reached. */
  handedIn(): Promise<void>;
  keep(note: string): void;
  /** A witness has seen what this log is not: nothing may be changed from here on. */
  end(message: string): void;
};

/** Between two cosignatures by a witness that nothing waits for. */
const PAUSE_MS = 1000;
/** How often the newest head is waited for while there is always a newer one. */
const MAX_LOOKS = 8;
const CONTROL_PLANE = "the control plane";

type Followed = { readonly config: WitnessConfig; readonly follower: Follower; readonly loop: Loop; asked: boolean };

/** Everybody who remembers this log's heads: the witnesses that the config names, and the control plane. */
export function watchWitnesses(deps: Deps): Witnesses {
  const { host, log, say, stop } = deps;
  /** Lines below the newest head, by witness; of an older head they are of no use to the next. */
  let lines = { head: "", text: "" };
  const keep = (note: string): void => {
    deps.keep(note);
    const head = log.checkpoint();
    if (!note.startsWith(head)) return;
    if (lines.head !== head) lines = { head, text: "" };
    lines.text += note.slice(head.length);
  };
  const control = controlWitness({
    log,
    post: deps.post,
    stop,
    keys: deps.keys,
    others: (head) => (lines.head === head ? lines.text : ""),
    keep: deps.keep,
  });

  let waiting: (() => void)[] = [];
  const release = (): void => {
    const all = waiting;
    waiting = [];
    for (const resolve of all) resolve();
  };
  stop.addEventListener("abort", release, { once: true });

  async function contradicted(name: string, { code, words }: Contradiction): Promise<string> {
    const message = `the witness ${name} contradicts this log: ${words}`;
    deps.end(message);
    await control.tell([{ witness: name, code }]);
    return words;
  }

  const followed = deps.witnesses.map((config): Followed => {
    const one = follower(config, log, deps.ask, keep);
    const self: Followed = {
      config,
      follower: one,
      asked: false,
      loop: loop(host, stop, {
        pauseMs: config.required ? 0 : PAUSE_MS,
        done: () => one.head() === log.checkpoint(),
        async attempt() {
          const result = await one.attempt();
          self.asked = true;
          release();
          if (result === null) return null;
          return "failed" in result ? result.failed : contradicted(config.name, result);
        },
      }),
    };
    return self;
  });
  /** Waits until the newest head was handed in and has the lines of all that can be had: the log may grow meanwhile, but not for ever. */
  async function newestAtOthers(): Promise<void> {
    const has = (one: Followed): boolean => one.loop.failing() !== null || one.follower.head() === log.checkpoint();
    for (let looks = 0; looks < MAX_LOOKS && !stop.aborted; looks++) {
      await Promise.all(followed.map((one) => one.loop.settled()));
      await deps.handedIn();
      if (followed.every(has)) return;
    }
  }
  const own = loop(host, stop, {
    pauseMs: PAUSE_MS,
    done: () => control.head() === null || control.head() === log.checkpoint(),
    async attempt() {
      await newestAtOthers();
      return stop.aborted ? null : control.attempt();
    },
  });
  const behind = (): Followed[] =>
    followed.filter(({ config, follower: one }) => config.required && one.cosigned().size < log.size);
  const said = new Map<string, boolean>();
  /** Once when it is lost, once when it is back. */
  function report(): void {
    for (const { config, loop } of followed) {
      const failing = loop.failing();
      if ((failing !== null) === (said.get(config.name) ?? false)) continue;
      said.set(config.name, failing !== null);
      if (failing === null) say("info", `the witness ${config.name} cosigns again`);
      else say("warn", `the witness ${config.name} does not cosign`, { reason: failing.reason });
    }
  }

  return {
    async run() {
      await Promise.all([...followed.map((one) => one.loop.run()), own.run()]);
    },
    wake() {
      for (const one of followed) one.loop.wake();
      own.wake();
    },
    status() {
      report();
      const times = (at: number | null): string | null => (at === null ? null : timeText(at * 1000));
      const outside = followed.map(({ config, follower: one, loop }) => ({
        name: config.name,
        required: config.required,
        size: one.cosigned().size,
        at: times(one.cosigned().at),
        failing: loop.failing(),
      }));
      const { size, at } = control.cosigned();
      const vendor = { name: CONTROL_PLANE, required: false, size, at: times(at), failing: own.failing() };
      return control.head() === null ? outside : [...outside, vendor];
    },
    async settled() {
      await Promise.all(followed.filter((one) => one.config.required || !one.asked).map((one) => one.loop.settled()));
    },
    heldBack: () => waitingText(behind()),
    async last() {
      await Promise.all(followed.filter((one) => one.loop.failing() === null).map((one) => one.follower.attempt()));
    },
    async cleared() {
      while (!stop.aborted && behind().length > 0) await new Promise<void>((resolve) => waiting.push(resolve));
    },
    waitingFor: () => waitingText(behind().filter(({ loop }) => loop.failing() !== null)),
  };
}

function waitingText([first]: readonly Followed[]): string | null {
  return first === undefined ? null : `waiting for the witness ${first.config.name}`;
}
