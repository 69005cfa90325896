import { expect } from "bun:test";
import { type DeployState, Halted, type JudgedDeployArgs } from "../../providers/provider.ts";
import type { Case } from "./claims.ts";
import { act, errand, gateFor, recall, see } from "./world.ts";

/** A deploy's world: a group of at least two machines. */
export type DeployCase = Case<JudgedDeployArgs, DeployState> & {
  /** The same with an image whose machines never get well. */
  readonly bad: JudgedDeployArgs;
  /** The same with an image that is not there. */
  readonly unfit: JudgedDeployArgs;
};

/** What a deploy owes the road besides what every action does (claims.ts). `holds` throws when it is not so. */
export type DeployClaim = { readonly words: string; holds(one: DeployCase): Promise<void> };

/** Carries it out under `own` until the n-th look before a change, as a crash or the owner would end it. */
async function brokenOff({ command }: DeployCase, found: DeployState, own: ReturnType<typeof errand>, changes: number) {
  let left = changes;
  const beforeChange = (): void => {
    if (left-- === 0) throw new Halted("stopped");
  };
  return act(command, { beforeChange }, own, found);
}

export const DEPLOY_CLAIMS: readonly DeployClaim[] = [
  {
    words: "deploy: an image that is not there is told before anything is touched",
    async holds({ command, unfit, look }) {
      const { action, resource } = command;
      const seen = await action.describe(gateFor(action, unfit, resource, { phase: "read" }).gate, unfit, errand());
      expect(seen).toHaveProperty("artifact");
      expect(await look()).toBe("before");
    },
  },
  {
    words: "deploy: the image is changed and nothing else, and what is read afterwards is what runs",
    async holds({ command, look }) {
      const found = await see(command);
      const done = await act(command, {}, errand(), found);
      const { group, image } = command.args;
      expect(done).toMatchObject({
        result: "succeeded",
        changed: [{ what: `${group} image`, from: found.image, to: image }],
      });
      expect(await see(command)).toEqual({ image, count: found.count, healthy: found.count });
      expect(await look()).toBe("after");
    },
  },
  {
    words: "deploy: an image whose machines do not get well is taken back, and what was there runs",
    async holds({ command, bad, look }) {
      const found = await see(command);
      const done = await act({ ...command, args: bad }, {}, errand(), found);
      expect(done).toMatchObject({ result: "failed", code: "rolled-back", changed: [] });
      expect(await see(command)).toEqual(found);
      expect(await look()).toBe("before");
    },
  },
  {
    words: "deploy: a second one to the same image changes nothing",
    async holds({ command, look }) {
      await act(command);
      expect(await act(command)).toMatchObject({ result: "succeeded", changed: [] });
      expect(await look()).toBe("after");
    },
  },
  {
    words: "deploy: broken off anywhere it says where it stands, and resumed under the same id it comes to its end",
    async holds(one) {
      const { command, look } = one;
      const { action, args, resource } = command;
      if (action.resume === undefined) return;
      const found = await see(command);
      const own = errand();
      // Again and again: each time a little further than before.
      for (const changes of [1, 3]) {
        const broken = await brokenOff(one, found, own, changes);
        // One call may be all that a cloud needs.
        if (broken.code === "concurrent" || broken.result === "succeeded") break;
        expect(broken).toMatchObject({ result: "failed", code: "stopped" });
        expect(await recall(command, found, own)).not.toMatchObject({ result: "succeeded" });
      }
      const { gate } = gateFor(action, args, resource);
      expect(await action.resume(gate, args, found, own)).toMatchObject({ result: "succeeded" });
      expect(await see(command)).toEqual({ image: args.image, count: found.count, healthy: found.count });
      expect(await look()).toBe("after");
      expect(await recall(command, found, own)).toMatchObject({ result: "succeeded" });
    },
  },
];
