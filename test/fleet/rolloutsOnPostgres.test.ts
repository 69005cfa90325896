import { test } from "bun:test";
import { laneByLane, ROLLOUT_MILLISECONDS } from "./laneByLane.ts";

test(
  "one of three replicas on PostgreSQL after the other, and drivers, are killed every few seconds: no rollout skips a lane, and no command runs twice",
  () => laneByLane("postgres"),
  ROLLOUT_MILLISECONDS,
);
