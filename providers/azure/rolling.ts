import { deployed } from "../outcome.ts";
import { CallFailed, type Changed, type DeployState, type Errand } from "../provider.ts";
import type { AzureCalls, AzureContext } from "./call.ts";
import { type Model, readModel } from "./model.ts";
import type { Notes } from "./notes.ts";

/** One deploy's dealings with one scale set. */
export type Rolling = {
  readonly context: AzureContext;
  readonly calls: AzureCalls;
  readonly notes: Notes;
  readonly name: string;
  /** The image that was judged, as `imageText` writes it. */
  readonly image: string;
  readonly errand: Errand;
  /** What the gate lets this command write: images, and machines of the set. */
  readonly known: { readonly images: Set<string>; readonly machines: Set<string> };
};

/** The one image that every machine runs; null when there are several, or no machine, or it cannot be told. */
export function imageOf({ machines }: Model): string | null {
  const run = new Set(machines.map(({ image }) => image));
  const [image = null] = run;
  return run.size === 1 ? image : null;
}

export function stateOf(model: Model): DeployState {
  const healthy = model.machines.filter(({ well }) => well).length;
  return { image: imageOf(model), count: model.machines.length, healthy };
}

/** [] when it cannot be read: then what is on record has to do. */
export async function changedSince(work: Rolling, found: DeployState): Promise<readonly Changed[]> {
  try {
    const model = await readModel(work);
    return model === null ? [] : deployed(work.name, found.image, imageOf(model));
  } catch (error) {
    if (error instanceof CallFailed) return [];
    throw error;
  }
}
