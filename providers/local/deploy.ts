import { byState, deployed, failed, stoppedBy, succeeded, unavailableOf, unknown } from "../outcome.ts";
import {
  CallFailed,
  type DeployProvider,
  type DeployState,
  type Errand,
  type Executed,
  type Gate,
  type JudgedDeployArgs,
  type Reconciled,
  type UnfitArtifact,
} from "../provider.ts";
import { answer, place } from "./call.ts";
import { SHARES_USER, sharesUser } from "./launch.ts";
import { openProgram } from "./program.ts";
import { type Deploy, type Running, running, takeTo, writeDown } from "./rolling.ts";
import type { Known } from "./runs.ts";
import {
  firstIll,
  list,
  PROC,
  PROCESS_OPERATIONS,
  type Premises,
  processPlaces,
  sameUser,
  settled,
  settleMs,
  unwell,
  type Work,
  workFor,
} from "./slots.ts";

/**
 * A group's processes run the program that its image names, out of the owner's directory of artifacts. What the config's command starts is
 * the group's first image. New processes are started from the one that was deployed last and became well, also after a restart.
 */
export function localDeploy(at: Premises): DeployProvider {
  return {
    operations: [
      ...PROCESS_OPERATIONS,
      { operation: "local.process.image", kind: "read", method: "read" },
      { operation: "local.artifact.read", kind: "read", method: "read" },
      { operation: "local.group.image", kind: "change", method: "write" },
    ],
    places({ group }) {
      const places = processPlaces(at, group);
      if (places.length === 0) return [];
      const { artifacts, state } = at;
      const read = artifacts === null ? [] : [place(artifacts.directory, "read")];
      return [...places, place(PROC, "read"), ...read, place(state, "write")];
    },
    async describe(gate, args, errand) {
      const work = workFor(at, args.group, gate, errand);
      if (work === null) return { missing: `the config has no group ${args.group}` };
      const same = sameUser(work);
      if (same !== null) return { unreadable: `same-user: ${same}` };
      try {
        const unfit = await unfitness(work, args);
        return unfit ?? { state: (await look(work, new Map())).state };
      } catch (error) {
        if (error instanceof CallFailed) return { unreadable: error.status };
        throw error;
      }
    },
    async observe(gate, { group }, errand) {
      const work = workFor(at, group, gate, errand);
      if (work === null) return { missing: `the config has no group ${group}` };
      return { state: (await look(work, new Map())).state };
    },
    async execute(gate, args, found, errand) {
      const work = workFor(at, args.group, gate, errand);
      if (work === null) return failed("missing");
      const same = sameUser(work);
      if (same !== null) return failed("same-user", [], same);
      const known: Known = new Map();
      const now = await look(work, known);
      // The policy judged another state: what it permitted from there it may not permit from here.
      if (now.state.count !== found.count || now.state.image !== found.image)
        return failed("concurrent", [], `found ${now.words}`);
      return replaceAll(work, args, found, known, now.words);
    },
    async resume(gate, args, found, errand) {
      const work = workFor(at, args.group, gate, errand);
      if (work === null) return failed("missing");
      // The config may have changed since: then nothing is stopped that could not be started.
      const same = sameUser(work);
      return same === null ? replaceAll(work, args, found, new Map(), found.image) : failed("same-user", [], same);
    },
    reconcile: (gate, args, found, errand) => whatBecame(at, gate, args, found, errand),
  };
}

/** The image as it lies in the owner's directory: only a program that is what its digest says is fit. */
function unfitness(work: Work, { image, digest }: JudgedDeployArgs): Promise<UnfitArtifact | null> {
  const { gate, name, artifacts } = work;
  return gate.call("local.artifact.read", name, async (leave) => {
    leave(place(artifacts?.directory ?? PROC, "read"), "writing");
    if (image !== digest)
      return answer({
        artifact: "malformed",
        because: `the manifest says that the image lies at ${image.slice(0, 80)}, and that it is ${digest}: here the two are one`,
        hint: "Correct the manifest's parameters.images.",
      });
    const program = await openProgram(artifacts, image);
    if (!("fd" in program)) return answer(program);
    program.close();
    return answer(null);
  });
}

type Seen = { readonly state: DeployState; readonly words: string | null };

/** What every process runs, and how many are well. `words`: the same for an outcome, null for no process. */
async function look(work: Work, known: Known): Promise<Seen> {
  const { live, image } = await list(work);
  const runs = await running({ work, known }, live);
  const ill = await unwell(
    work,
    runs.map(({ slot }) => slot),
  );
  const state = { image: commonOf(runs, image), count: runs.length, healthy: runs.length - ill.length };
  return { state, words: wordsOf(runs) };
}

/** What all run; of no processes, what the next would. */
function commonOf(runs: readonly Running[], image: string | null): string | null {
  const [first] = runs;
  if (first === undefined) return image;
  return runs.every((one) => one.image === first.image) ? first.image : null;
}

function wordsOf(runs: readonly Running[]): string | null {
  const images = [...new Set(runs.map(({ image }) => image))].sort();
  if (images.length <= 1) return images[0] ?? null;
  return images.map((image) => `${runs.filter((one) => one.image === image).length} of ${image}`).join(", ");
}

/** `replaced`, and whose user the programs share is said. */
async function replaceAll(...into: Parameters<typeof replaced>): Promise<Executed> {
  const [{ group }] = into;
  const done = await replaced(...into);
  return { ...done, words: done.words ?? (sharesUser(group.user) ? SHARES_USER : null) };
}

/** `from`: what was run before, in an outcome's words. */
async function replaced(
  work: Work,
  args: JudgedDeployArgs,
  found: DeployState,
  known: Known,
  from: string | null,
): Promise<Executed> {
  const deploy: Deploy = {
    work,
    count: found.count,
    unavailable: unavailableOf(work.errand),
    known,
    steady: new Set(),
  };
  let ended: Executed | null;
  try {
    ended = await there(deploy, args.image);
  } catch (error) {
    ended = stoppedBy(error);
  }
  try {
    // Whatever a call's end left open: what they run now can be seen.
    const { state, words } = await look(work, known);
    const changed = deployed(args.group, from, words ?? state.image);
    if (ended !== null) return { ...ended, changed };
    // One of them ended, or another program took its place, while the others were looked at.
    const whole = state.image === args.image && state.count === found.count && state.healthy === found.count;
    return whole ? succeeded(changed) : failed("exited", changed);
  } catch (error) {
    const unseen = stoppedBy(error);
    return unknown(unseen.code ?? "unread", [], ended?.words ?? unseen.words);
  }
}

/** Null when the group is at the image and it is written down; else what became of it instead. Throws CallFailed and Halted. */
async function there(deploy: Deploy, image: string): Promise<Executed | null> {
  const { work } = deploy;
  const { image: before, back } = await settled(work);
  // Interrupted on its way back, it goes on going back.
  const why = back?.command === work.errand.id ? back.why : await takeTo(deploy, image);
  if (why === null) {
    // If we stop before this line a resumed deploy finds nothing to replace, and comes here.
    await writeDown(work, { image, back: null });
    return null;
  }
  await writeDown(work, { image: before, back: { command: work.errand.id, why } });
  const stuck = await takeTo(deploy, before);
  if (stuck !== null) return failed("rollback-failed", [], `${image}: ${why}; back at what was there: ${stuck}`);
  return failed("rolled-back", [], `${image}: ${why}`);
}

/** Reads only: whether all run the image and are well. */
async function whatBecame(
  at: Premises,
  gate: Gate,
  args: JudgedDeployArgs,
  found: DeployState,
  errand: Errand,
): Promise<Reconciled> {
  const work = workFor(at, args.group, gate, errand);
  if (work === null) return byState(failed("missing"));
  const { live, image } = await settled(work);
  const runs = await running({ work, known: new Map() }, live);
  const now = commonOf(runs, image);
  const changed = deployed(args.group, found.image, wordsOf(runs) ?? now);
  if (now !== args.image || image !== args.image || runs.length !== found.count)
    return byState(failed("interrupted", changed));
  const ill = await firstIll(
    work,
    runs.map(({ slot }) => slot),
    settleMs(work),
  );
  return byState(ill === null ? succeeded(changed) : failed(ill, changed));
}
