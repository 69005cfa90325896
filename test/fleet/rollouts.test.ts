import { test } from "bun:test";
import { laneByLane, ROLLOUT_MILLISECONDS } from "./laneByLane.ts";

test(
  "the one server on SQLite and the drivers are killed every few seconds: no rollout skips a lane, and no command runs twice",
  () => laneByLane("sqlite"),
  ROLLOUT_MILLISECONDS,
);
