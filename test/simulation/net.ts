import type { Answer, Ask, Line, Network } from "../../agent/host/network.ts";
import type { Unreachable, Wait } from "../../agent/host/socket.ts";
import { AGENTS_URL, type Caller, type ControlPlane, callerOf, ENROL_URL, shownChain } from "./plane.ts";
import type { Chance } from "./random.ts";
import type { Time } from "./time.ts";

/** How the network is at this moment. Probabilities are for one message in one direction. */
export type Weather = {
  loss: number;
  /** A request arrives a second time, later: what a retry below us, or an attacker with the session's key, does. */
  twice: number;
  /** Milliseconds, at most. */
  delay: number;
  /** The control plane's process is gone: connections are refused. */
  planeDown: boolean;
};
export const CALM: Readonly<Weather> = { loss: 0, twice: 0, delay: 40, planeDown: false };

/** A request that has arrived, and what it is answered. `accepted`: when its connection was; 0 where no certificate was asked for. */
export type Exchange = {
  readonly path: string;
  readonly body: string | null;
  readonly accepted: number;
  readonly status: number;
  readonly text: string;
};

/** One process's way to the control plane. */
export type Way = {
  readonly time: Time;
  readonly plane: ControlPlane;
  readonly weather: Weather;
  readonly draw: Chance;
  /** Nothing goes through in either direction. */
  cut(): boolean;
  /** Hands something to the process when it runs: later while it is frozen, never when it has died. */
  deliver(act: () => void): void;
  /** Aborted when the process's connections are reset: it was killed. */
  readonly left: AbortSignal;
  /** Told of each request that has arrived and of its answer; may give another answer instead: a hostile control plane's. */
  answered(exchange: Exchange): string;
  /** Told of an answer that reaches the process. */
  heard(status: number, text: string): void;
};

export function networkOf(way: Way): Network {
  return {
    async shownChain(url, wait) {
      const reached = await reach(way, wait);
      if ("unreachable" in reached) return reached;
      return url === ENROL_URL ? { chain: shownChain(way.plane.keys.authority) } : { unreachable: "dns" };
    },
    async connect({ url, roots, client }, wait) {
      const reached = await reach(way, wait);
      if ("unreachable" in reached) return reached;
      if (url !== ENROL_URL && url !== AGENTS_URL) return { unreachable: "dns" };
      const trusted = roots.some((pem) => pem.trim() === way.plane.keys.authority.rootPem.trim());
      if (!trusted) return { unreachable: "tls: SELF_SIGNED_CERT_IN_CHAIN" };
      if (url === ENROL_URL) return lineOver(way, null);
      const caller = client === null ? null : callerOf(client.certificate, client.key);
      if (caller === null) return { unreachable: "reset" };
      // TLS itself refuses a certificate that has expired by the server's clock.
      if (caller.notAfter <= way.time.now()) return { unreachable: "reset" };
      return lineOver(way, { ...caller, ...reached });
    },
  };
}

/** `port`: what the server knows the connection by. */
type Reached = { readonly port: number; readonly accepted: number };
type Known = Caller & Reached;

/** A round trip that a connection takes. */
function reach(way: Way, wait: Wait): Promise<Reached | Unreachable> {
  return within(way, wait, (end) => {
    const lost = way.cut() || way.draw.odds(way.weather.loss);
    const delay = way.draw.int(1, way.weather.delay);
    if (lost) return;
    way.time.after(delay, () => {
      if (way.weather.planeDown) return end({ unreachable: "refused" });
      end({ port: way.plane.accept(), accepted: way.time.now() });
    });
  });
}

/** Ends once: as `begin` says, by the wait's time, or when it is aborted. */
function within<T>(
  way: Way,
  wait: Wait,
  begin: (end: (result: T | Unreachable) => void) => void,
): Promise<T | Unreachable> {
  return new Promise((resolve) => {
    if (wait.signal?.aborted === true) return resolve({ unreachable: "aborted" });
    let ended = false;
    const finish = (result: T | Unreachable): void => {
      if (ended) return;
      ended = true;
      timer.cancel();
      wait.signal?.removeEventListener("abort", onAbort);
      resolve(result);
    };
    const end = (result: T | Unreachable): void => way.deliver(() => finish(result));
    const onAbort = (): void => finish({ unreachable: "aborted" });
    const timer = way.time.after(wait.timeoutSeconds * 1000, () => end({ unreachable: "timeout" }));
    wait.signal?.addEventListener("abort", onAbort, { once: true });
    begin(end);
  });
}

function lineOver(way: Way, caller: Known | null): Line {
  let closed = false;
  const leaving = new Set<() => void>();
  const close = (): void => {
    closed = true;
    way.left.removeEventListener("abort", close);
    for (const leave of [...leaving]) leave();
  };
  way.left.addEventListener("abort", close, { once: true });
  return {
    get closed() {
      return closed;
    },
    close,
    ask(ask, wait) {
      if (closed) return Promise.resolve({ unreachable: "closed" });
      const gone = new AbortController();
      return within<Answer>(way, wait, (end) => {
        const leave = (): void => {
          gone.abort();
          end({ unreachable: "closed" });
        };
        leaving.add(leave);
        const done = (result: Answer | Unreachable): void => {
          leaving.delete(leave);
          if ("status" in result)
            way.deliver(() => way.heard(result.status, Buffer.from(result.body).toString("utf8")));
          end(result);
        };
        // A caller who has given up is heard of by the server, if anything gets through.
        wait.signal?.addEventListener("abort", () => gone.abort(), { once: true });
        send(way, caller, ask, gone, done, close);
        const unheard = new AbortController();
        if (way.draw.odds(way.weather.twice))
          send(
            way,
            caller,
            ask,
            unheard,
            () => undefined,
            () => undefined,
          );
      });
    },
  };
}

/** `end`: the server ends the connection with its answer. */
function send(
  way: Way,
  caller: Known | null,
  ask: Ask,
  gone: AbortController,
  done: (answer: Answer | Unreachable) => void,
  end: () => void,
): void {
  const { time, weather, draw } = way;
  const lost = way.cut() || draw.odds(weather.loss);
  const answerLost = draw.odds(weather.loss);
  const [there, back] = [draw.int(1, weather.delay), draw.int(1, weather.delay)];
  if (lost) return;
  time.after(there, () => {
    if (way.cut()) return;
    if (weather.planeDown) return done({ unreachable: "reset" });
    let last = false;
    const ends = (): void => {
      last = true;
    };
    const answer =
      caller === null
        ? way.plane.enrolment(ask.method, ask.path, ask.body)
        : way.plane.agents(ask.path, ask.body ?? "", caller, gone.signal, ends);
    const down = weather.planeDown;
    void answer.then(async (response) => {
      const { path, body } = ask;
      const said = {
        path,
        body,
        accepted: caller?.accepted ?? 0,
        status: response.status,
        text: await response.text(),
      };
      const text = way.answered(said);
      // The exchange is over, as far as the server is concerned.
      gone.abort();
      if (answerLost || down !== weather.planeDown) return;
      time.after(back, () => {
        if (way.cut() || weather.planeDown) return;
        done({ status: response.status, body: Buffer.from(text), dateMs: time.now() });
        if (last) way.deliver(end);
      });
    });
  });
}
