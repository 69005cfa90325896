import { describe, expect, test } from "bun:test";
import { makeGate } from "../../providers/gate.ts";
import { type ActionProvider, GateBreach, Halted, type OperationsTable } from "../../providers/provider.ts";
import { act, type Command, errand, gateFor, host, recall, see } from "./world.ts";

/** One action's fresh world: a command that is permitted and not yet true. */
export type Case<Args, State> = {
  readonly command: Command<Args, State>;
  /** The same with a resource that is not there. */
  readonly absent: Args;
  /** Where the config names no resources but a cloud: what the absent one is called. Its places are the same as any other's. */
  readonly absentResource?: string;
  /** The cloud cannot be asked what a call became: an intent without an outcome stays unknown. */
  readonly told?: "never";
  /** What is the case, as someone else sees it: `dig`, `openssl`, the kernel. */
  look(): Promise<"before" | "after" | "other">;
  end(): Promise<void>;
};

/** What every provider owes the road, whatever it stands on. `make` is called for each claim: nothing is shared between them. */
export function conformance<Args, State>(name: string, make: () => Promise<Case<Args, State>>): void {
  const claim = (words: string, then: (one: Case<Args, State>) => Promise<void>) =>
    test(words, async () => {
      const one = await make();
      try {
        expect(await one.look()).toBe("before");
        await then(one);
      } finally {
        await one.end();
      }
    }, 60_000);

  describe(name, () => {
    claim("describe reads, and changes nothing", async ({ command, look }) => {
      await see(command);
      expect(await look()).toBe("before");
    });

    claim("a resource that is not there is missing", async ({ command, absent, absentResource }) => {
      const { action, args, resource } = command;
      const { gate } = gateFor(action, absent, absentResource ?? resource, { phase: "read" });
      expect(await action.describe(gate, absent, errand())).toHaveProperty("missing");
      expect(action.places(absent)).toEqual(absentResource === undefined ? [] : action.places(args));
    });

    claim("execute succeeds when what was wanted is true for others too", async ({ command, look }) => {
      const done = await act(command);
      expect(done).toMatchObject({ result: "succeeded", code: null });
      expect(done.changed.length).toBeGreaterThan(0);
      expect(await look()).toBe("after");
    });

    claim("every call is in the table, about the one resource, and one at least changes", async ({ command }) => {
      const { operations } = await act(command);
      for (const { operation, resource, status, changes } of operations) {
        const row = command.action.operations.find((candidate) => candidate.operation === operation);
        expect([resource, status, changes]).toEqual([command.resource, "ok", row?.kind === "change"]);
      }
      expect(operations.some(({ changes }) => changes)).toBe(true);
    });

    claim("after a crash before the call reconcile never says that it was done", async ({ command, look, told }) => {
      const found = await see(command);
      const result = told === "never" ? "unknown" : "failed";
      expect(await recall(command, found)).toMatchObject({ result, changed: [] });
      expect(await look()).toBe("before");
    });

    claim(
      "after a crash between the call and its outcome reconcile says that it was done, or that nobody can tell",
      async ({ command, look, told }) => {
        const found = await see(command);
        const own = errand();
        const done = await act(command, {}, own, found);
        const recalled = await recall(command, found, own);
        if (told === "never") expect(recalled).toMatchObject({ result: "unknown", known_by: "nothing", changed: [] });
        else {
          expect(recalled).toMatchObject({ result: "succeeded", code: null, certificate: done.certificate });
          // What was changed is said again, as far as it can still be seen.
          expect(recalled.changed.length).toBeGreaterThan(0);
          expect(done.changed).toEqual(expect.arrayContaining([...recalled.changed]));
          expect(recalled.known_by).not.toBe("nothing");
        }
        expect(await look()).toBe("after");
      },
    );

    const halted = (why: "suspended" | "deadline") =>
      claim(`${why} before the first change: failed, nothing changed`, async ({ command, look }) => {
        const beforeChange = () => {
          throw new Halted(why);
        };
        expect(await act(command, { beforeChange })).toMatchObject({
          result: "failed",
          code: why,
          changed: [],
          certificate: null,
        });
        expect(await look()).toBe("before");
      });
    halted("suspended");
    halted("deadline");

    const breaches = (
      words: string,
      code: GateBreach["code"],
      narrow: (action: ActionProvider<Args, State>, command: Command<Args, State>) => Narrowed,
    ) =>
      claim(`a gate ${words} is a breach, and nothing changes`, async ({ command, look }) => {
        const { action, args } = command;
        const found = await see(command);
        const gate = makeGate({
          beforeChange: () => undefined,
          now: () => host.clock.monotonic(),
          record: () => undefined,
          ...narrow(action, command),
        });
        const error = await action.execute(gate, args, found, errand()).then(
          () => null,
          (caught: unknown) => caught,
        );
        expect(error).toBeInstanceOf(GateBreach);
        expect(gate.breach()?.code).toBe(code);
        expect(await look()).toBe("before");
      });
    const whole = ({ action, args, resource }: Command<Args, State>): Narrowed => ({
      table: action.operations,
      places: action.places(args),
      resource,
      phase: "all",
    });
    breaches("for another resource", "gate.resource", (_, command) => ({
      ...whole(command),
      resource: `${command.resource}x`,
    }));
    breaches("for reads only", "gate.operation", (_, command) => ({ ...whole(command), phase: "read" }));
    breaches("whose table has no change", "gate.operation", (action, command) => ({
      ...whole(command),
      table: action.operations.filter(({ kind }) => kind === "read"),
    }));
    breaches("for another host", "gate.place", (_, command) => ({
      ...whole(command),
      places: whole(command).places.map((place) => ({ ...place, host: `${place.host}x` })),
    }));
    breaches("for another region", "gate.place", (_, command) => ({
      ...whole(command),
      places: whole(command).places.map((place) => ({ ...place, region: "elsewhere" })),
    }));
    breaches("whose changes travel by another method", "gate.place", (action, command) => ({
      ...whole(command),
      table: action.operations.map((row) => (row.kind === "change" ? { ...row, method: "OTHER" } : row)),
    }));
  });
}

type Narrowed = {
  readonly table: OperationsTable;
  readonly places: ReturnType<ActionProvider<unknown, unknown>["places"]>;
  readonly resource: string;
  readonly phase: "read" | "all";
};
