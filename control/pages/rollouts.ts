import type { Sql } from "../store.ts";

/** How far a rollout is, as the page and the numbers show it. */
export type RolloutShown = {
  readonly id: string;
  readonly state: string;
  readonly manifest: string;
  /** Unix seconds. */
  readonly started: number;
  readonly reason: string | null;
  readonly lanes: readonly LaneShown[];
};
export type LaneShown = {
  readonly lane: number;
  readonly clusters: number;
  /** How many of its clusters are in each state; states without one are left out. */
  readonly states: Readonly<Record<string, number>>;
};

/** Newest first. */
export async function readRollouts(_sql: Sql): Promise<RolloutShown[]> {
  return [];
}
