import type { Chance } from "./random.ts";
import type { Time } from "./time.ts";

/** A cloud's API: changes carry a token, and the same token never acts twice. Reads may be behind. */
export type CloudWeather = {
  /** Probability that a call is turned away before it does anything. */
  throttle: number;
  /** Probability that no answer comes, although the call may have had its effect. */
  silent: number;
  /** Milliseconds that reads are behind, at most. */
  lag: number;
};
export const CLEAR: Readonly<CloudWeather> = { throttle: 0, silent: 0, lag: 0 };

export type Resource = string;
/** JSON of what a resource is: a number of machines, or values of a record. */
type Value = string;
export type CloudAnswer<T> = { readonly ok: T } | { readonly throttled: true } | { readonly silent: true };
export type Cloud = {
  readonly weather: CloudWeather;
  read(resource: Resource, deliver: (answer: CloudAnswer<Value | null>) => void): void;
  /** Sets a resource once by `token`. */
  change(resource: Resource, value: Value | null, token: string, deliver: (answer: CloudAnswer<null>) => void): void;
  /** Whether a change by this token had its effect. */
  known(token: string, deliver: (answer: CloudAnswer<boolean>) => void): void;
  /** Somebody else changes it, in the cloud's own console. */
  byOthers(resource: Resource, value: Value | null): void;
  /** Tokens whose change had its effect, with how often it was asked for. */
  readonly applied: ReadonlyMap<string, number>;
  now(resource: Resource): Value | null;
};

/** A call takes at most this long, answered or not: less than a unit's RestartSec, so that none outlives the process that made it for long. */
export const CALL_MAX_MS = 4000;
const SILENCE_MS = 20_000;

export function cloudOf(time: Time, draw: Chance, start: Readonly<Record<Resource, Value>>): Cloud {
  const weather: CloudWeather = { ...CLEAR };
  const history = new Map<Resource, { readonly at: number; readonly value: Value | null }[]>();
  const applied = new Map<string, number>();
  const set = (resource: Resource, value: Value | null): void => {
    history.set(resource, [...(history.get(resource) ?? []).slice(-20), { at: time.now(), value }]);
  };
  const asOf = (resource: Resource, at: number): Value | null =>
    history.get(resource)?.findLast((one) => one.at <= at)?.value ?? null;
  for (const [resource, value] of Object.entries(start)) set(resource, value);

  function call<T>(act: () => T, deliver: (answer: CloudAnswer<T>) => void): void {
    const [there, back] = [draw.int(20, CALL_MAX_MS / 2), draw.int(20, CALL_MAX_MS / 2)];
    const throttled = draw.odds(weather.throttle);
    const silent = draw.odds(weather.silent);
    const acts = !silent || draw.odds(0.5);
    time.after(there, () => {
      const answer: CloudAnswer<T> | null = throttled ? { throttled: true } : acts ? { ok: act() } : null;
      if (silent || answer === null) time.after(SILENCE_MS, () => deliver({ silent: true }));
      else time.after(back, () => deliver(answer));
    });
  }

  return {
    weather,
    applied,
    read(resource, deliver) {
      const behind = draw.int(0, weather.lag);
      call(() => asOf(resource, time.now() - behind), deliver);
    },
    change(resource, value, token, deliver) {
      call(() => {
        const before = applied.get(token);
        applied.set(token, (before ?? 0) + 1);
        if (before === undefined) set(resource, value);
        return null;
      }, deliver);
    },
    known: (token, deliver) => call(() => applied.has(token), deliver),
    byOthers: set,
    now: (resource) => asOf(resource, time.now()),
  };
}
