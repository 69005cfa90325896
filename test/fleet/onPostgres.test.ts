import { afterAll } from "bun:test";
import { onPostgres } from "./engine.ts";

// What test/control claims of the handlers, claimed again on a real PostgreSQL: each world there begins with a database of its own.
const postgres = await onPostgres();
await import("../control/identity.test.ts");
await import("../control/copies.test.ts");
afterAll(() => postgres.end());
