import { testWorlds } from "./ran.ts";

testWorlds(1001, 500);
